//! The real agent program, pinned in `tests/claude`, and the home and environment it gets: nothing of this machine's.

use std::fs;
use std::path::{Path, PathBuf};

use super::mock_api::MockApi;

/// The agent that the tests' home defines.
pub(crate) const AGENT: &str = "breakglass";

/// A model name that the program knows; the mock does not care.
pub(crate) const MODEL: &str = "claude-sonnet-4-5";

/// Where programs are found in every environment that the tests build.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The program that `tests/run` installs.
pub(crate) fn program() -> PathBuf {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => panic!("the real agent program is not pinned for {other}"),
    };
    let package = format!("tests/claude/node_modules/@anthropic-ai/claude-code-linux-{arch}/claude");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(package);
    assert!(program.exists(), "the real agent program is not installed ({}): run tests/run", program.display());
    program
}

/// Makes `home` a home folder in which the agent [`AGENT`] exists.
pub(crate) fn make_home(home: &Path) {
    let agents = home.join(".claude/agents");
    fs::create_dir_all(&agents).expect("a temporary folder is writable");
    let agent = format!("---\nname: {AGENT}\ndescription: Recovers broken machines\n---\nYou recover machines.\n");
    fs::write(agents.join(format!("{AGENT}.md")), agent).expect("a temporary folder is writable");
}

/// The environment in which the program talks to the mock and to nobody else.
pub(crate) fn environment(home: &Path, api: &MockApi) -> Vec<(String, String)> {
    let home_text = home.display().to_string();
    let tmp = home.join("tmp");
    fs::create_dir_all(&tmp).expect("a temporary folder is writable");
    [
        ("PATH", PATH),
        ("HOME", &home_text),
        ("LANG", "C.UTF-8"),
        ("IS_SANDBOX", "1"),
        ("ANTHROPIC_BASE_URL", &api.url()),
        ("ANTHROPIC_API_KEY", "sk-ant-test-local"),
        ("DISABLE_TELEMETRY", "1"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("DISABLE_ERROR_REPORTING", "1"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("CLAUDE_CODE_TMPDIR", &tmp.display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
