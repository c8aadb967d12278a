//! Bounded waiting. Every wait names what it waits for, so that a test that hangs says on what.

use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

/// How long anything may take on a busy machine before a test calls it lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition outside this process is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits for a future, at most [`PATIENCE`].
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {} s for {what}", PATIENCE.as_secs()),
    }
}

/// Waits until something outside this process (a file, a process) is as it should be, at most [`PATIENCE`].
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut again = tokio::time::interval(LOOK_EVERY);
    within(what, async {
        loop {
            again.tick().await;
            if let Some(found) = look() {
                return found;
            }
        }
    })
    .await
}

/// A task that ends with the value that owns it.
#[expect(clippy::disallowed_methods, reason = "tests have no tracker of their own; this one aborts on drop")]
pub(crate) fn background(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}
