//! argv, environment, and where the program is.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::agent::command::{ARGUMENT_BYTES_MAX, Conversation, NoAgent, claude, drill, environment, find_program};
use crate::ids::SessionId;

const ID: &str = "0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55";

fn id() -> SessionId {
    ID.parse().unwrap()
}

#[test]
fn argv_is_the_seeds_with_a_guarded_prompt() {
    let command = claude(Path::new("/opt/claude"), "breakglass", "opus", Conversation::Open(id()), "--help; rm -rf /");
    assert_eq!(command.program, Path::new("/opt/claude"));
    let expected = format!(
        "-p --agent breakglass --dangerously-skip-permissions --output-format stream-json --verbose --model opus --session-id {ID} --"
    );
    let mut expected: Vec<&str> = expected.split(' ').collect();
    expected.push("--help; rm -rf /");
    assert_eq!(command.args, expected);
    assert_eq!(command.stdin, None);
    let again = claude(Path::new("/opt/claude"), "breakglass", "opus", Conversation::Resume(id()), "x");
    assert_eq!(again.args[9..], ["--resume", ID, "--", "x"]);
}

#[test]
fn the_drill_has_the_same_face() {
    let ours = drill("opus", Conversation::Resume(id()), "x");
    let theirs = claude(Path::new("claude"), "drill", "opus", Conversation::Resume(id()), "x");
    assert_eq!(ours.program, Path::new("/proc/self/exe"));
    assert_eq!(ours.args[0], "drill");
    assert_eq!(ours.args[1..], theirs.args);
}

#[test]
fn a_slash_is_text() {
    for (prompt, given) in [("/clear", " /clear"), ("/", " /"), (" /clear", " /clear"), ("a/b", "a/b"), ("", "")] {
        assert_eq!(drill("m", Conversation::Open(id()), prompt).args.last().unwrap(), given);
    }
    let long = format!("/{}", "x".repeat(ARGUMENT_BYTES_MAX));
    let stdin = drill("m", Conversation::Open(id()), &long).stdin.unwrap();
    assert!(stdin.starts_with(" /xxx"));
}

#[test]
fn a_long_prompt_goes_through_stdin() {
    assert_eq!(ARGUMENT_BYTES_MAX, 131_071);
    let cases = [
        ("x", 131_071, false),
        ("x", 131_072, true),
        ("/", 131_070, false),
        ("/", 131_071, true),
        ("é", 65_535, false),
        ("é", 65_536, true),
    ];
    for (unit, repeat, long) in cases {
        let prompt = unit.repeat(repeat);
        let command = drill("m", Conversation::Open(id()), &prompt);
        assert_eq!(command.stdin.is_some(), long, "{unit} {repeat}");
        assert_eq!(command.args.iter().any(|arg| arg == "--"), !long);
        assert!(command.args.iter().all(|arg| arg.len() <= ARGUMENT_BYTES_MAX));
    }
}

#[test]
fn only_what_is_allowed_or_named_reaches_the_agent() {
    let odd = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let allowed = "HOME PATH USER LANG LC_ALL LC_TIME TZ TERM TMPDIR SSH_AUTH_SOCK HTTP_PROXY https_proxy NO_PROXY \
        no_proxy ALL_PROXY IS_SANDBOX ANTHROPIC_API_KEY ANTHROPIC_BASE_URL \
        CLAUDE_CODE_OAUTH_TOKEN CLAUDE_CONFIG_DIR";
    let allowed: Vec<&str> = allowed.split_whitespace().collect();
    let refused = "AWS_SECRET_ACCESS_KEY GOOGLE_APPLICATION_CREDENTIALS GITHUB_TOKEN LD_PRELOAD NODE_OPTIONS BASH_ENV \
        DATABASE_URL BREAKGLASS_TOKEN BREAKGLASS_MASK HOMEX XHOME home LANGUAGE AWS_REGION MY_VAR MY_OTHER";
    let names = || allowed.iter().copied().chain(refused.split_whitespace()).map(OsString::from);
    let all = || names().chain([odd(b"LC_\xff"), odd(b"\xff")]).map(|name| (name, odd(b"v\xff")));
    let given = |named: &[&str]| environment(all(), named).into_iter().map(|(name, _)| name).collect::<Vec<_>>();

    let mut expected: Vec<OsString> = allowed.iter().map(OsString::from).collect();
    expected.push(odd(b"LC_\xff"));
    assert_eq!(given(&[]), expected);
    let more = given(&["AWS_REGION", "MY_*", "BREAKGLASS_TOKEN", "BREAKGLASS_*"]);
    for name in ["AWS_REGION", "MY_VAR", "MY_OTHER"] {
        assert!(more.iter().any(|given| given == name), "{name}");
    }
    assert_eq!(more.len(), expected.len() + 3, "never our own settings: {more:?}");
}

fn program(file: &Path, mode: u32) -> PathBuf {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "#!/bin/true\n").unwrap();
    fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    file.to_owned()
}

#[test]
fn a_name_is_searched_in_path() {
    let dir = tempfile::tempdir().unwrap();
    let cwd = dir.path();
    fs::create_dir_all(cwd.join("a/claude")).unwrap();
    program(&cwd.join("b/claude"), 0o644);
    let third = program(&cwd.join("c/claude"), 0o755);
    program(&cwd.join("d/claude"), 0o755);
    let path = std::env::join_paths(["a", "b", "c", "d", "none"].map(|folder| cwd.join(folder))).unwrap();
    let find = |path: Option<&OsStr>| find_program(OsStr::new("claude"), path, cwd);
    assert_eq!(find(Some(&path)), Ok(third.clone()));
    assert_eq!(find(Some(OsStr::new("a:c"))), Ok(third), "relative folders are relative to cwd");
    for nowhere in [None, Some(OsStr::new("")), Some(OsStr::new("/none")), Some(OsStr::new("a:b"))] {
        let error = find(nowhere).unwrap_err();
        assert!(matches!(error, NoAgent::NotInPath { .. }));
        let text = error.to_string();
        for part in
            ["`claude`", "BREAKGLASS_CLAUDE", "install", "`drill`", &nowhere.unwrap_or_default().to_string_lossy()]
        {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn a_path_is_relative_to_cwd_and_becomes_absolute() {
    let dir = tempfile::tempdir().unwrap();
    let cwd = dir.path();
    let file = program(&cwd.join("bin/claude"), 0o755);
    let plain = program(&cwd.join("bin/plain"), 0o644);
    let find = |name: &str| find_program(OsStr::new(name), Some(OsStr::new("/bin")), cwd);
    assert_eq!(find("bin/claude"), Ok(file.clone()));
    assert_eq!(find("./bin/claude"), Ok(file.clone()));
    assert_eq!(find(file.to_str().unwrap()), Ok(file));
    assert_eq!(find("bin/plain"), Err(NoAgent::NotAProgram { program: plain }));
    assert!(find("bin/none").unwrap_err().to_string().contains("bin/none"));
    assert!(find("bin/").is_err());
    assert_eq!(find(""), Err(NoAgent::Empty));
}
