//! Recorded output of the real program (`tests/agent/fixtures`, which has a README), translated line by line.

use serde_json::Value;

use crate::agent::translate::{Line, Note, Translated, line};

fn lines(text: &str) -> Vec<Line> {
    text.lines().map(|text| line(text.as_bytes())).collect()
}

fn events(text: &str) -> Vec<Translated> {
    lines(text).into_iter().flat_map(|line| line.events).collect()
}

fn kinds(events: &[Translated]) -> String {
    events.iter().map(|event| event.body.kind()).collect::<Vec<_>>().join(" ")
}

fn notes(text: &str) -> Vec<Note> {
    lines(text).into_iter().map(|line| line.note).filter(|note| *note != Note::None).collect()
}

fn body(event: &Translated) -> Value {
    serde_json::to_value(&event.body).unwrap()
}

/// Every `tool` has an id, and every `tool_result` that of an earlier `tool`.
fn check_references(events: &[Translated]) {
    let mut open: Vec<&str> = Vec::new();
    for event in events {
        let reference = event.reference.as_deref();
        match event.body.kind() {
            "tool" => open.push(reference.unwrap()),
            "tool_result" => open.retain(|id| Some(*id) != reference),
            _ => assert_eq!(reference, None),
        }
    }
    assert_eq!(open, [""; 0], "every one of these fixtures' tools came back");
}

const GOOD: Note = Note::Result { is_error: false };
const BAD: Note = Note::Result { is_error: true };

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/agent/fixtures/", $name, ".jsonl"))
    };
}

#[test]
fn kinds_in_order() {
    let tool = "session text tool tool_result text result";
    let steps = format!("session{} text result", " text tool tool_result".repeat(4));
    let cases: [(&str, &str, &[Note]); 12] = [
        (fixture!("text"), "session text result", &[Note::Init, GOOD]),
        (fixture!("tool"), tool, &[Note::Init, GOOD]),
        (fixture!("tool-2.1.197"), tool, &[Note::Init, GOOD]),
        (fixture!("partial"), tool, &[Note::Init, GOOD]),
        (fixture!("steps"), &steps, &[Note::Init, GOOD]),
        (fixture!("retry_then_ok"), "session status status text result", &[Note::Init, GOOD]),
        (fixture!("rate_limit_event"), "session text result", &[Note::Init, GOOD]),
        (
            fixture!("background_task"),
            "session tool tool_result text result session text result",
            &[Note::Init, GOOD, Note::Init, GOOD],
        ),
        (fixture!("sigint_in_tool"), "session text tool tool_result result", &[Note::Init, BAD]),
        (fixture!("sigterm_in_tool"), "session text tool tool_result", &[Note::Init]),
        (fixture!("resume_unknown"), "result", &[Note::LostConversation]),
        (fixture!("slash_clear"), "session result", &[Note::Init, GOOD]),
    ];
    for (text, expected, expected_notes) in cases {
        let events = events(text);
        assert_eq!(kinds(&events), expected);
        assert_eq!(notes(text), expected_notes, "{expected}");
        check_references(&events);
    }
}

#[test]
fn a_long_lived_process_is_told_alike() {
    let out: Vec<String> = fixture!("permission_stdio")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["dir"] == "out")
        .map(|line| line["line"].to_string())
        .collect();
    let text = out.join("\n");
    let events = events(&text);
    check_references(&events);
    assert_eq!(notes(&text), [Note::Init, GOOD, Note::Init, GOOD, Note::Init, BAD, Note::Init, GOOD]);
    let denied = events.iter().map(body).find(|body| body["output"] == "operator said no").unwrap();
    assert_eq!(denied["is_error"], true);
}

#[test]
fn bodies_say_what_the_agent_said() {
    let events = events(fixture!("tool"));
    let bodies: Vec<Value> = events.iter().map(body).collect();
    assert_eq!(bodies[0]["session_id"], "63dedc8b-fecc-41b8-8018-335fd4afacf2");
    assert_eq!(bodies[1]["text"], "Let me look.");
    assert_eq!(
        (&bodies[2]["name"], &bodies[2]["input"]["description"]),
        (&"Bash".into(), &"Run a scripted command".into())
    );
    assert_eq!(bodies[3]["output"], "Exit code 3\nhi\nwarning");
    assert_eq!((&bodies[3]["is_error"], &bodies[3]["bytes"]), (&true.into(), &22.into()));
    assert_eq!(bodies[5]["result"], "It failed with 3.");
    assert_eq!((&bodies[5]["is_error"], &bodies[5]["duration_ms"]), (&false.into(), &397.into()));
}

#[test]
fn a_retry_is_told() {
    let events = events(fixture!("retry_then_ok"));
    let status = body(&events[2]);
    assert_eq!(status["detail"], "the agent's API answered 529 (overloaded); attempt 2 of 10, next in 1.0 s");
}
