//! `breakglass serve`: from settings to a gateway that answers, and from a signal to its end.
//!
//! Order: settings, the folder's lock, the log, the port, turns that an earlier gateway left, then the door opens. A planned
//! stop tells clients and leaves turns to their supervisors.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{EXIT_IO, Failure, data_dir};
use crate::agent::AgentKind;
use crate::auth::{Auth, Secret};
use crate::config::{AgentConfig, Config, Settings};
use crate::db::{Db, Health};
use crate::http::{self, App, Doors};
use crate::hub::Hub;
use crate::log::Log;
use crate::protocol::server::AgentInfo;
use crate::session::{Deps, Sessions};
use crate::tasks::Tasks;
use crate::turn::archive;
use crate::turn::import::Folders;
use crate::turn::run::Workshop;
use crate::turn::spool::SpoolDir;
use crate::ws::Door;

/// A planned stop takes at most so long.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// A port that is in use is tried so often,
const BIND_TRIES: u32 = 10;
/// so far apart.
const BIND_AGAIN: Duration = Duration::from_millis(50);
/// Open files that a busy gateway needs; more is not asked for, because agents inherit the limit.
const OPEN_FILES_WANTED: u64 = 65_536;

pub(super) async fn serve(settings: &Settings) -> Result<(), Failure> {
    let config = settings.check()?;
    // From here on a signal is a wish to stop, and not the end: whoever sees the link may send one.
    let signals = Signals::listen()?;
    data_dir::create(&config.data.root)?;
    let _lock = data_dir::lock(&config.data.lock())?;
    raise_open_files();
    let db = Db::open(&config.data.database()).context("cannot open the log")?;
    let health = db.writer.health();
    let auth = Auth::new(db.clone());
    let log = Log::open(db, Hub::default(), &config.data.high_water()).await.context("cannot open the log")?;
    let listener = bind(config.listen).await;
    let listener =
        listener.with_context(|| format!("cannot listen on {}; choose another with --listen", config.listen))?;
    let listening = listener.local_addr().context("cannot listen")?;

    let tasks = Tasks::default();
    let sessions = sessions(&config, log, &tasks);
    let leftovers = leftovers(&sessions, &config).await?;
    sessions.take_up().await.context("cannot take up the turns of an earlier run")?;
    tasks.spawn_until_stop(async move {
        let _ended = tokio::task::spawn_blocking(move || archive::archive_all(leftovers)).await;
    });
    let first = auth.first_token().await.context("cannot make the first token")?;
    let keeper = auth.clone();
    tasks.spawn_until_stop(async move { keeper.watch_withdrawals().await });
    let app = app(&config, sessions, auth, &tasks, listening);
    announce(&config, listening, first.as_ref()).context("cannot write to stdout")?;
    tasks.spawn(http::serve(listener, http::router(app), tasks.clone()));

    let ended = wait_for_end(signals, health).await;
    tracing::info!("stopping: clients are told, turns go on under their supervisors");
    tasks.stop(STOP_TIMEOUT).await;
    ended
}

/// Takes the port. A process that a killed gateway was just starting may hold it for a moment longer.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    for _ in 1..BIND_TRIES {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => tokio::time::sleep(BIND_AGAIN).await,
            bound => return bound,
        }
    }
    TcpListener::bind(address).await
}

fn sessions(config: &Config, log: Log, tasks: &Tasks) -> Sessions {
    let folders = Folders { spools: config.data.spools(), workspaces: config.sessions_dir.clone() };
    let workshop = Workshop {
        log,
        agent: config.agent.clone(),
        folders,
        timeout: config.turn_timeout,
        stopping: tasks.stopping().clone(),
    };
    Sessions::new(Deps {
        workshop: Arc::new(workshop),
        tasks: tasks.clone(),
        model: config.model.clone(),
        turns_max: config.turns_max,
    })
}

/// Spools that a gateway left which died between a turn's end and their compressing. Listed before any turn is taken up: one that is
/// settled then has its spool compressed by its session, and two that do so at once would be in each other's way.
async fn leftovers(sessions: &Sessions, config: &Config) -> Result<Vec<SpoolDir>> {
    let unfinished = sessions.log().unfinished_turns().await.context("cannot read the turns that run")?;
    let unfinished: Vec<_> = unfinished.into_iter().map(|turn| turn.place.turn_id).collect();
    Ok(archive::ended_spools(&config.data.spools(), &unfinished))
}

fn app(config: &Config, sessions: Sessions, auth: Auth, tasks: &Tasks, listening: SocketAddr) -> App {
    let agent = config.agent.clone();
    let door = Door { sessions, auth, agents: Arc::new(move || agents(&agent)), stopping: tasks.stopping().clone() };
    let doors = Arc::new(Doors::new(listening, config.public_url.as_ref()));
    App { door, doors, tasks: tasks.clone(), presets: config.presets.clone().into() }
}

fn agents(config: &AgentConfig) -> Vec<AgentInfo> {
    let available = |kind| match kind {
        AgentKind::Claude => config.find_claude().is_ok(),
        AgentKind::Drill => true,
    };
    AgentKind::ALL.map(|kind| AgentInfo { name: kind.to_string(), available: available(kind) }).to_vec()
}

/// Says where the gateway is, the sign-in link alone on a line, and what is missing.
fn announce(config: &Config, listening: SocketAddr, first: Option<&Secret>) -> std::io::Result<()> {
    let reachable = if listening.ip().is_unspecified() {
        SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), listening.port())
    } else {
        listening
    };
    let address = config.public_url.as_ref().map_or_else(|| format!("http://{reachable}"), |url| url.origin.clone());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} listens on {listening}, data in {}", crate::SERVER, config.data.root.display())?;
    if let Err(missing) = config.agent.find_claude() {
        writeln!(out, "The agent `claude` cannot run: {missing}")?;
    } else if is_unsandboxed_root(&config.agent) {
        writeln!(
            out,
            "The agent `claude` refuses to work as root: run breakglass as another user, or, if this machine is a sandbox that \
             may be broken, set IS_SANDBOX=1"
        )?;
    }
    match first {
        Some(token) => {
            writeln!(out, "Sign in with this link; it is shown only once:")?;
            writeln!(out, "{address}/#token={}", token.expose())?;
        }
        None => {
            writeln!(out, "Sign in with a token (`breakglass token add NAME --role operator` makes one):")?;
            writeln!(out, "{address}/")?;
        }
    }
    out.flush()
}

/// The program's own rule (claude-cli.md section 0).
fn is_unsandboxed_root(agent: &AgentConfig) -> bool {
    let sandboxed = agent.variable("IS_SANDBOX").is_some_and(|value| value == "1");
    rustix::process::geteuid().is_root() && !sandboxed && agent.variable("CLAUDE_CODE_BUBBLEWRAP").is_none()
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }
}

/// Waits for a signal, or for the log's disk to fail: then the next start finds out what was written.
async fn wait_for_end(mut signals: Signals, mut health: watch::Receiver<Health>) -> Result<(), Failure> {
    tokio::select! {
        _ = signals.terminate.recv() => Ok(()),
        _ = signals.interrupt.recv() => Ok(()),
        broken = health.wait_for(|health| matches!(health, Health::Broken(_))) => {
            let why = match broken.as_deref() {
                Ok(Health::Broken(why)) => why.clone(),
                _ => "its writer ended".to_owned(),
            };
            let message = format!("the log's disk failed: {why}; start again to find out what was written");
            Err(Failure::new(EXIT_IO, message))
        }
    }
}

/// Each client is an open file; the usual soft limit of 1,024 is soon reached.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = OPEN_FILES_WANTED.min(limit.maximum.unwrap_or(u64::MAX));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays low");
        }
    }
}
