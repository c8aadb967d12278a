//! The drill's face: arguments, refusals, conversations.

use std::fs;

use super::{ID, face, play, run};
use crate::agent::command::{Conversation, drill};
use crate::agent::translate::{Note, StartProblem, start_problem};

const GOOD: Note = Note::Result { is_error: false };

#[test]
fn it_takes_the_command_line_that_the_gateway_makes() {
    let dir = tempfile::tempdir().unwrap();
    for (conversation, prompt) in [
        (Conversation::Open(ID.parse().unwrap()), "--help [[text:one]]".to_owned()),
        (Conversation::Resume(ID.parse().unwrap()), "/clear [[text:two]]".to_owned()),
        (Conversation::Resume(ID.parse().unwrap()), format!("[[text:three]]{}", "x".repeat(200_000))),
    ] {
        let command = drill("opus", conversation, &prompt);
        let args: Vec<&str> = command.args[1..].iter().map(String::as_str).collect();
        let run = run(dir.path(), &args, command.stdin.as_deref().unwrap_or_default(), None);
        assert_eq!((run.code, run.kinds().as_str(), run.err.as_str()), (0, "session text result", ""));
    }
}

#[test]
fn a_conversation_is_opened_once_resumed_often_and_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let turn = |flag, prompt| run(dir.path(), &face([flag, ID], prompt), "", None);

    let lost = turn("--resume", "[[text:x]]");
    assert_eq!((lost.code, lost.kinds().as_str()), (1, "result"));
    assert_eq!(lost.notes(), [Note::LostConversation]);
    assert_eq!(start_problem(&lost.err), Some(StartProblem::ConversationLost));
    assert_eq!(lost.values()[0]["errors"][0], format!("No conversation found with session ID: {ID}"));
    assert!(!dir.path().join(".drill").exists());

    assert_eq!(
        turn("--session-id", "first\nwords [[recall]]").bodies()[1]["text"],
        "Nothing was asked earlier in this conversation."
    );
    let in_use = turn("--session-id", "[[text:x]]");
    assert_eq!((in_use.code, in_use.out().as_str()), (1, ""));
    assert_eq!(in_use.err, format!("Error: Session ID {ID} is already in use.\n"));
    assert_eq!(start_problem(&in_use.err), Some(StartProblem::ConversationInUse));

    let second = turn("--resume", "[[recall]]");
    assert_eq!(second.notes(), [Note::Init, GOOD]);
    assert_eq!(
        second.bodies()[1]["text"],
        "I remember this conversation: 1 prompt before this one (“first words [[recall]]”)."
    );
    for _ in 0..3 {
        turn("--resume", "[[text:x]]");
    }
    let last = turn("--resume", "look around [[recall]]").bodies()[1]["text"].as_str().unwrap().to_owned();
    assert!(
        last.starts_with("I remember this conversation: 5 prompts before this one (2 more, then “[[text:x]]”"),
        "{last}"
    );
    let recovery = turn("--resume", "and [[speed:max]]");
    assert!(recovery.bodies()[1]["text"].as_str().unwrap().contains("6 prompts"));

    let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, [".drill"]);
    assert_eq!(fs::read_dir(dir.path().join(".drill")).unwrap().count(), 1);
}

#[test]
fn a_damaged_or_missing_memory_is_no_reason_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(".drill")).unwrap();
    fs::write(dir.path().join(format!(".drill/{ID}.jsonl")), b"\xff\n{\"prompt\":7}\n{\"prompt\":\"good\"}\n{\"pro")
        .unwrap();
    let resumed = run(dir.path(), &face(["--resume", ID], "[[recall]]"), "", None);
    assert!(resumed.bodies()[1]["text"].as_str().unwrap().contains("1 prompt before this one (“good”)"));

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".drill"), "in the way").unwrap();
    let run = run(dir.path(), &face(["--session-id", ID], "[[text:x]]"), "", None);
    assert_eq!((run.code, run.kinds().as_str()), (0, "session text result"));
    assert!(run.err.starts_with("Warning: this conversation cannot be resumed: "), "{}", run.err);
}

#[test]
fn ids_are_kept_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let upper = ID.to_uppercase();
    let run = run(dir.path(), &face(["--session-id", &upper], "[[text:x]]"), "", None);
    assert_eq!(run.bodies()[0]["session_id"], upper);
}

#[test]
fn the_prompt_may_be_on_stdin() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path(), &["-p", "--verbose", "--output-format=stream-json"], "[[text:from stdin]]\n", None);
    assert_eq!(run.bodies()[1]["text"], "from stdin");
}

#[test]
fn refusals_are_claudes() {
    let empty = "Error: Input must be provided either through stdin or as a prompt argument when using --print";
    let cases: [(&[&str], &str); 13] = [
        (&["-p", "--verbose", "- item"], "error: unknown option '- item'"),
        (&["-p", "--verbose", "--mcp-config", "x"], "error: unknown option '--mcp-config'"),
        (&["-p", "--verbose", "--bad=1"], "error: unknown option '--bad=1'"),
        (&["-p", "--verbose", "--model"], "error: option '--model <value>' argument missing"),
        (&["-p", "--verbose", "--", ""], empty),
        (&["-p", "--verbose"], empty),
        (&["-p", "--verbose", "--", " \n"], "Error: Input contained only whitespace."),
        (&["-p", "--verbose", "--session-id", "x", "y"], "Error: Invalid session ID. Must be a valid UUID."),
        (&["-p", "--verbose", "--resume", "../../x", "y"], "Error: --resume requires a valid session ID"),
        (
            &["-p", "--verbose", "--resume", ID, "--session-id", ID, "y"],
            "Error: --session-id with --continue or --resume also needs",
        ),
        (
            &["-p", "--output-format", "stream-json", "x"],
            "Error: When using --print, --output-format=stream-json requires --verbose",
        ),
        (
            &["-p", "--verbose", "--output-format", "text", "x"],
            "Error: the drill prints `stream-json` only, not `text`",
        ),
        (&["--verbose", "x"], "Error: the drill is not interactive"),
    ];
    for (args, message) in cases {
        let dir = tempfile::tempdir().unwrap();
        let run = run(dir.path(), args, "", None);
        assert_eq!((run.code, run.out().as_str()), (1, ""), "{args:?}");
        assert!(run.err.starts_with(message) && run.err.ends_with('\n'), "{args:?}: {}", run.err);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn help_lists_every_directive() {
    let dir = tempfile::tempdir().unwrap();
    let help = run(dir.path(), &["--help"], "", None);
    assert_eq!(help.code, 0);
    let listed: Vec<String> = help
        .out()
        .match_indices("[[")
        .map(|(at, _)| help.out()[at + 2..].chars().take_while(char::is_ascii_lowercase).collect())
        .collect();
    assert!(listed.len() > 20);
    for name in listed {
        let run = play(&format!("[[noresult]][[{name}:?]]"));
        assert!(!run.err.contains("is not a directive"), "{name}: {}", run.err);
    }
}
