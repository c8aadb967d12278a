//! Redaction: gone for good, said by whom and why, and every proof still holds.

use std::fs;
use std::path::Path;
use std::process::Output;

use super::bundle::{Files, take};
use super::history::{History, Verdict, both};
use crate::support::agent::FakeAgent;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;
use crate::support::wait::within;

/// What must go: long enough for overflow pages, and found nowhere by accident.
const SECRET: &str = "hunter2-correct-horse-battery-staple";

fn secret() -> String {
    SECRET.repeat(300)
}

/// Every file below a folder, but sockets, that holds some bytes.
fn holding(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if fs::read(&path).is_ok_and(|content| memchr::memmem::find(&content, bytes).is_some()) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const PROVED: Verdict = Verdict { status: 0, findings: Vec::new() };

/// A session whose agent was told a secret, repeated it, and ended with it; all that holds it is named by the first redaction.
async fn told() -> (Scene, FakeAgent) {
    let agent = FakeAgent::printing(
        &[&format!(r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":"{}"}}]}}}}"#, secret())],
        0,
    );
    let mut scene = Scene::with(&agent).await;
    scene.viewer.turn(&scene.session, &secret()).await;
    scene.viewer.turn(&scene.session, "something else").await;
    (scene, agent)
}

fn with_secret(records: &[String]) -> Vec<String> {
    records.iter().filter(|record| record.contains(SECRET)).map(|record| seq_of(record).to_string()).collect()
}

fn seq_of(record: &str) -> u64 {
    let value: serde_json::Value = serde_json::from_str(record).unwrap();
    value["seq"].as_u64().unwrap()
}

#[tokio::test]
async fn content_and_salt_are_gone_from_every_file_beside_a_running_gateway() {
    let (mut scene, _agent) = told().await;
    let before = scene.viewer.whole_log(&scene.session);
    let seqs = with_secret(&before);
    assert!(seqs.len() >= 3, "the prompt and what both turns said: {seqs:?}");
    assert!(!holding(&scene.gateway.data(), SECRET.as_bytes()).is_empty());
    for seq in &seqs {
        let redacted = scene.gateway.run(&["redact", &scene.session, seq, "--reason", "a password"]).await;
        assert!(redacted.status.success(), "{}", said(&redacted));
        // What is not redacted yet is named.
        let rest: Vec<&str> = seqs.iter().filter(|other| *other > seq).map(String::as_str).collect();
        let named = said(&redacted)
            .lines()
            .find_map(|line| line.strip_prefix("records with the same text: ").map(str::to_owned));
        assert!(
            rest.is_empty() || named.is_some_and(|named| rest.iter().all(|seq| named.contains(seq))),
            "{}",
            said(&redacted)
        );
    }
    assert_eq!(holding(&scene.gateway.data(), SECRET.as_bytes()), [] as [String; 0]);

    // Whoever is attached is told; whoever comes now sees the stub.
    let last = scene.viewer.event_of_kind(&scene.session, "redaction").await;
    assert_eq!((last.text("reason"), last.value["of"].to_string()), ("a password", seqs[0].clone()));
    assert!(last.text("by").ends_with(" (local)"), "{}", last.raw);
    let mut late = Viewer::connect(&scene.gateway).await;
    late.attach(&scene.session, 0).await;
    late.caught_up(&scene.session).await;
    let after = late.whole_log(&scene.session);
    assert_eq!(after.len(), before.len() + seqs.len());
    for (was, is) in before.iter().zip(&after) {
        assert_eq!(was == is, !was.contains(SECRET), "only what was redacted changed");
        let (was, is): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(was).unwrap(), serde_json::from_str(is).unwrap());
        for field in ["session", "seq", "time", "turn", "kind", "by"] {
            assert_eq!(was.get(field), is.get(field), "the envelope stays");
        }
    }
    let http = scene.gateway.http();
    for format in ["jsonl", "md", "html"] {
        let export = http.get(&format!("/api/sessions/{}/export?format={format}", scene.session)).await;
        assert!(export.text().contains("[redacted]") && export.text().contains("a password"), "{format}");
    }
    let session = http.get(&format!("/api/sessions/{}", scene.session)).await;
    assert!(!session.text().contains("hunter2"), "the title is from the prompt: {}", session.text());
    let turn = scene.viewer.event_of_kind(&scene.session, "user").await.turn().to_owned();
    let raw = http.get(&format!("/api/sessions/{}/turns/{turn}/raw", scene.session)).await;
    assert!(raw.status == 404 && raw.text().contains("redact"), "{}", raw.text());
    let facts = http.get(&format!("/api/sessions/{}/turns/{turn}", scene.session)).await;
    let run = &facts.json()["runs"][0];
    assert_eq!(run["redacted"], true, "{}", facts.text());
    assert!(run["start"]["host"].is_string(), "that it was started, and where, stays: {run}");

    // A bundle of it, the database under the running gateway, and the database at rest.
    let zip = take(&http, &scene.session).await;
    let (path, key) = (scene.gateway.data().join("bundle.zip"), scene.gateway.cli(&["key"]).await);
    fs::write(&path, &zip).unwrap();
    assert!(Files::read(&zip).text("seals.jsonl").contains("\"salt\":null"));
    assert_eq!(both(&scene.gateway, &path, key.trim(), &[]).await, PROVED);
    scene.gateway.terminate().await;
    assert_eq!(both(&scene.gateway, &scene.gateway.data(), key.trim(), &[]).await, PROVED);
}

#[tokio::test]
async fn a_stopped_gateway_is_not_needed_and_the_next_one_goes_on() {
    let mut history = History::new().await;
    let seq = history.seqs("text")[1];
    let notes = history.notes();
    let done =
        history.gateway.cli(&["redact", &history.session[..8], &seq.to_string(), "--reason", "customer data"]).await;
    assert!(done.starts_with(&format!("record {seq} of {} is redacted", history.session)), "{done}");
    assert_eq!(history.verify().await, PROVED);
    assert_eq!(history.verify_pinned(&notes).await, PROVED, "what was signed before still holds");
    history.gateway.restart().await;
    let mut viewer = Viewer::connect(&history.gateway).await;
    viewer.attach(&history.session, 0).await;
    viewer.turn(&history.session, "[[text:goes on]]").await;
    drop(viewer);
    history.gateway.terminate().await;
    assert_eq!(history.verify().await, PROVED);
}

#[tokio::test]
async fn a_redaction_without_a_gateway_takes_the_words_out_of_the_search_index_too() {
    const WORD: &str = "quetzalcoatlus";
    let mut scene = Scene::drill().await;
    let told = scene.viewer.turn(&scene.session, &format!("[[text:{WORD}]][[text:another]]")).await;
    let http = scene.gateway.http();
    let found = async |word: &str| {
        let answer = http.get(&format!("/api/search?q={word}")).await.json();
        (answer["behind"] == 0).then(|| answer["hits"].as_array().map_or(0, Vec::len))
    };
    let all = within("the index", async {
        loop {
            if let Some(hits) = found(WORD).await {
                return hits;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    assert!(all.await >= 2, "what was asked and what was said");
    scene.gateway.terminate().await;
    let index = || -> Vec<String> {
        let all = holding(&scene.gateway.data(), &WORD.as_bytes()[1..]);
        all.into_iter().filter(|path| path.contains("search.db")).collect()
    };
    assert!(!index().is_empty(), "the index has the word");
    let records = told.iter().filter(|record| record.raw.contains(WORD)).map(|record| record.seq().to_string());
    for seq in records {
        let done = scene.gateway.run(&["redact", &scene.session, &seq, "--reason", "a name"]).await;
        assert!(done.status.success(), "{}", said(&done));
    }
    assert_eq!(index(), [] as [String; 0]);
    // But for the workspace, which is not the gateway's own.
    let mut left = holding(&scene.gateway.data(), &WORD.as_bytes()[1..]);
    left.retain(|path| !path.contains("/data/sessions/"));
    assert_eq!(left, [] as [String; 0]);
    scene.gateway.restart().await;
    let again = within("the new index", async {
        loop {
            match (found("another").await, found(WORD).await) {
                (Some(others), Some(hits)) if others > 0 => return (others, hits),
                _ => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    });
    assert_eq!(again.await.1, 0);
}

#[tokio::test]
async fn what_cannot_be_redacted_is_refused_in_words_and_stays() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "started").await;
    let redact = async |session: &str, seq: &str, reason: &str| {
        let output = scene.gateway.run(&["redact", session, seq, "--reason", reason]).await;
        (output.status.code(), said(&output))
    };
    let (status, why) = redact(&scene.session, "1", "too early").await;
    assert!(status == Some(1) && why.contains("still runs"), "{why}");
    let (status, why) = redact(&scene.session, "99", "no such").await;
    assert!(status == Some(1) && why.contains("no record 99"), "{why}");
    let (status, why) = redact("ffffffff", "1", "no such").await;
    assert!(status == Some(1) && why.contains("ffffffff"), "{why}");
    let (status, _) = redact(&scene.session, "1", " ").await;
    assert_eq!(status, Some(64));
    agent.open("go");
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await.seq();
    let redact = async |seq: u64| {
        let output = scene.gateway.run(&["redact", &scene.session, &seq.to_string(), "--reason", "r"]).await;
        (output.status.code(), said(&output))
    };
    let (status, why) = redact(end).await;
    assert!(status == Some(1) && why.contains("no content"), "{why}");
    assert_eq!(redact(1).await.0, Some(0));
    let (status, why) = redact(1).await;
    assert!(status == Some(1) && why.contains("redacted already"), "{why}");
    let (status, why) = redact(end + 1).await;
    assert!(status == Some(1) && why.contains("no content"), "{why}");
}

#[tokio::test]
async fn a_stub_cannot_be_given_words_or_be_made_without_an_event() {
    let history = History::new().await;
    let seq = history.seqs("text")[1];
    history.gateway.cli(&["redact", &history.session, &seq.to_string(), "--reason", "r"]).await;
    assert_eq!(history.verify().await, PROVED);
    let redaction = |seq: u64| Verdict {
        status: 1,
        findings: vec![format!("ALTERED redaction session {} seq {seq}", history.session)],
    };
    let of = "session = (SELECT min(key) FROM sessions)";
    for edit in [("[redacted]", "all is well"), ("\"time\":\"2", "\"time\":\"2 ")] {
        let swap = |from: &str, to: &str| {
            history.sql(&format!(
                "UPDATE events SET record = replace(record, '{from}', '{to}') WHERE {of} AND seq = {seq}"
            ));
        };
        swap(edit.0, edit.1);
        let found = history.verify().await;
        assert!(found.status == 1 && found.findings.contains(&redaction(seq).findings[0]), "{found:?}");
        swap(edit.1, edit.0);
    }
    assert_eq!(history.verify().await, PROVED);
    // Another record's content taken away by hand, with a stub like the real one.
    let other = history.seqs("text")[0];
    let stub = format!(
        "UPDATE events SET salt = NULL, record = (SELECT replace(replace(s.record, '\"seq\":{seq},', '\"seq\":{other},'), substr(s.record, instr(s.record, '\"time\"'), 33),
         substr(events.record, instr(events.record, '\"time\"'), 33)) FROM events s WHERE s.session = events.session AND s.seq = {seq})
         WHERE {of} AND seq = {other}"
    );
    history.sql(&stub);
    assert_eq!(history.verify().await, redaction(other));
}
