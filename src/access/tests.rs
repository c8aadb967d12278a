use super::*;

fn visit(address: &str) -> Visit {
    Visit { address: address.parse().ok(), client: "curl\u{1b}[31m/8".to_owned() }
}

#[tokio::test]
async fn what_was_done_is_on_record_newest_first_and_looking_again_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (access, recorder) = open(Db::open(&dir.path().join("log.db")).unwrap());
    let session = SessionId::random();
    for what in [What::Attach, What::Attach, What::Prompt, What::Prompt] {
        access.record(Entry::of(what, &visit("10.0.0.1")).in_session(session));
    }
    access.record(Entry::of(What::Attach, &visit("10.0.0.2")).in_session(session));
    let stopping = CancellationToken::new();
    stopping.cancel();
    recorder.run(stopping).await;
    let lines = access.page(None, 10).await.unwrap();
    let whats: Vec<_> = lines.iter().map(|line| line.what.as_str()).collect();
    assert_eq!(whats, ["attach", "prompt", "prompt", "attach"]);
    assert_eq!(lines[0].client.as_deref(), Some("curl[31m/8"), "no control character");
    let older = access.page(Some(lines[1].key), 1).await.unwrap();
    assert_eq!(older, lines[2..3]);
}

#[tokio::test]
async fn what_does_not_fit_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (access, recorder) = open(Db::open(&dir.path().join("log.db")).unwrap());
    for _ in 0..QUEUE + 3 {
        access.record(Entry::of(What::Prompt, &visit("10.0.0.1")));
    }
    let stopping = CancellationToken::new();
    stopping.cancel();
    recorder.run(stopping).await;
    // Whether it stands before or behind the last of those that did fit depends on who was faster.
    let lines = access.page(None, 2 * QUEUE).await.unwrap();
    let lost: Vec<_> = lines.iter().filter(|line| line.what == "lost").collect();
    assert_eq!((lines.len(), lost.len()), (QUEUE + 1, 1));
    assert_eq!(lost[0].detail.as_deref(), Some("3 entries could not be written"));
}

#[tokio::test]
async fn who_goes_before_the_answer_is_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let (access, recorder) = open(Db::open(&dir.path().join("log.db")).unwrap());
    access.begin(Entry::of(What::Prompt, &visit("10.0.0.1"))).answered();
    drop(access.begin(Entry::of(What::Cancel, &visit("10.0.0.1"))));
    let stopping = CancellationToken::new();
    stopping.cancel();
    recorder.run(stopping).await;
    let lines = access.page(None, 10).await.unwrap();
    let found: Vec<_> = lines.iter().map(|line| (line.what.as_str(), line.detail.as_deref())).collect();
    assert_eq!(found, [("cancel", Some("the client went before the answer"))]);
}
