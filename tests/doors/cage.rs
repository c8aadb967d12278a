//! The agent's cage: what it is given, as whom and within which limits it runs, and when it is refused.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::support::agent::FakeAgent;
use crate::support::gateway::{Builder, Gateway};
use crate::support::scene::Scene;

/// A user that every Linux machine has, with a home that is there, and that owns next to nothing.
const OTHER: &str = "daemon";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn the_agent_gets_what_is_allowed_and_named_and_nothing_else() {
    let agent = FakeAgent::polite();
    let settings = Gateway::builder()
        .agent(&agent)
        .env("BREAKGLASS_AGENT_ENV", "TEST_*, AWS_REGION")
        .env("ANTHROPIC_API_KEY", "sk-test")
        .env("CLAUDE_CONFIG_DIR", "/c")
        .env("LC_ALL", "C.UTF-8")
        .env("https_proxy", "http://proxy:3128")
        .env("NODE_EXTRA_CA_CERTS", "/ca.pem")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_SECRET_ACCESS_KEY", "not for agents")
        .env("GOOGLE_APPLICATION_CREDENTIALS", "/not/for/agents")
        .env("DATABASE_URL", "not for agents")
        .env("LD_PRELOAD_X", "not for agents")
        .env("BREAKGLASS_MASK", "not-for-agents");
    let mut scene = Scene::start(settings, "claude").await;
    scene.viewer.turn(&scene.session, "go").await;
    let call = agent.call(1).await;
    let mut names: Vec<&str> = call.env.iter().map(|one| one.split('=').next().expect("a name")).collect();
    names.sort_unstable();
    let expected = "ANTHROPIC_API_KEY AWS_REGION BG_TURN CLAUDE_CONFIG_DIR HOME IS_SANDBOX LANG LC_ALL PATH TEST_GATEWAY \
        https_proxy";
    assert_eq!(names.join(" "), expected);
    assert!(!call.env.join(" ").contains("bg_") && !call.argv.join(" ").contains("bg_"), "no token");
}

#[tokio::test]
async fn our_own_settings_cannot_be_named_for_the_agent() {
    for names in ["BREAKGLASS_MASK", "A,BREAKGLASS_*", "*"] {
        let refused = Gateway::builder().env("BREAKGLASS_AGENT_ENV", names).start_refused().await;
        assert_eq!(refused.status.code(), Some(64), "{names}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("--agent-env"), "{names}");
    }
}

#[tokio::test]
async fn as_root_outside_of_a_sandbox_the_program_decides_and_its_refusal_says_what_to_do() {
    let refusal = "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons";
    let body = format!("case $* in *refuse*) echo '{refusal}' >&2; exit 1;; esac; init; text hello; result hello");
    let agent = FakeAgent::shell(&body);
    let mut scene = Scene::start(Gateway::builder().agent(&agent).env("IS_SANDBOX", "0"), "claude").await;
    let agents = scene.viewer.model.hello()["agents"].clone();
    assert_eq!(agents[0], json!({"name": "claude", "available": true}));
    let went = scene.viewer.turn(&scene.session, "go").await;
    assert_eq!(went.last().expect("an end").text("outcome"), "ok", "a program that works as root may: {went:#?}");
    let refused = scene.viewer.turn(&scene.session, "refuse").await;
    let error = refused.iter().find(|event| event.kind() == "error").expect("why").text("error");
    for part in [refusal, "--agent-user", "IS_SANDBOX=1"] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn limits_reach_the_agent_and_stay_when_none_is_said() {
    let body = "init; cat /proc/self/limits > limits; nice > nice; grep NoNewPrivs /proc/self/status > privs; text ok; result ok";
    let agent = FakeAgent::shell(body);
    let settings = Gateway::builder()
        .agent(&agent)
        .env("BREAKGLASS_AGENT_MEMORY_MIB", "512")
        .env("BREAKGLASS_AGENT_PROCESSES", "4000")
        .env("BREAKGLASS_AGENT_FILE_MIB", "3")
        .env("BREAKGLASS_AGENT_NICE", "7")
        .env("BREAKGLASS_AGENT_NO_NEW_PRIVS", "true");
    let mut scene = Scene::start(settings, "claude").await;
    scene.viewer.turn(&scene.session, "go").await;
    let workspace = scene.gateway.data().join("sessions").join(&scene.session);
    let read = |name: &str| fs::read_to_string(workspace.join(name)).expect("the agent wrote it");
    let limits = read("limits");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).expect("a limit of this name");
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max data size"), ["536870912", "536870912"]);
    assert_eq!(limit("Max processes"), ["4000", "4000"]);
    assert_eq!(limit("Max file size"), ["3145728", "3145728"]);
    assert_eq!(read("privs").split_whitespace().last(), Some("1"));
    let own: i32 = String::from_utf8(std::process::Command::new("nice").output().expect("nice(1)").stdout)
        .expect("a number")
        .trim()
        .parse()
        .expect("a number");
    assert_eq!(read("nice").trim().parse::<i32>().expect("a number"), (own + 7).min(19));
}

#[tokio::test]
async fn an_agent_that_writes_too_much_is_stopped_by_the_limit_and_the_turn_says_so() {
    let agent = FakeAgent::shell("init; head -c 4000000 /dev/zero > big && text 'wrote it all'; result done");
    let settings = Gateway::builder().agent(&agent).env("BREAKGLASS_AGENT_FILE_MIB", "1");
    let mut scene = Scene::start(settings, "claude").await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    assert!(!events.iter().any(|event| event.kind() == "text"), "{events:#?}");
    let big = scene.gateway.data().join("sessions").join(&scene.session).join("big");
    assert_eq!(fs::metadata(big).expect("a part was written").len(), 1 << 20);
}

/// Workspaces that the other user can reach, and an agent that it can run.
fn for_other(agent: &FakeAgent, root: &TempDir) -> Builder {
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own folder");
    };
    open(root.path(), 0o711);
    open(agent.program().parent().expect("it lies in a folder"), 0o777);
    for folder in ["calls", "gates", "pids"] {
        open(&agent.program().parent().expect("it lies in a folder").join(folder), 0o777);
    }
    Gateway::builder()
        .agent(agent)
        .env("IS_SANDBOX", "0")
        .env("BREAKGLASS_AGENT_USER", OTHER)
        .env("BREAKGLASS_SESSIONS_DIR", &root.path().join("sessions").display().to_string())
}

/// Whether this machine has what the tests of another user need: root, and a home for that user.
fn can_be_other() -> bool {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let home = passwd.lines().find_map(|line| line.strip_prefix("daemon:")?.split(':').nth(4).map(str::to_owned));
    is_root() && home.is_some_and(|home| Path::new(&home).is_dir())
}

#[tokio::test]
async fn as_another_user_the_agent_has_its_own_home_no_rights_of_root_and_does_not_see_the_data() {
    if !can_be_other() {
        return;
    }
    let agent = FakeAgent::shell(
        "init; id -u > who; id -g >> who; id -G >> who; echo $HOME $USER >> who; cat \"$TEST_GATEWAY/data/breakglass.db\" > stolen 2>/dev/null; \
         ls \"$TEST_GATEWAY/data\" >> stolen 2>/dev/null; text ok; result ok",
    );
    let root = TempDir::new().expect("a temporary folder can be made");
    let settings = for_other(&agent, &root);
    let mut scene = Scene::start(settings, "claude").await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    assert_eq!(events.last().expect("an end").body()["outcome"], "ok", "{events:#?}");
    let workspace = root.path().join("sessions").join(&scene.session);
    let found = fs::metadata(&workspace).expect("the workspace is there");
    assert_eq!((found.permissions().mode() & 0o777, found.uid() == 0), (0o700, false));
    let who = fs::read_to_string(workspace.join("who")).expect("the agent wrote it");
    let lines: Vec<&str> = who.lines().collect();
    assert_ne!(lines[0], "0");
    assert!(!lines[2].split(' ').any(|group| group == "0"), "{who}");
    assert!(lines[3].ends_with(" daemon"), "{who}");
    assert_eq!(fs::read_to_string(workspace.join("stolen")).expect("the agent tried"), "");
    let call = agent.call(1).await;
    assert_eq!(call.variable("USER"), Some(OTHER));
}

#[tokio::test]
async fn an_agent_of_another_user_dies_with_its_supervisor_and_its_stop_works() {
    if !can_be_other() {
        return;
    }
    let agent = FakeAgent::deaf();
    let root = TempDir::new().expect("a temporary folder can be made");
    let mut scene = Scene::start(for_other(&agent, &root), "claude").await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    let pid = agent.call(1).await.pid;
    agent.pid("grandchild").await;
    assert_ne!(fs::metadata(format!("/proc/{pid}")).expect("it runs").uid(), 0);
    let supervisor = scene.gateway.supervisors().first().expect("a supervisor").pid;
    crate::support::process::signal(supervisor, rustix::process::Signal::KILL);
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.body()["outcome"], "lost", "{}", end.raw);
    assert!(!crate::support::process::is_alive(pid), "the kernel was told after the user had changed");
}

#[tokio::test]
async fn another_user_that_cannot_be_is_refused_at_the_start() {
    let missing = Gateway::builder().env("BREAKGLASS_AGENT_USER", "no-such-user").start_refused().await;
    assert_eq!(missing.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/etc/passwd"));
    if !can_be_other() {
        return;
    }
    let inside = Gateway::builder().env("BREAKGLASS_AGENT_USER", OTHER).start_refused().await;
    assert_eq!(inside.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&inside.stderr).contains("--sessions-dir"));
    let closed = TempDir::new().expect("a temporary folder can be made");
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).expect("our own folder");
    let unreachable = Gateway::builder()
        .env("BREAKGLASS_AGENT_USER", OTHER)
        .env("BREAKGLASS_SESSIONS_DIR", &closed.path().join("sessions").display().to_string());
    let refused = unreachable.start_refused().await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot pass through"), "{refused:?}");
}

/// A cgroup for a test, where this machine lets one be made.
struct OwnCgroup(std::path::PathBuf);

impl OwnCgroup {
    fn make() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        let root = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?.split(' ').nth(1)?.to_owned();
        let folder = Path::new(&root).join(format!("breakglass-test-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).ok().map(|()| Self(folder))
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        let _kept = fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn an_agent_has_a_cgroup_of_its_own_where_one_is_delegated() {
    let Some(own) = OwnCgroup::make() else { return };
    let folder = own.0.display().to_string();
    let agent = FakeAgent::shell("init; cat /proc/self/cgroup > cgroup; text ok; result ok");
    let mut scene =
        Scene::start(Gateway::builder().agent(&agent).env("BREAKGLASS_AGENT_CGROUP", &folder), "claude").await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    assert_eq!(events.last().expect("an end").text("outcome"), "ok", "{events:#?}");
    let workspace = scene.gateway.data().join("sessions").join(&scene.session);
    let was_in = fs::read_to_string(workspace.join("cgroup")).expect("the agent wrote it");
    let name = own.0.file_name().expect("a name").to_str().expect("UTF-8");
    let line = was_in.lines().find(|line| line.starts_with("0::")).expect("cgroup v2");
    assert!(line.contains(&format!("{name}/breakglass-{}", events[0].text("turn"))), "{was_in}");
    let left = || fs::read_dir(&own.0).expect("our own folder").flatten().any(|one| one.path().is_dir());
    crate::support::wait::eventually("the turn's cgroup to be removed", || (!left()).then_some(())).await;
}

#[tokio::test]
async fn a_folder_that_is_no_cgroup_is_refused_at_the_start() {
    let refused = Gateway::builder().env("BREAKGLASS_AGENT_CGROUP", "/tmp").start_refused().await;
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(64), "{stderr}");
    assert!(stderr.contains("--agent-cgroup") && stderr.contains("Delegate=yes"), "{stderr}");
}
