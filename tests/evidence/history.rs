//! A signed history at rest, to be tampered with, and the two verifiers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use rusqlite::Connection;

use crate::support::gateway::{Builder, Gateway};
use crate::support::scene::Scene;
use crate::support::wait::{eventually, within};

/// A stopped gateway with two sessions: three turns in the first, one in the second.
pub(super) struct History {
    pub(super) gateway: Gateway,
    /// The first session.
    pub(super) session: String,
    /// The second.
    pub(super) other: String,
    /// The key to verify with.
    pub(super) key: String,
}

/// What a verifier says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Its exit status.
    pub(crate) status: i32,
    /// Its findings, without the words for people.
    pub(crate) findings: Vec<String>,
}

impl Verdict {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout);
        let finding = |line: &&str| line.starts_with("ALTERED ") || line.starts_with("INCOMPLETE ");
        let findings = text.lines().filter(finding).filter_map(|line| line.split_once(": "));
        Self {
            status: output.status.code().expect("a verifier ends by itself"),
            findings: findings.map(|(finding, _)| finding.to_owned()).collect(),
        }
    }
}

impl History {
    pub(super) async fn new() -> Self {
        Self::with(Gateway::builder()).await
    }

    /// With settings.
    pub(super) async fn with(settings: Builder) -> Self {
        let mut scene = Scene::start(settings, "drill").await;
        let texts = ["[[text:hello]]", "[[text:the disk is full]]", "[[text:grüße \u{1f525}]]"];
        for (text, signed) in texts.into_iter().zip(1..) {
            scene.viewer.turn(&scene.session, text).await;
            // Each turn's checkpoint under a head of its own: turns that end within a moment are signed together.
            let database = scene.gateway.data().join("breakglass.db");
            eventually("a head of the gateway's tree", || (head_size(&database) == signed).then_some(())).await;
        }
        let other = scene.viewer.open_session("drill").await;
        scene.viewer.turn(&other, "[[text:quiet]]").await;
        let Scene { viewer, session, mut gateway } = scene;
        drop(viewer);
        gateway.terminate().await;
        let key = gateway.cli(&["key"]).await.trim().to_owned();
        Self { gateway, session, other, key }
    }

    /// The database's file.
    pub(super) fn database(&self) -> PathBuf {
        self.gateway.data().join("breakglass.db")
    }

    /// Puts another database in its place, as private as it was.
    pub(super) fn put_in_place(&self, copy: &Path) {
        fs::copy(copy, self.database()).expect("the data folder is writable");
        fs::set_permissions(self.database(), fs::Permissions::from_mode(0o600)).expect("our own file");
    }

    /// Opens the database as somebody does who means ill.
    pub(super) fn edit(&self) -> Connection {
        let connection = Connection::open(self.database()).expect("the database opens");
        connection.pragma_update(None, "foreign_keys", false).expect("a pragma can be set");
        connection
    }

    /// Runs some SQL in it; fails when nothing is changed.
    pub(super) fn sql(&self, sql: &str) {
        let connection = self.edit();
        let before = connection.total_changes();
        connection.execute_batch(sql).expect("the SQL runs");
        assert!(connection.total_changes() > before, "nothing was changed by: {sql}");
    }

    /// Seqs of the first session's records of a kind.
    pub(super) fn seqs(&self, kind: &str) -> Vec<u64> {
        let sql =
            "SELECT seq FROM events JOIN sessions s ON s.key = session WHERE s.id = ?1 AND kind = ?2 ORDER BY seq";
        let connection = self.edit();
        let mut statement = connection.prepare(sql).expect("the SQL is right");
        let rows = statement.query_map((&self.session, kind), |row| row.get::<_, i64>(0)).expect("it can be read");
        rows.map(|seq| seq.expect("a number") as u64).collect()
    }

    /// Every signed note that the database has.
    pub(super) fn notes(&self) -> String {
        let connection = self.edit();
        let mut statement =
            connection.prepare("SELECT note FROM checkpoints UNION ALL SELECT note FROM heads").unwrap();
        let notes: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        notes.join("\n")
    }

    /// Both verifiers' verdict; they must agree.
    pub(super) async fn verify(&self) -> Verdict {
        self.verify_with(&[]).await
    }

    /// The same with notes that were kept elsewhere.
    pub(super) async fn verify_pinned(&self, notes: &str) -> Verdict {
        let file = self.gateway.data().join("pinned");
        fs::write(&file, notes).expect("the data folder is writable");
        self.verify_with(&["--pinned", file.to_str().expect("a temporary path is text")]).await
    }

    pub(super) async fn verify_with(&self, more: &[&str]) -> Verdict {
        both(&self.gateway, &self.gateway.data(), &self.key, more).await
    }
}

/// How many checkpoints the newest head of the gateway's own tree covers.
fn head_size(database: &Path) -> i64 {
    let connection = Connection::open(database).expect("the database opens");
    let sql = "SELECT coalesce(max(size), 0) FROM heads";
    connection.query_row(sql, [], |row| row.get(0)).expect("it can be read")
}

/// What both verifiers say of a file; they must agree.
pub(crate) async fn both(gateway: &Gateway, path: &Path, key: &str, more: &[&str]) -> Verdict {
    let path = path.to_str().expect("a temporary path is text");
    let args = [&[path, "--key", key], more].concat();
    let ours = gateway.run(&[&["verify"], args.as_slice()].concat()).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify.py");
    let mut python = tokio::process::Command::new("python3");
    python.arg("-B").arg(script).args(&args).kill_on_drop(true);
    let theirs = within("docs/verify.py", python.output()).await.expect("python3 is installed");
    let (first, second) = (Verdict::of(&ours), Verdict::of(&theirs));
    let said = |output: &Output| {
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    assert_eq!(first, second, "the verifiers disagree:\n{}\n{}", said(&ours), said(&theirs));
    first
}
