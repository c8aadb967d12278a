//! Turns, from the prompt to `turn_end`, as an operator meets them; the agent is a fake one.

mod command;
mod conversation;
mod ends;
mod prompts;

use serde_json::{Value, json};

use crate::support::agent::FakeAgent;
use crate::support::model::Record;
use crate::support::scene::Scene;
use crate::support::viewer::kinds;

/// The `turn_end` of a turn's events, without its duration, which must be a number.
fn end(events: &[Record]) -> Value {
    let mut end = events.last().expect("a turn has events").body();
    assert_eq!(end["kind"], "turn_end", "{end}");
    assert!(end["duration_ms"].is_u64(), "{end}");
    end.as_object_mut().expect("a body is an object").remove("duration_ms");
    end
}

/// The body of a good end.
fn ended_well() -> Value {
    json!({"kind": "turn_end", "outcome": "ok", "exit_code": 0})
}

#[tokio::test]
async fn a_turn_shows_the_five_kinds_as_the_seed_does_and_what_people_would_miss() {
    let agent = FakeAgent::printing(
        &[
            r#"{"type":"system","subtype":"hook_started","hook_name":"x"}"#,
            r#"{"type":"system","subtype":"init","session_id":"the agent's own","tools":[]}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"checking disk"}]}}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":""},{"type":"text","text":"now"},{"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"df -h","n":1.50}}]}}"#,
            r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"100% full","is_error":true}]}}"#,
            "this is not JSON",
            "",
            r#"{"type":"surprise","x":1}"#,
            r#"{"type":"result","subtype":"success","is_error":false,"result":"disk is full","duration_ms":1234}"#,
        ],
        0,
    );
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "what is wrong?").await;
    let model = events[0].text("model");
    assert!(!model.is_empty(), "the gateway names the model that it chose");
    let expected = [
        json!({"kind": "user", "text": "what is wrong?", "by": "first", "model": model}),
        json!({"kind": "session", "session_id": "the agent's own"}),
        json!({"kind": "text", "text": "checking disk"}),
        json!({"kind": "text", "text": "now"}),
        json!({"kind": "tool", "name": "Bash", "input": serde_json::from_str::<Value>(r#"{"command":"df -h","n":1.50}"#).expect("JSON")}),
        json!({"kind": "tool_result", "is_error": true, "output": "100% full", "bytes": 9}),
        json!({"kind": "result", "is_error": false, "result": "disk is full", "duration_ms": 1234}),
    ];
    let bodies: Vec<Value> = events.iter().map(Record::body).collect();
    assert_eq!(&bodies[..7], &expected);
    assert_eq!((bodies.len(), end(&events)), (8, ended_well()));
    let references: Vec<&Value> = events.iter().map(|event| &event.value["ref"]).collect();
    assert_eq!((references[4], references[5]), (&json!("toolu_1"), &json!("toolu_1")));
    assert!(references.iter().enumerate().all(|(at, one)| at == 4 || at == 5 || one.is_null()), "{references:?}");
    assert_eq!(scene.viewer.whole_log(&scene.session).len(), 8);
}

#[tokio::test]
async fn the_seeds_answers_to_odd_lines_are_kept() {
    let agent = FakeAgent::printing(
        &[
            r#"{"type":"system","subtype":"init"}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use"}]}}"#,
            r#"{"type":"assistant","message":{"content":null}}"#,
            r#"{"type":"assistant"}"#,
            r#"{"type":"result","is_error":"yes"}"#,
        ],
        0,
    );
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "odd").await;
    let bodies: Vec<Value> = events[1..events.len() - 1].iter().map(Record::body).collect();
    let expected = [
        json!({"kind": "session", "session_id": ""}),
        json!({"kind": "tool", "name": "", "input": {}}),
        json!({"kind": "result", "is_error": true, "result": "", "duration_ms": null}),
    ];
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn hostile_bytes_become_replacement_characters_and_the_event_is_kept() {
    let agent = FakeAgent::shell(
        r#"init
printf '{"type":"assistant","message":{"content":[{"type":"text","text":"a\377b"}]}}\n'
emit '{"type":"assistant","message":{"content":[{"type":"text","text":"c\ud800d"}]}}'
emit '{"type":"assistant","message":{"content":[{"type":"text","text":"<script>alert(1)</script>\u0000\u2028"}]}}'
result fine"#,
    );
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "bytes").await;
    let texts: Vec<&str> =
        events.iter().filter(|event| event.kind() == "text").map(|event| event.text("text")).collect();
    assert_eq!(texts, ["a\u{fffd}b", "c\u{fffd}d", "<script>alert(1)</script>\0\u{2028}"]);
}

#[tokio::test]
async fn a_giant_line_is_cut_to_a_record_of_a_mebibyte_and_says_so() {
    // Three times the seed's reader limit, then three times the record limit; both in one line.
    let agent = FakeAgent::shell(
        r#"init
long() { printf '{"type":"assistant","message":{"content":[{"type":"text","text":"'; head -c "$1" /dev/zero | tr '\0' x; printf '"}]}}\n'; }
long 200000; long 3000000
result fine"#,
    );
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "long").await;
    assert_eq!(kinds(&events), ["user", "session", "text", "text", "result", "turn_end"]);
    assert_eq!((events[2].text("text").len(), &events[2].value["truncated"]), (200_000, &Value::Null));
    assert_eq!(events[3].value["truncated"], true);
    assert!(events[3].raw.len() <= 1 << 20 && events[3].raw.len() > 1 << 19, "{}", events[3].raw.len());
}

#[tokio::test]
async fn a_long_tool_output_keeps_head_and_tail_and_its_true_length() {
    let agent = FakeAgent::shell(
        r#"init
printf '{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":"HEAD'
head -c 200000 /dev/zero | tr '\0' x; printf 'TAIL"}]}}\n'
result fine"#,
    );
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "long").await;
    let result = events.iter().find(|event| event.kind() == "tool_result").expect("the tool came back");
    let output = result.text("output");
    assert!(output.len() <= 64 << 10 && output.starts_with("HEADx") && output.ends_with("xTAIL"), "{}", output.len());
    assert_eq!((&result.value["bytes"], &result.value["is_error"]), (&json!(200_008), &json!(false)));
}

#[tokio::test]
async fn retries_of_the_agents_api_are_shown_and_two_results_make_one_turn() {
    let agent = FakeAgent::shell(
        r#"init
emit '{"type":"system","subtype":"api_retry","attempt":1,"max_retries":10,"retry_delay_ms":525,"error_status":529,"error":"overloaded"}'
result one; init; text more; result two"#,
    );
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "retry").await;
    assert_eq!(kinds(&events), ["user", "session", "status", "result", "session", "text", "result", "turn_end"]);
    let status = &events[2].value;
    assert_eq!(
        (&status["state"], &status["attempt"], &status["max_attempts"], &status["wait_ms"]),
        (&json!("retrying"), &json!(1), &json!(10), &json!(525))
    );
    assert!(!events[2].text("detail").is_empty(), "{status}");
    assert_eq!(end(&events), ended_well());
}
