//! Settings: listed where people look for them, and refused in one clear line.

use std::collections::BTreeSet;
use std::process::{Command, Output};

fn breakglass(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakglass"));
    command.env_clear().envs(variables.iter().copied()).args(args).output().expect("the program runs")
}

fn variables(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    words
        .filter(|word| word.len() > "BREAKGLASS_".len() && word.starts_with("BREAKGLASS_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn readme_and_help_list_the_same_settings() {
    let mut help = BTreeSet::new();
    // The gateway's own, and those of the commands for terminals.
    for args in [&["--help"][..], &["attach", "--help"]] {
        let printed = breakglass(args, &[]);
        assert!(printed.status.success(), "{args:?}");
        help.extend(variables(&String::from_utf8_lossy(&printed.stdout)));
    }
    assert!(help.contains("BREAKGLASS_LISTEN") && help.contains("BREAKGLASS_MAX_CONCURRENT_TURNS"), "{help:?}");
    assert_eq!(variables(include_str!("../README.md")), help);
}

#[test]
fn a_bad_setting_ends_in_one_line_with_status_64() {
    type Case = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);
    let table: [Case; 16] = [
        (&["serve", "--listen", "nowhere"], &[], "--listen"),
        (&[], &[("BREAKGLASS_LISTEN", "127.0.0.1:99999")], "--listen"),
        (&[], &[("BREAKGLASS_DATA", "")], "data"),
        (&[], &[("BREAKGLASS_SESSIONS_DIR", "")], "sessions-dir"),
        (&[], &[("BREAKGLASS_AGENT", "")], "agent"),
        (&[], &[("BREAKGLASS_AGENT", "--help")], "agent"),
        (&[], &[("BREAKGLASS_MODEL", "two words")], "model"),
        (&[], &[("BREAKGLASS_TURN_TIMEOUT_SECONDS", "0")], "turn-timeout-seconds"),
        (&[], &[("BREAKGLASS_TURN_TIMEOUT_SECONDS", "soon")], "turn-timeout-seconds"),
        (&[], &[("BREAKGLASS_MAX_CONCURRENT_TURNS", "-1")], "max-concurrent-turns"),
        (&[], &[("BREAKGLASS_KEEP_SESSIONS_DAYS", "0")], "keep-sessions-days"),
        (&[], &[("BREAKGLASS_KEEP_SESSIONS_MIB", "a lot")], "keep-sessions-mib"),
        (&[], &[("BREAKGLASS_PUBLIC_URL", "example.org")], "public-url"),
        (&["serve", "--log", "a=b=c"], &[], "--log"),
        (&["fly"], &[], "fly"),
        (&["token", "add", "x", "--role", "king"], &[], "king"),
    ];
    for (args, variables, names) in table {
        let ended = breakglass(args, variables);
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(64), "{args:?} {variables:?}: {stderr}");
        assert!(stderr.lines().count() == 1 && stderr.contains(names), "{args:?} {variables:?}: {stderr}");
        assert!(ended.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn secrets_and_hidden_commands_are_not_in_the_help() {
    let help = breakglass(&["--help"], &[]);
    let help = String::from_utf8_lossy(&help.stdout);
    assert!(!help.contains("supervise") && !help.contains("cage"), "{help}");
}

#[test]
fn commands_beside_a_gateway_take_only_what_they_use() {
    for command in ["token", "access"] {
        let help = String::from_utf8(breakglass(&[command, "--help"], &[]).stdout).expect("UTF-8");
        assert_eq!(variables(&help), ["BREAKGLASS_DATA", "BREAKGLASS_LOG"].map(str::to_owned).into(), "{command}");
    }
}
