//! The index against the plainest matcher: split every record, compare word by word.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::{all, escaped, settled};
use crate::support::scene::Scene;

/// Questions that are asked.
const QUESTIONS: u32 = 300;

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// What people can read of a record.
fn readable(record: &Value) -> Vec<String> {
    fn leaves(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::String(text) => into.extend(words(text)),
            Value::Array(items) => items.iter().for_each(|item| leaves(item, into)),
            Value::Object(members) => members.values().for_each(|member| leaves(member, into)),
            Value::Number(number) => into.extend(words(&number.to_string())),
            _ => {}
        }
    }
    let fields: &[&str] = match record["kind"].as_str().expect("a kind") {
        "user" | "text" => &["text"],
        "tool" => &["name", "input"],
        "tool_result" => &["output"],
        "result" => &["result"],
        "error" => &["error"],
        "status" => &["detail"],
        "session" => &["session_id"],
        _ => &[],
    };
    let mut found = Vec::new();
    fields.iter().for_each(|field| leaves(&record[field], &mut found));
    found
}

/// A piece of a question: as it is typed, and whether in quotes.
#[derive(Debug, Clone)]
struct Piece {
    typed: String,
    is_quoted: bool,
}

fn fits(question: &[Piece], text: &[String]) -> bool {
    let pieces: Vec<(Vec<String>, bool)> = question
        .iter()
        .map(|piece| (words(&piece.typed), piece.is_quoted))
        .filter(|(words, _)| !words.is_empty())
        .collect();
    pieces.iter().enumerate().all(|(at, (wanted, is_quoted))| {
        let goes_on = at + 1 == pieces.len() && !is_quoted;
        (0..text.len()).any(|from| {
            wanted.iter().enumerate().all(|(offset, word)| {
                let last = offset + 1 == wanted.len();
                text.get(from + offset)
                    .is_some_and(|found| if last && goes_on { found.starts_with(word) } else { found == word })
            })
        })
    })
}

const VOCABULARY: [&str; 14] = [
    "disk", "disks", "Full", "full", "/var/log", "sda1", "max_conn", "été", "ÉTÉ", "no", "space", "left", "97%",
    "x.y.z",
];

fn piece() -> impl Strategy<Value = Piece> {
    let word = prop::sample::select(VOCABULARY.to_vec());
    let part = (word, 0usize..5)
        .prop_map(|(word, cut)| word[..word.floor_char_boundary(word.len() - cut.min(word.len() - 1))].to_owned());
    prop_oneof![
        4 => part.clone().prop_map(|typed| Piece { typed, is_quoted: false }),
        2 => prop::collection::vec(part, 1..4).prop_map(|parts| Piece { typed: parts.join(" "), is_quoted: true }),
        1 => "[-*^():,.{}+]{1,3}".prop_map(|typed| Piece { typed, is_quoted: false }),
    ]
}

/// Prose and tools of a few words each, always the same.
fn script() -> String {
    let mut script = "[[speed:max]]".to_owned();
    for number in 0..60_usize {
        let word = |step: usize| VOCABULARY[(number * step + step) % VOCABULARY.len()];
        let text = format!("{} {}, {} {}", word(1), word(3), word(5), word(1 + number % 7));
        script.push_str(&match number % 3 {
            0 => format!("[[text:{text}]]"),
            1 => format!("[[bash:{text} => {} {}\n{}]]", word(2), word(11), word(13)),
            _ => format!(
                "[[tool:Edit {{\"path\":\"{}\",\"lines\":[{number},\"{}\"]}} => {}]]",
                word(5),
                word(9),
                word(4)
            ),
        });
    }
    script
}

#[test]
fn found_is_what_the_plainest_matcher_finds() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let (scene, log) = runtime.block_on(async {
        let mut scene = Scene::drill().await;
        scene.viewer.turn(&scene.session, &script()).await;
        scene.viewer.turn(&scene.session, "[[error:no space left on sda1]]").await;
        settled(&scene.gateway.http()).await;
        let log = scene.viewer.whole_log(&scene.session);
        (scene, log)
    });
    let records: Vec<Value> = log.iter().map(|record| serde_json::from_str(record).expect("JSON")).collect();
    let texts: Vec<(u64, Vec<String>)> =
        records.iter().map(|record| (record["seq"].as_u64().expect("a seq"), readable(record))).collect();
    let http = scene.gateway.http();
    let mut found_some = 0;
    let mut runner = TestRunner::new(Config { cases: QUESTIONS, failure_persistence: None, ..Config::default() });
    let asked = runner.run(&prop::collection::vec(piece(), 1..4), |question| {
        if question.iter().all(|piece| words(&piece.typed).is_empty()) {
            return Ok(());
        }
        let typed: Vec<String> = question
            .iter()
            .map(|piece| if piece.is_quoted { format!("\"{}\"", piece.typed) } else { piece.typed.clone() })
            .collect();
        let found = runtime.block_on(all(&http, &format!("q={}&limit=100", escaped(&typed.join(" ")))));
        let found: Vec<u64> = found.into_iter().map(|(_, seq)| seq).collect();
        let wanted: Vec<u64> =
            texts.iter().rev().filter(|(_, text)| fits(&question, text)).map(|(seq, _)| *seq).collect();
        prop_assert_eq!(found, wanted, "{:?}", typed);
        Ok(())
    });
    if let Err(error) = asked {
        panic!("{error}");
    }
    for question in ["disk", "\"no space\"", "/var/lo", "été full"] {
        found_some += usize::from(!runtime.block_on(all(&http, &format!("q={}", escaped(question)))).is_empty());
    }
    assert!(found_some >= 3, "the questions fit something");
    let _inside = runtime.enter();
    drop(scene);
}
