//! Directives, one by one.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Run, play, play_until};
use crate::agent::translate::Note;
use crate::drill::directive::parse;
use crate::drill::events::Events;
use crate::drill::play::Step;
use crate::drill::stage::Signal;

const GOOD: Note = Note::Result { is_error: false };
const BAD: Note = Note::Result { is_error: true };

fn check(prompt: &str, code: u8, kinds: &str) -> Run {
    let run = play(prompt);
    assert_eq!((run.code, run.kinds().as_str()), (code, kinds), "{prompt}: {}", run.err);
    run
}

#[test]
fn texts_and_tools() {
    let run = check("ignored [[text:one]] this too [[text:two]]", 0, "session text text result");
    assert_eq!((&run.bodies()[1]["text"], &run.bodies()[3]["result"]), (&json!("one"), &json!("two")));
    let run = check("[[bash:df -h => Filesystem\n/dev/vda1]]", 0, "session tool tool_result result");
    let bodies = run.bodies();
    assert_eq!((&bodies[1]["name"], &bodies[1]["input"]["command"]), (&json!("Bash"), &json!("df -h")));
    assert_eq!((&bodies[2]["output"], &bodies[2]["is_error"]), (&json!("Filesystem\n/dev/vda1"), &json!(false)));
    let bodies =
        check("[[fail:false => oh]][[fail:false]]", 0, "session tool tool_result tool tool_result result").bodies();
    assert_eq!((&bodies[2]["output"], &bodies[2]["is_error"]), (&json!("Exit code 1\noh"), &json!(true)));
    assert_eq!(bodies[4]["output"], "Exit code 1");
    let bodies = check(
        r#"[[tool:Read {"a":[[1]],"b":"[]"} =>  x]][[tool:Ls]]"#,
        0,
        "session tool tool_result tool tool_result result",
    )
    .bodies();
    assert_eq!(bodies[1], json!({"kind":"tool","name":"Read","input":{"a":[[1]],"b":"[]"}}));
    assert_eq!(bodies[2]["output"], " x");
    assert_eq!(bodies[3]["input"], json!({}));
}

#[test]
fn a_tool_and_its_result_have_one_reference_and_no_other_run_has_it() {
    let references = |run: Run| run.events().into_iter().filter_map(|event| event.reference).collect::<Vec<_>>();
    let first = references(play("[[bash:a]][[bash:b]]"));
    assert_eq!((&first[0], &first[2]), (&first[1], &first[3]));
    assert_ne!(first[0], first[2]);
    let second = references(play("[[bash:a]]"));
    assert!(!first.contains(&second[0]));
}

#[test]
fn raw_output() {
    let run = check(r#"[[line:{"type":"result","result":"raw"}]][[noresult]]"#, 0, "session result");
    assert_eq!(run.bodies()[1]["result"], "raw");
    let run = play("[[line:x [[1]]]][[bytes:ff 00 0a]][[partial:{\"ty]][[noresult]]");
    assert!(run.writes.concat().ends_with(b"\nx [[1]]\n\xff\x00\n{\"ty"));
    check(r#"[[partial:{"type":"res]][[line:ult"}]][[noresult]]"#, 0, "session result");
}

#[test]
fn sizes() {
    let run = check("[[big:3000000]]", 0, "session text result");
    assert_eq!(run.bodies()[1]["text"].as_str().unwrap().len(), 3_000_000);
    check("[[events:0]]", 0, "session result");
    let bodies = check("[[events:3 size:20]]", 0, "session text text text result").bodies();
    assert_eq!(bodies[1]["text"], "#1 xxxxxxxxxxxxxxxxx");
    assert_eq!(bodies[3]["text"], bodies[4]["result"]);
}

#[test]
fn many_events_come_in_order_and_in_whole_lines() {
    let run = play("[[events:5000 size:30]]");
    let mut uuids: Vec<Value> = run.values().into_iter().map(|value| value["uuid"].clone()).collect();
    let texts: Vec<Value> = run.bodies().into_iter().filter(|body| body["kind"] == "text").collect();
    assert_eq!(texts.len(), 5_000);
    for (at, text) in texts.iter().enumerate() {
        assert!(text["text"].as_str().unwrap().starts_with(&format!("#{} x", at + 1)));
    }
    assert!(run.writes.iter().all(|write| write.ends_with(b"\n") && write.len() < 70_000));
    assert!(run.writes.len() < 100, "gathered into few writes");
    uuids.sort_by_key(Value::to_string);
    uuids.dedup();
    assert_eq!(uuids.len(), 5_002);
}

#[test]
fn a_stamp_is_the_time_of_writing() {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let before = now();
    let run = play("[[events:4 rate:1000 stamp:1 size:60]]");
    let after = now();
    let mut last = before;
    for body in &run.bodies()[1..5] {
        let text = body["text"].as_str().unwrap();
        let stamp: u128 = text.split(' ').nth(1).unwrap().strip_prefix("t=").unwrap().parse().unwrap();
        assert!(stamp >= last && stamp <= after && text.len() == 60, "{text}");
        last = stamp;
    }
    assert_eq!(run.writes.len(), 6, "a line, a write");
}

#[test]
fn a_rate_says_when_each_is_due() {
    let events = Events { count: 100, rate: Some(4.0), ..Events::default() };
    assert_eq!(events.due(1).as_millis(), 0);
    assert_eq!(events.due(11).as_millis(), 2_500);
    assert_eq!(Events { rate: None, ..events }.due(11).as_millis(), 0);
}

#[test]
fn ends() {
    assert_eq!(check("[[exit:3]][[text:never]]", 3, "session").notes(), [Note::Init]);
    assert_eq!(check("[[text:a]][[exit:0]][[text:never]]", 0, "session text result").notes(), [Note::Init, GOOD]);
    check("[[result:so]][[exit:255]]", 255, "session result");
    check("[[noresult]][[text:a]]", 0, "session text");
    let run = check("[[result:one]][[text:a]][[result:two]]", 0, "session result text result");
    assert_eq!(run.bodies()[3]["result"], "two");
    let run = check("[[error:API Error: 500]][[text:never]]", 1, "session text result");
    assert_eq!(run.notes(), [Note::Init, BAD]);
    assert_eq!(run.bodies()[2]["result"], "API Error: 500");
    assert_eq!(run.values()[2]["subtype"], "success");
    let run = check("[[stderr:oh dear]][[exit:2]]", 2, "session");
    assert_eq!(run.err, "oh dear\n");
}

#[test]
fn retries_are_told() {
    let bodies = check("[[retry:2]]", 0, "session status status result").bodies();
    assert_eq!(bodies[2]["detail"], "the agent's API answered 529 (overloaded); attempt 2 of 10, next in 1.0 s");
}

#[test]
fn an_interruption_ends_the_play() {
    let run = play_until("[[text:go]][[hang]][[text:never]]", Some(("\"go\"", Signal::Interrupt)));
    assert_eq!((run.code, run.kinds().as_str()), (0, "session text result"));
    let values = run.values();
    assert_eq!(values[2]["message"]["content"][0]["text"], "[Request interrupted by user for tool use]");
    assert_eq!(
        (&values[3]["subtype"], &values[3]["terminal_reason"]),
        (&json!("error_during_execution"), &json!("aborted_tools"))
    );
    assert_eq!(run.notes(), [Note::Init, BAD]);
    assert_eq!(values[3].get("result"), None);
}

#[test]
fn an_interruption_is_heard_within_endless_events() {
    for prompt in [
        "[[events:10000000]]",
        "[[events:10000000 rate:0.001]]",
        "[[events:10000000 rate:1000000]]",
        "[[wait:86400000]]",
    ] {
        let run = play_until(prompt, Some(("\"init\"", Signal::Interrupt)));
        assert_eq!(run.code, 0);
        assert!(run.kinds().ends_with("result") && run.writes.len() < 10, "{prompt}");
    }
}

#[test]
fn a_termination_ends_it_at_once() {
    let run = play_until("[[text:go]][[hang]]", Some(("\"go\"", Signal::Terminate)));
    assert_eq!((run.code, run.kinds().as_str()), (143, "session text"));
}

#[test]
fn the_deaf_play_on() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let run = play_until("[[text:go]][[wait:5]][[text:on]][[deaf]]", Some(("\"go\"", signal)));
        assert_eq!((run.code, run.kinds().as_str()), (0, "session text text result"));
    }
}

#[test]
fn what_cannot_be_played_is_refused_by_name() {
    let many = "[[hang]]".repeat(1_001);
    for (prompt, part) in [
        ("[[dance]]", "`[[dance]]`: is not a directive"),
        ("[[text:a]][[dance:x]]", "`[[dance:x]]`"),
        ("[[text:a", "is not closed"),
        ("[[wait:soon]]", "MS must be a whole number of at most 86400000"),
        ("[[wait:-1]]", "MS must be"),
        ("[[hang:5000]]", "takes no value"),
        ("[[deaf:1]]", "takes no value"),
        ("[[exit:256]]", "at most 255"),
        ("[[exit]]", "N must be"),
        ("[[events:]]", "N must be"),
        ("[[events:10000001]]", "at most 10000000"),
        ("[[events:10000000 size:1048576]]", "N times size"),
        ("[[events:1 rate:0]]", "rate must be"),
        ("[[events:1 rate:NaN]]", "rate must be"),
        ("[[events:1 speed:9]]", "`speed:9` is none of"),
        ("[[speed:0]]", "must be `max` or a number"),
        ("[[speed:fast]]", "must be `max` or a number"),
        ("[[big:67108865]]", "BYTES must be"),
        ("[[retry:101]]", "N must be"),
        ("[[tool:]]", "needs a tool's NAME"),
        ("[[tool:X {\"a\"}]]", "not a JSON object"),
        ("[[tool:X {} y]]", "stands `=>`"),
        ("[[bytes:f]]", "pairs of hexadecimal digits"),
        ("[[bytes:+f]]", "pairs of hexadecimal digits"),
        (many.as_str(), "may hold 1000 directives"),
    ] {
        let run = play(prompt);
        assert_eq!((run.code, run.out().as_str()), (64, ""), "{prompt}");
        assert!(run.err.contains(part) && run.err.contains("--help"), "{prompt}: {}", run.err);
        assert!(run.err.len() < 300);
    }
}

#[test]
fn brackets_that_are_no_directive_are_prose() {
    for prompt in ["if [[ -f x ]]; then", "[[]]", "[[1]]", "[[Text:x]]", "[[a b]]", "[", "[[", "a[[0]"] {
        assert!(parse(prompt).unwrap().steps.is_empty(), "{prompt}");
    }
    let said = |prompt: &str| match parse(prompt).unwrap().steps.remove(0) {
        Step::Say(text) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(said("[[text:a [b] [[c]] ]]"), "a [b] [[c]] ");
    assert_eq!(said("[[text:[[1]]]]"), "[[1]]");
    assert_eq!(said("[[text:a ] b]]"), "a ] b");
    assert_eq!(said("[[text:a [ b]]"), "a [ b");
    assert_eq!(said("[[[text:a]]]"), "a");
    assert_eq!(said("[[text:]]"), "");
}

proptest! {
    #[test]
    fn any_prompt_is_understood_or_refused(prompt in r"(\[\[(text|bash|tool|events|wait|speed|line|x)?:?|\]\]|[\[\]{}:=>0-9é ]|rate:){0,30}") {
        let _ = parse(&prompt);
    }

    #[test]
    fn balanced_text_is_said_as_it_is(text in r"[a-z é\n]{0,20}(\[[a-z]{0,5}\]|\[\[[a-z ]{0,5}\]\]){0,3}[a-z é]{0,9}") {
        let script = parse(&format!("x[[text:{text}]]y")).unwrap();
        prop_assert_eq!(script.steps, [Step::Say(text)]);
    }
}
