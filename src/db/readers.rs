//! The read pool: a few read-only connections, each lent for one short closure on a blocking thread.
//!
//! Invariant: no read transaction outlives its closure, so no reader can pin the write-ahead log for long.

use std::path::Path;
use std::sync::Arc;

use std::sync::Mutex;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection;
use super::error::{OpenError, ReadError};

/// Connections in the pool: more than the cores gain nothing, and busy readers slow the writer.
const READERS: usize = 4;

/// A handle to the pool.
#[derive(Clone)]
pub struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let connections = (0..READERS).map(|_| connection::open_reading(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(connections)), permits: Arc::new(Semaphore::new(READERS)) })
    }

    /// Lends a connection to a closure on a blocking thread. The closure must be short: it holds a read snapshot while a
    /// statement is open.
    ///
    /// # Errors
    /// [`ReadError::Sqlite`] is the closure's own error.
    pub async fn read<T, F>(&self, work: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| ReadError::Closed)?;
        let idle = Arc::clone(&self.idle);
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let lent = Lent::take(&idle).ok_or(ReadError::Closed)?;
            Ok(work(lent.connection()?)?)
        });
        reading.await.map_err(|_| ReadError::Closed)?
    }
}

/// A connection on loan; goes back to the pool even if the closure panics.
struct Lent<'a> {
    idle: &'a Mutex<Vec<Connection>>,
    connection: Option<Connection>,
}

impl<'a> Lent<'a> {
    fn take(idle: &'a Mutex<Vec<Connection>>) -> Option<Self> {
        let connection = lock(idle).pop()?;
        Some(Self { idle, connection: Some(connection) })
    }

    fn connection(&self) -> Result<&Connection, ReadError> {
        self.connection.as_ref().ok_or(ReadError::Closed)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            lock(self.idle).push(connection);
        }
    }
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
