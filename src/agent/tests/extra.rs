//! `tool_result` and `status`, and what a line means for its turn.

use serde_json::json;

use super::{bodies, told};
use crate::agent::AgentKind;
use crate::agent::translate::{Note, StartProblem, line, start_problem};
use crate::protocol::OUTPUT_BYTES_MAX;

fn result_line(content: &serde_json::Value) -> String {
    json!({"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":content}]}})
        .to_string()
}

fn output(content: &serde_json::Value) -> String {
    told(&result_line(content))[0]["output"].as_str().unwrap().to_owned()
}

#[test]
fn a_tool_result_is_its_text() {
    assert_eq!(output(&json!("hi\n")), "hi\n");
    assert_eq!(output(&json!(null)), "");
    assert_eq!(output(&json!([])), "");
    assert_eq!(
        output(&json!([{"type":"text","text":"a"},{"type":"text","text":"b\n"},{"type":"text","text":"c"}])),
        "a\nb\n\nc"
    );
    assert_eq!(
        output(&json!([{"type":"text","text":"a"},{"type":"image","source":{}},"s",{"text":"x"},4])),
        "a\n[image]\ns\n[block]\n[block]"
    );
    assert_eq!(output(&json!([{"type":"text","text":5}])), "[text]");
    assert_eq!(output(&json!({"a":1})), r#"{"a":1}"#);
    assert_eq!(output(&json!([{"type":"y".repeat(9_000)}])).len(), 66);
    let absent = told(r#"{"type":"user","message":{"content":[{"type":"tool_result"}]}}"#);
    assert_eq!(absent, [json!({"kind":"tool_result","is_error":false,"output":"","bytes":0})]);
}

#[test]
fn is_error_is_pythons_truth() {
    for (value, truth) in [("true", true), ("null", false), ("0", false), ("\"no\"", true), ("[]", false)] {
        let line =
            format!(r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","is_error":{value}}}]}}}}"#);
        assert_eq!(told(&line)[0]["is_error"], truth, "{value}");
    }
}

#[test]
fn references_match_a_tool_to_its_result() {
    let refs = |text: &str| line(text.as_bytes()).events.into_iter().map(|event| event.reference).collect::<Vec<_>>();
    assert_eq!(
        refs(
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t1"},{"type":"text","text":"x","id":"t2"},
            {"type":"tool_use","id":""},{"type":"tool_use","id":7},{"type":"tool_use"}]}}"#
        ),
        [Some("t1".to_owned()), None, None, None, None]
    );
    assert_eq!(refs(&result_line(&json!(""))), [Some("t".to_owned())]);
    let long =
        format!(r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","id":"{}"}}]}}}}"#, "i".repeat(300));
    assert_eq!(refs(&long), [None]);
}

#[test]
fn a_long_output_keeps_head_and_tail() {
    let exact = "x".repeat(OUTPUT_BYTES_MAX);
    assert_eq!(output(&json!(exact)), exact);
    let long = format!("BEGIN{}END", "é".repeat(OUTPUT_BYTES_MAX));
    let event = told(&result_line(&json!(long))).remove(0);
    let short = event["output"].as_str().unwrap();
    assert_eq!(event["bytes"], long.len());
    assert!(short.starts_with("BEGINé") && short.ends_with("éEND"));
    assert!(short.len() <= OUTPUT_BYTES_MAX && short.len() > OUTPUT_BYTES_MAX - 100);
    let marker = short.lines().nth(1).unwrap();
    let left_out: usize = marker.strip_prefix('[').unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(left_out + short.len() - marker.len() - 2, long.len(), "{marker}");
}

#[test]
fn a_user_line_that_is_no_tool_result_is_silent() {
    for text in [
        r#"{"type":"user","message":{"content":"text"}}"#,
        r#"{"type":"user","message":{"content":[{"type":"text","text":"[Request interrupted by user for tool use]"},1,null]}}"#,
        r#"{"type":"user","message":7}"#,
        r#"{"type":"user"}"#,
    ] {
        assert!(told(text).is_empty(), "{text}");
    }
}

#[test]
fn a_retry_is_told_in_words_and_numbers() {
    let retry = |rest: &str| told(&format!(r#"{{"type":"system","subtype":"api_retry"{rest}}}"#)).remove(0);
    assert_eq!(
        retry(r#","attempt":1,"max_retries":10,"retry_delay_ms":500,"error_status":529,"error":"overloaded""#),
        json!({"kind":"status","state":"retrying","attempt":1,"max_attempts":10,"wait_ms":500,
               "detail":"the agent's API answered 529 (overloaded); attempt 1 of 10, next in 0.5 s"})
    );
    let refused =
        retry(r#","attempt":9,"max_retries":10,"retry_delay_ms":33400.7,"error_status":null,"error":"unknown""#);
    assert_eq!(refused["detail"], "the agent's API did not answer (unknown); attempt 9 of 10, next in 33 s");
    assert_eq!(refused["wait_ms"], 33_401);
    let odd = retry(r#","attempt":-1,"max_retries":"x","retry_delay_ms":1e300,"error":7"#);
    assert_eq!((&odd["attempt"], &odd["max_attempts"], &odd["wait_ms"]), (&json!(0), &json!(0), &json!(u64::MAX)));
}

#[test]
fn a_line_means_at_most_one_thing_for_its_turn() {
    let note = |text: &str| line(text.as_bytes()).note;
    assert_eq!(note(r#"{"type":"system","subtype":"init"}"#), Note::Init);
    assert_eq!(note(r#"{"type":"system","subtype":"status"}"#), Note::None);
    assert_eq!(note(r#"{"type":"result","is_error":false}"#), Note::Result { is_error: false });
    assert_eq!(note(r#"{"type":"result","is_error":1}"#), Note::Result { is_error: true });
    let lost = r#"{"type":"result","is_error":true,"errors":["No conversation found with session ID: 7"]}"#;
    assert_eq!(note(lost), Note::LostConversation);
    assert_eq!(bodies(&line(lost.as_bytes())).len(), 1);
    let quoted =
        r#"{"type":"result","is_error":false,"result":"No conversation found with session ID: 7","errors":[]}"#;
    assert_eq!(note(quoted), Note::Result { is_error: false });
    assert_eq!(
        note(r#"{"type":"result","errors":["No conversation found with session ID: 7"]}"#),
        Note::Result { is_error: false }
    );
    assert_eq!(note(r#"{"type":"user"}"#), Note::None);
    assert_eq!(note("not json"), Note::None);
}

#[test]
fn start_problems_are_recognised() {
    use StartProblem::{ConversationInUse, ConversationLost};
    let cases = [
        ("Error: Session ID 0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55 is already in use.\n", Some(ConversationInUse)),
        (
            "warning: x\nNo conversation found with session ID: 0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55",
            Some(ConversationLost),
        ),
        ("Session ID  is already in use", None),
        ("Session ID\nx is already in use", None),
        ("the port is already in use", None),
        ("", None),
    ];
    for (stderr, expected) in cases {
        assert_eq!(start_problem(stderr), expected, "{stderr}");
    }
}

#[test]
fn agents_have_names() {
    for kind in AgentKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    let error = "Claude".parse::<AgentKind>().unwrap_err().to_string();
    assert_eq!(error, "`Claude` is not an agent: choose `claude` or `drill`");
}
