//! `breakglass serve`: from settings to a gateway that answers, and from a signal to its end.
//!
//! Order: settings, the folder's lock, the log, the port, turns that an earlier gateway left, then the door opens. A planned
//! stop tells clients and leaves turns to their supervisors.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{EXIT_IO, EXIT_USAGE, Failure, data_dir, workspaces};
use crate::access::{self, Access, Recorder};
use crate::agent::AgentKind;
use crate::agent::start::ROOT_WAY_OUT;
use crate::auth::{Auth, Secret};
use crate::config::{AgentConfig, Config, Settings};
use crate::db::{Db, Health};
use crate::http::{self, App, Doors, Serving, Tls};
use crate::hub::Hub;
use crate::keep::Keep;
use crate::keep::sessions::{Claim, Places as KeptPlaces, Retention};
use crate::log::Log;
use crate::protocol::server::AgentInfo;
use crate::redact::Redactor;
use crate::search::{Places, Search};
use crate::session::{Deps, Sessions};
use crate::sign::anchor::Anchors;
use crate::sign::{Signer, key};
use crate::tasks::Tasks;
use crate::turn::archive;
use crate::turn::cgroup;
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
    let config = checked(settings)?;
    let tls = config.doors.tls.clone().map(Tls::load).transpose().map_err(usage)?.map(Arc::new);
    // From here on a signal is a wish to stop, and not the end: whoever sees the link may send one.
    let signals = Signals::listen(tls.as_deref())?;
    data_dir::create(&config.data)?;
    let _lock = data_dir::lock(&config.data.lock())?;
    raise_open_files();
    let Opened { log, health, auth, access, recorder, keep, signer } = open(&config).await?;
    let (listener, listening) = listen(config.listen).await?;

    let tasks = Tasks::default();
    let sessions = sessions(&config, log, &tasks);
    take_up(&sessions, &config, &tasks).await?;
    let first = auth.first_token().await.context("cannot make the first token")?;
    tasks.spawn(recorder.run(tasks.stopping().clone()));
    let anchors = Anchors::new(config.anchors.clone());
    anchors.work().for_each(|place| tasks.spawn_until_stop(place));
    let signer = signer.anchored(anchors);
    keep_up(&config, keep, &auth, &sessions, &signer, &tasks);
    tasks.spawn(signer.clone().run(tasks.stopping().clone()));
    let places = Places { log: config.data.database(), index: config.data.search_index() };
    let (epoch, hub) = (sessions.log().epoch(), sessions.log().hub());
    let search = Search::start(places, epoch, hub, &tasks).context("cannot start the search")?;
    let (limits, last_uses) = (config.doors.limits, auth.clone());
    let rooms = Rooms { sessions, auth, access, search, signer: signer.clone() };
    let app = app(&config, rooms, &tasks, listening);
    announce(&config, listening, first.as_ref()).context("cannot write to stdout")?;
    let router = http::router(app);
    tasks.spawn(http::serve(Serving { listener, tls: tls.clone(), limits, router, tasks: tasks.clone() }));

    let ended = wait_for_end(signals, health, tls.as_deref()).await;
    tracing::info!("stopping: clients are told, turns go on under their supervisors");
    tasks.stop(STOP_TIMEOUT).await;
    last_uses.flush_uses().await;
    signer.finish().await;
    ended
}

/// The settings, after everything that can be found wrong with them before anything is opened.
fn checked(settings: &Settings) -> Result<Config, Failure> {
    let agents_umask = data_dir::keep_private();
    let mut config = settings.check()?;
    config.agent.cage.umask = Some(agents_umask);
    workspaces::check(&config).map_err(usage)?;
    workspaces::make(&config).map_err(usage)?;
    if let Some(folder) = &config.agent.cage.cgroup {
        cgroup::prepare(folder, &config.agent.cage).map_err(|error| usage(format!("--agent-cgroup: {error}")))?;
    }
    Ok(config)
}

/// What stands on the database.
struct Opened {
    log: Log,
    health: watch::Receiver<Health>,
    auth: Auth,
    access: Access,
    recorder: Recorder,
    keep: Keep,
    signer: Signer,
}

async fn open(config: &Config) -> Result<Opened> {
    let db = Db::open(&config.data.database()).context("cannot open the log")?;
    let health = db.writer.health();
    let auth = Auth::new(db.clone()).with_login_limits(config.doors.logins);
    let (access, recorder) = access::open(db.clone());
    let keep = Keep::new(db.clone());
    let log = Log::open(db, Hub::default(), &config.data.high_water()).await.context("cannot open the log")?;
    let key = key::open_or_make(&config.data.signing_key(), None).map_err(anyhow::Error::from)?;
    let signer = Signer::new(log.clone(), key, config.data.signed()).context("cannot remember what was signed")?;
    Ok(Opened { log, health, auth, access, recorder, keep, signer })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener =
        bind(address).await.with_context(|| format!("cannot listen on {address}; choose another with --listen"))?;
    let listening = listener.local_addr().context("cannot listen")?;
    Ok((listener, listening))
}

/// Goes on with the turns of an earlier gateway.
async fn take_up(sessions: &Sessions, config: &Config, tasks: &Tasks) -> Result<()> {
    let leftovers = leftovers(sessions, config).await?;
    sessions.take_up().await.context("cannot take up the turns of an earlier run")?;
    tasks.spawn_until_stop(async move {
        let _ended = tokio::task::spawn_blocking(move || archive::archive_all(leftovers)).await;
    });
    Ok(())
}

/// What is looked after for as long as the gateway runs: credentials, what is kept, what is redacted.
fn keep_up(config: &Config, keep: Keep, auth: &Auth, sessions: &Sessions, signer: &Signer, tasks: &Tasks) {
    let (withdrawals, uses) = (auth.clone(), auth.clone());
    tasks.spawn_until_stop(async move { withdrawals.watch_withdrawals().await });
    tasks.spawn_until_stop(async move { uses.keep_uses().await });
    tasks.spawn_until_stop(keep.clone().retain_raw(config.data.spools(), config.keep_raw));
    tasks.spawn_until_stop(retention(config, keep, sessions, signer).run(config.keep_sessions));
    let redactor = Redactor::new(sessions.log().clone(), config.data.spools());
    tasks.spawn_until_stop(async move { redactor.run().await });
}

/// Takes the port. A process that a killed gateway was just starting may hold it for a moment longer.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    for _ in 1..BIND_TRIES {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => tokio::time::sleep(BIND_AGAIN).await,
            bound => return bound,
        }
    }
    TcpListener::bind(address).await
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::new(EXIT_USAGE, error.to_string())
}

fn sessions(config: &Config, log: Log, tasks: &Tasks) -> Sessions {
    let folders = Folders { spools: config.data.spools(), workspaces: config.sessions_dir.clone() };
    let workshop = Workshop {
        log,
        agent: config.agent.clone(),
        folders,
        masks: config.masks.clone(),
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

/// What the doors lead to.
struct Rooms {
    sessions: Sessions,
    auth: Auth,
    access: Access,
    search: Search,
    signer: Signer,
}

/// Who removes sessions whose time is over.
fn retention(config: &Config, keep: Keep, sessions: &Sessions, signer: &Signer) -> Retention {
    let places = KeptPlaces { spools: config.data.spools(), workspaces: config.sessions_dir.clone() };
    let registry = sessions.clone();
    let claims = Box::new(move |session| registry.claim(session).map(|claim| Box::new(claim) as Claim));
    Retention::new(keep, sessions.log().clone(), signer.clone(), places, claims)
}

fn app(config: &Config, rooms: Rooms, tasks: &Tasks, listening: SocketAddr) -> App {
    let Rooms { sessions, auth, access, search, signer } = rooms;
    let agent = config.agent.clone();
    let agents = Arc::new(move || agents(&agent));
    let door = Door { sessions, auth, access, agents, stopping: tasks.stopping().clone() };
    App {
        door,
        doors: Arc::new(Doors::new(listening, config.public_url.as_ref(), &config.doors)),
        tasks: tasks.clone(),
        presets: config.presets.clone().into(),
        search,
        signer,
        bundling: http::Bundling::default(),
        spools: config.data.spools().into(),
    }
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
    let scheme = if config.doors.tls.is_some() { "https" } else { "http" };
    let address =
        config.public_url.as_ref().map_or_else(|| format!("{scheme}://{reachable}"), |url| url.origin.clone());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} listens on {listening}, data in {}", crate::SERVER, config.data.root.display())?;
    if let Err(missing) = config.agent.find_claude() {
        writeln!(out, "The agent `claude` cannot run: {missing}")?;
    } else if config.agent.is_unsandboxed_root() {
        writeln!(out, "The agent `claude` refuses to work as root: {ROOT_WAY_OUT}")?;
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

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// A hang-up means something only where there is a certificate to be read again; elsewhere it stays what it was, for those
    /// who start with nohup(1).
    fn listen(tls: Option<&Tls>) -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: tls.map(|_| listen(SignalKind::hangup())).transpose()?,
        })
    }
}

/// Waits for a signal, or for the log's disk to fail: then the next start finds out what was written.
async fn wait_for_end(
    mut signals: Signals,
    mut health: watch::Receiver<Health>,
    tls: Option<&Tls>,
) -> Result<(), Failure> {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            () = hung_up(&mut signals.hangup) => tls.map_or((), reload),
            broken = health.wait_for(|health| matches!(health, Health::Broken(_))) => {
                let why = match broken.as_deref() {
                    Ok(Health::Broken(why)) => why.clone(),
                    _ => "its writer ended".to_owned(),
                };
                let message = format!("the log's disk failed: {why}; start again to find out what was written");
                return Err(Failure::new(EXIT_IO, message));
            }
        }
    }
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

fn reload(tls: &Tls) {
    match tls.reload() {
        Ok(()) => tracing::info!("the TLS certificate was read again"),
        Err(error) => tracing::error!(%error, "the TLS certificate cannot be read again; the old one stays"),
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
