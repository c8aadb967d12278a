//! `attach`: what it shows, and that nothing is missed or shown twice, whatever dies.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::terminal::Terminal;
use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;

/// Prints `line 1` to `line 900` in three equal parts, each behind a gate of its own.
const LINES: &str = r#"init
i=0; for gate in 1 2 3; do
  wait_gate $gate
  while [ $i -lt $((gate * 300)) ]; do i=$((i + 1)); text "line $i"; done
done
result counted"#;

#[tokio::test]
async fn a_whole_turn_reads_as_people_expect() {
    let mut scene = Scene::drill().await;
    let mut attach = Terminal::of(&scene.gateway).start(&["attach", &scene.session]);
    attach.said("live from here").await;
    let prompt = "[[text:checking the disk]][[bash:df -h /var => 100% full]][[fail:false]][[error:out of luck]]";
    scene.viewer.prompt(&scene.session, prompt).await;
    let lines = attach.until("= error after").await;
    // Behind the date: the time, a space, and what happened.
    let said: Vec<&str> = lines[1..].iter().map(|line| line.get(9..).unwrap_or_default()).collect();
    assert!(said[0].starts_with("first> [[text:checking"), "{lines:?}");
    for expected in ["checking the disk", "$ df -h /var", "  100% full", "$ false"] {
        assert!(said.contains(&expected), "`{expected}` is not in {lines:#?}");
    }
    assert!(said.iter().any(|line| line.starts_with("! ") && line.contains("out of luck")), "{lines:#?}");
    assert!(said.last().is_some_and(|line| line.ends_with(", exit code 1")), "{lines:#?}");
}

#[tokio::test]
async fn nothing_is_missed_or_doubled_over_kills_and_a_planned_restart_in_one_turn() {
    let agent = FakeAgent::shell(LINES);
    let mut scene = Scene::with(&agent).await;
    let mut attach = Terminal::of(&scene.gateway).start(&["attach", &scene.session, "--json"]);
    scene.viewer.prompt(&scene.session, "count").await;
    let mut seen = Vec::new();
    for (gate, is_planned) in [("1", false), ("2", true), ("3", false)] {
        agent.open(gate);
        let number: usize = gate.parse().expect("a number");
        seen.extend(attach.until(&format!(r#""line {}""#, number * 300 - 150)).await);
        if is_planned {
            scene.gateway.terminate().await;
        } else {
            scene.gateway.kill_9().await;
        }
        attach.said("connection lost").await;
        scene.gateway.restart().await;
        attach.said("connection is back").await;
    }
    seen.extend(attach.until(r#""kind":"turn_end""#).await);
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.event_of_kind(&scene.session, "turn_end").await;
    let log = scene.viewer.whole_log(&scene.session);
    assert!(seen == log, "{} lines were printed, {} are in the log", seen.len(), log.len());
    assert_eq!(seen.iter().filter(|record| record.contains(r#""text":"line "#)).count(), 900);
}

#[tokio::test]
async fn a_part_of_the_log_can_be_asked_for_and_ctrl_c_stops_no_turn() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "started").await;
    let terminal = Terminal::of(&scene.gateway);
    // By the beginning of its id, in capitals.
    let beginning = scene.session[..8].to_uppercase();
    // `user`, `session` and `started` are there.
    for (asked, first) in [(["--after", "2"], 3), (["--tail", "2"], 2)] {
        let mut attach = terminal.start(&["attach", &beginning, "--json", asked[0], asked[1]]);
        let lines = attach.until(r#""text":"started""#).await;
        assert!(lines[0].contains(&format!(r#""seq":{first},"#)), "{asked:?}: {lines:?}");
        attach.interrupt();
        assert!(!attach.ended().await.success());
    }
    agent.open("go");
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "ok");
}

#[tokio::test]
async fn hostile_text_is_harmless_and_still_there() {
    let agent = FakeAgent::shell(
        r#"init
text 'prose \u001b[2J\u001b]0;owned\u0007 \u202edlrow \u009b31m end'
emit '{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t","name":"Ba\u001bsh","input":{"path":"/tmp/\u001b[1Ax\u202e"}}]}}'
emit '{"type":"assistant","message":{"content":[{"type":"tool_use","id":"u","name":"Bash","input":{"command":"ls \u001b[8m; rm -rf /\u200b"}}]}}'
emit '{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"u","content":"\u001b[31mred\u001b[0m 10%\r100% \u001b]8;;http://h\u0007link\u001bP1$r\u001b\\\\","is_error":false}]}}'
printf 'stderr \033[2J\033c\n' >&2
exit 3"#,
    );
    let mut scene = Scene::with(&agent).await;
    let mut attach = Terminal::of(&scene.gateway).start(&["attach", &scene.session]);
    attach.said("live from here").await;
    scene.viewer.prompt(&scene.session, "a prompt \u{1b}[2J\u{7} too").await;
    let lines = attach.until("= error after").await;
    let text = lines.join("\n");
    let harmful = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!text.contains(harmful), "{text:?}");
    for expected in [r"a prompt \x1b[2J\x07 too", r"\u{202e}dlrow \x9b31m end", r"Ba\x1bsh /tmp/\x1b[1Ax\u{202e}"] {
        assert!(text.contains(expected), "`{expected}` is not in {text}");
    }
    assert!(text.contains(r"$ ls \x1b[8m; rm -rf /\u{200b}"), "a command shows what ran: {text}");
    assert!(text.contains("  100% link"), "an output reads as on a terminal: {text}");
}

#[tokio::test]
async fn a_restored_log_is_shown_anew_and_said_so() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:kept]]").await;
    scene.gateway.terminate().await;
    let (data, backup) = (scene.gateway.data(), scene.gateway.data().with_file_name("backup"));
    copy_database(&data, &backup);
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.prompt(&scene.session, "[[text:to be lost]]").await;
    let mut attach = Terminal::of(&scene.gateway).start(&["attach", &scene.session, "--json"]);
    attach.until(r#""text":"to be lost""#).await;
    scene.viewer.said(&scene.session, "to be lost").await;
    attach.until("turn_end").await;

    scene.gateway.terminate().await;
    copy_database(&backup, &data);
    scene.gateway.restart().await;
    attach.said("restored from a backup").await;
    let mut viewer = Viewer::connect(&scene.gateway).await;
    viewer.attach(&scene.session, 0).await;
    viewer.caught_up(&scene.session).await;
    let seen = attach.until("turn_end").await;
    assert_eq!(seen, viewer.whole_log(&scene.session));
}

/// Copies the database, and what belongs to it, over another.
fn copy_database(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a temporary folder is writable");
    for name in ["breakglass.db", "breakglass.db-wal", "breakglass.db-shm"] {
        let _ = fs::remove_file(to.join(name));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).expect("a file can be copied");
        }
    }
}

#[tokio::test]
async fn it_ends_quietly_when_nobody_reads_it_and_clearly_when_its_token_is_revoked() {
    let mut scene = Scene::drill().await;
    let unread = Terminal::of(&scene.gateway).start(&["attach", &scene.session]).close_stdout();
    let token = scene.gateway.add_token("mallory", "viewer").await;
    let mut revoked = Terminal::at(&scene.gateway.url(), &token).start(&["attach", &scene.session]);
    revoked.said("live from here").await;
    scene.viewer.turn(&scene.session, "[[text:x]]").await;
    let (status, said) = unread.ended().await;
    assert_eq!(status.code(), Some(141), "{said}");
    assert!(!said.contains("breakglass:"), "{said}");

    scene.gateway.cli(&["token", "revoke", "mallory"]).await;
    let said = revoked.said("breakglass: ").await;
    assert!(said.contains("4401") && said.contains("revoked"), "{said}");
    assert_eq!(revoked.ended().await.code(), Some(77));
}

#[tokio::test]
async fn two_terminals_and_a_page_see_the_same() {
    let mut scene = Scene::start(Gateway::builder(), "drill").await;
    let terminal = Terminal::of(&scene.gateway);
    let mut both = [terminal.start(&["attach", "last", "--json"]), terminal.start(&["attach", "last", "--json"])];
    scene.viewer.turn(&scene.session, "[[events:500]]").await;
    let log = scene.viewer.whole_log(&scene.session);
    for attach in &mut both {
        assert!(attach.until("turn_end").await == log);
    }
    assert_eq!(scene.viewer.request(json!({"type": "ping"})).await["type"], "pong");
}
