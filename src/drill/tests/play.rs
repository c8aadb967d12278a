//! The made-up recoveries, and the likeness of the drill's lines to claude's.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::{ID, Run, play, play_until};
use crate::agent::translate::Note;
use crate::drill::play::{Play, Step};
use crate::drill::stage::Signal;

const PROMPTS: [&str; 5] = [
    "The disk is full and a service is down",
    "something eats all memory, redis gets killed by the OOM",
    "network: payments cannot be reached, DNS?",
    "nginx says 502, the unit will not start",
    "please do a triage of this machine",
];

fn steps(prompt: &str) -> Vec<Step> {
    Play::of(prompt, &[]).unwrap().steps
}

fn fast(prompt: &str) -> Run {
    play(&format!("[[speed:max]] {prompt}"))
}

#[test]
fn a_recovery_takes_half_a_minute() {
    for prompt in PROMPTS {
        let time = |step: Step| match step {
            Step::Pause(time) => time,
            Step::Use(tool) => tool.takes,
            _ => Duration::ZERO,
        };
        let total: Duration = steps(prompt).into_iter().map(time).sum();
        assert!((20..=40).contains(&total.as_secs()), "{prompt}: {total:?}");
    }
}

#[test]
fn a_recovery_looks_like_one() {
    for prompt in PROMPTS {
        let run = fast(prompt);
        assert_eq!((run.code, run.err.as_str()), (0, ""));
        assert_eq!(run.notes(), [Note::Init, Note::Result { is_error: false }]);
        let bodies = run.bodies();
        let tools: BTreeSet<&str> = bodies.iter().filter_map(|body| body["name"].as_str()).collect();
        assert_eq!(tools, BTreeSet::from(["Bash", "Edit", "Read", "TodoWrite"]), "{prompt}");
        let failures = bodies.iter().filter(|body| body["kind"] == "tool_result" && body["is_error"] == true).count();
        assert_eq!(failures, 1, "{prompt}");
        let texts: Vec<&str> = bodies.iter().filter_map(|body| body["text"].as_str()).collect();
        assert!(texts[0].contains("rehearsal") && texts[0].contains(&format!("“{prompt}”")), "{}", texts[0]);
        let summary = texts.last().unwrap();
        assert!(
            summary.contains("**") && summary.ends_with("(End of the rehearsal. No command was run.)"),
            "{summary}"
        );
        assert!(texts.len() >= 5 && bodies.last().unwrap()["result"] == *summary);
    }
}

#[test]
fn words_choose_the_recovery() {
    let told: BTreeSet<String> = PROMPTS.iter().map(|prompt| format!("{:?}", &steps(prompt)[2..])).collect();
    assert_eq!(told.len(), PROMPTS.len());
    let checklist = |prompt: &str, earlier: &[String]| {
        let steps = Play::of(prompt, earlier).unwrap().steps;
        let tool =
            steps.into_iter().find_map(|step| if let Step::Use(tool) = step { Some(tool) } else { None }).unwrap();
        tool.input["todos"][0]["content"].as_str().unwrap().to_owned()
    };
    assert_eq!(checklist("help!", &[]), "Find what fills the disk");
    assert_eq!(checklist("help!", &["disk full".to_owned()]), "Load, memory, disks");
    assert_eq!(checklist("NETWORK?", &["disk full".to_owned()]), "Find the layer that is broken");
}

/// The names of an object's fields, of its message's, and of its first block's.
fn fields(value: &Value) -> BTreeSet<String> {
    let places = [("", value), ("message.", &value["message"]), ("content.", &value["message"]["content"][0])];
    let names = |(place, value): (&str, &Value)| {
        let place = place.to_owned();
        value
            .as_object()
            .into_iter()
            .flat_map(|object| object.keys())
            .map(move |key| format!("{place}{key}"))
            .collect::<Vec<_>>()
    };
    places.into_iter().flat_map(names).collect()
}

/// No line of the drill has a field that claude's line of that kind lacks, and none lacks what readers use.
#[test]
fn lines_have_claudes_fields() {
    let real: Vec<Value> = include_str!("../../../tests/agent/fixtures/tool.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ours = play("[[text:a]][[fail:x => y]][[text:b]]").values();
    assert_eq!(ours.len(), real.len());
    for (ours, real) in ours.iter().zip(&real) {
        assert_eq!(ours["type"], real["type"]);
        let (ours, real) = (fields(ours), fields(real));
        let made_up: Vec<_> = ours.difference(&real).filter(|name| *name != "drill_version").collect();
        assert_eq!(made_up, [""; 0]);
        let used = [
            "type",
            "subtype",
            "uuid",
            "session_id",
            "message.id",
            "message.role",
            "duration_ms",
            "num_turns",
            "total_cost_usd",
            "terminal_reason",
            "timestamp",
            "parent_tool_use_id",
            "tool_use_result",
            "cwd",
            "tools",
            "model",
        ];
        let missing: Vec<_> = used.iter().filter(|name| real.contains(**name) && !ours.contains(**name)).collect();
        assert_eq!(missing, [&""; 0]);
        assert!(real.iter().filter(|name| name.starts_with("content.")).all(|name| ours.contains(name)));
    }
    assert_eq!(ours[0]["session_id"], ID);
    assert_eq!(ours[0]["model"], "opus");
    assert_eq!(ours[1]["message"]["id"], ours[2]["message"]["id"], "one message until a tool comes back");
    assert_ne!(ours[2]["message"]["id"], ours[4]["message"]["id"]);
    assert_eq!(ours[5]["num_turns"], 2);
}

#[test]
fn a_line_is_one_write() {
    let run = fast("disk full");
    assert!(
        run.writes
            .iter()
            .all(|write| write.iter().filter(|byte| **byte == b'\n').count() == 1 && write.ends_with(b"\n"))
    );
}

#[test]
fn an_interrupted_tool_says_so() {
    let run = play_until("disk full [[speed:1000]]", Some(("df -h", Signal::Interrupt)));
    assert_eq!(run.code, 0);
    assert!(run.kinds().ends_with(" text tool tool_result result"), "{}", run.kinds());
    let events = run.events();
    let [.., tool, result, _] = events.as_slice() else { panic!() };
    assert_eq!(tool.reference, result.reference);
    let killed = play_until("disk full [[speed:1000]]", Some(("df -h", Signal::Terminate)));
    assert_eq!(killed.code, 143);
    assert_eq!(killed.bodies().last().unwrap()["output"], "Exit code 137");
}
