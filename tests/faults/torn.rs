//! What a power cut leaves of the log: its write-ahead file, torn anywhere. What was shown to anybody before a commit's fsync
//! returned does not exist; what was shown after it is there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::agent::FakeAgent;
use crate::support::scene::Scene;
use crate::support::viewer::{Accepted, Viewer, kinds, new_key};
use crate::support::wait::eventually;

/// SQLite's file format, section 4.1: a header of 32 bytes, then frames of 24 bytes and a page.
const WAL_HEADER: usize = 32;
const FRAME: usize = 24 + 4096;
/// Real starts of the gateway on a torn log; the file itself is looked at for every cut.
const STARTS: usize = 10;

const TALKER: &str = "init; text one; text two; [ $n -ge 3 ] && wait_gate go; text three; result done";

/// A run that was broken off in its third turn, which has ended meanwhile.
struct Recorded {
    scene: Scene,
    agent: FakeAgent,
    _saved_in: tempfile::TempDir,
    saved: PathBuf,
    wal: Vec<u8>,
    /// The write-ahead file's length when a seq had been seen, in order.
    seen: Vec<(usize, u64)>,
    /// The third prompt's key, and its turn.
    third: (String, Accepted),
    /// From where on the third turn may be missing or half there, and all else is whole.
    quiet_bytes: usize,
}

fn wal_path(data: &Path) -> PathBuf {
    data.join("breakglass.db-wal")
}

fn wal_bytes(scene: &Scene) -> usize {
    usize::try_from(fs::metadata(wal_path(&scene.gateway.data())).expect("the log is being written").len())
        .expect("small")
}

async fn recorded() -> Recorded {
    let agent = FakeAgent::shell(TALKER);
    let mut scene = Scene::with(&agent).await;
    let session = scene.session.clone();
    let (mut seen, mut seq) = (vec![(wal_bytes(&scene), 0)], 0);
    for _ in 0..2 {
        scene.viewer.prompt(&session, "go").await;
        // user, session, three texts, result, turn_end
        for _ in 0..7 {
            seq += 1;
            scene.viewer.until_seq(&session, seq).await;
            seen.push((wal_bytes(&scene), seq));
        }
    }
    let quiet_bytes = wal_bytes(&scene);
    let key = new_key();
    let accepted = Accepted::read(&scene.viewer.prompt_as(&session, "go on", &key).await);
    for _ in 0..4 {
        seq += 1;
        scene.viewer.until_seq(&session, seq).await;
        seen.push((wal_bytes(&scene), seq));
    }
    scene.gateway.kill_9().await;
    agent.open("go");
    eventually("all of the turn to end", || scene.gateway.processes().is_empty().then_some(())).await;
    let saved_in = tempfile::TempDir::new().expect("a temporary folder can be made");
    let saved = saved_in.path().join("data");
    copy(&scene.gateway.data(), &saved);
    let wal = fs::read(wal_path(&saved)).expect("the log was not moved into the database");
    Recorded { scene, agent, _saved_in: saved_in, saved, wal, seen, third: (key, accepted), quiet_bytes }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a temporary folder is writable");
    // Private, as it was.
    fs::set_permissions(to, fs::metadata(from).expect("a folder").permissions()).expect("our own folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let to = to.join(entry.file_name());
        match entry.file_type().expect("it is there") {
            kind if kind.is_dir() => copy(&entry.path(), &to),
            _ => drop(fs::copy(entry.path(), &to).expect("our own file")),
        }
    }
}

/// At every frame's beginning, and in the middle of its header and its page.
fn cuts(wal: &[u8]) -> impl Iterator<Item = usize> {
    let frames = (WAL_HEADER..=wal.len()).step_by(FRAME);
    let within = |at: usize| [at, at + 12, at + 24 + 2_048].into_iter();
    let length = wal.len();
    [0, 20].into_iter().chain(frames.flat_map(within)).filter(move |cut| *cut <= length)
}

/// Everything that may be left of a file, by where it is torn, in order: cut there, or with a frame that never was written
/// although later ones were.
fn torn(wal: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    cuts(wal).flat_map(|cut| {
        let is_frame = cut >= WAL_HEADER && (cut - WAL_HEADER).is_multiple_of(FRAME) && cut < wal.len();
        let dropped = is_frame.then(|| [&wal[..cut], &[0; FRAME], &wal[cut + FRAME..]].concat());
        [Some(wal[..cut].to_vec()), dropped].into_iter().flatten().map(move |wal| (cut, wal))
    })
}

/// The events that are in a database, when it has any.
fn events(database: &Path) -> Vec<String> {
    let log = rusqlite::Connection::open(database).expect("it opens");
    let sound: String = log.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be checked");
    assert_eq!(sound, "ok");
    // Cut before the tables were made.
    let Ok(mut all) = log.prepare("SELECT record FROM events ORDER BY id") else { return Vec::new() };
    let records = all.query_map([], |row| row.get(0)).expect("they can be read");
    records.collect::<rusqlite::Result<_>>().expect("they are text")
}

/// With the judge's own eyes: the file, opened by SQLite alone.
#[tokio::test]
async fn a_log_torn_anywhere_holds_all_that_was_shown_before_and_a_whole_run_of_events() {
    let recorded = recorded().await;
    let whole = events(&recorded.saved.join("breakglass.db"));
    assert!(whole.len() >= 18, "{whole:#?}");
    let dir = tempfile::TempDir::new().expect("a temporary folder can be made");
    let database = dir.path().join("breakglass.db");
    let (mut last, mut count) = (0, 0);
    for (cut, wal) in torn(&recorded.wal) {
        for old in fs::read_dir(dir.path()).expect("our own folder").flatten() {
            fs::remove_file(old.path()).expect("our own file");
        }
        fs::copy(recorded.scene.gateway.data().join("breakglass.db"), &database).expect("our own file");
        fs::write(wal_path(dir.path()), wal).expect("our own file");
        let found = events(&database);
        let shown = recorded.seen.iter().rfind(|(bytes, _)| *bytes <= cut).map_or(0, |(_, seq)| *seq);
        assert!(found.len() as u64 >= shown, "torn at {cut}: {shown} events were shown, {} are there", found.len());
        assert!(found.len() >= last, "torn at {cut}: fewer than with less of the file");
        assert!(whole.starts_with(&found), "torn at {cut}: other events than those that were written");
        last = found.len();
        count += 1;
    }
    assert!(count > 50 && last == whole.len(), "{count} cuts, {last} events");
    println!("{count} times torn: a write-ahead file of {} bytes", recorded.wal.len());
}

impl Recorded {
    /// Starts the gateway on the saved folder as a cut has left it; somebody who looks at the session from its beginning.
    async fn start_after(&mut self, cut: impl FnOnce(&Path)) -> Viewer {
        let data = self.scene.gateway.data();
        fs::remove_dir_all(&data).expect("our own folder");
        copy(&self.saved, &data);
        cut(&data);
        self.scene.gateway.restart().await;
        let mut viewer = Viewer::connect(&self.scene.gateway).await;
        viewer.attach(&self.scene.session, 0).await;
        viewer
    }

    /// Ends it, when it has compressed all spools.
    async fn stop(&mut self) {
        let turns = self.scene.gateway.data().join("turns");
        let is_plain = |turn: fs::DirEntry| turn.path().join("out").exists();
        let are_compressed = || (!fs::read_dir(&turns).ok()?.flatten().any(is_plain)).then_some(());
        eventually("the spools to be compressed", are_compressed).await;
        self.scene.gateway.kill_9().await;
        eventually("nothing to run", || self.scene.gateway.processes().is_empty().then_some(())).await;
    }
}

fn texts(viewer: &Viewer, session: &str, turn: &str) -> Vec<String> {
    let events = viewer.events_of(session, turn);
    events.iter().filter(|event| event.kind() == "text").map(|event| event.text("text").to_owned()).collect()
}

/// What an agent says is not synced before its turn has ended: a power cut may take what the log has already.
#[tokio::test]
async fn a_spool_cut_anywhere_gives_no_event_twice_and_the_turn_one_end() {
    let mut recorded = recorded().await;
    let session = recorded.scene.session.clone();
    let turn = recorded.third.1.turn.clone();
    let spool = Path::new("turns").join(format!("{turn}.1"));
    let out = fs::read(recorded.saved.join(&spool).join("out")).expect("it is not archived yet");
    let lines: Vec<&[u8]> = out.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 5, "init, three texts, a result");
    let mut ends = lines.iter().scan(0, |end, line| {
        *end += line.len();
        Some(*end)
    });
    let three = ends.nth(3).expect("the line of the third text");
    let one = lines[0].len() + lines[1].len();
    for cut in [0, 1, lines[0].len(), one, one + 10, three - 1, three, out.len() - 1, out.len()] {
        let mut viewer = recorded
            .start_after(|data| {
                let spool = data.join(&spool);
                fs::remove_file(spool.join("exit.json")).expect("the turn had ended");
                fs::write(spool.join("out"), &out[..cut]).expect("our own file");
            })
            .await;
        let end = viewer.turn_end(&session, &turn).await;
        assert_eq!(end.text("outcome"), "lost", "cut at {cut}");
        let mut wanted = vec!["user", "session", "text", "text", "text", "result", "error", "turn_end"];
        // Without its newline the last line was not whole.
        wanted.drain(if cut < three {
            4..6
        } else if cut < out.len() {
            5..6
        } else {
            0..0
        });
        assert_eq!(kinds(&viewer.events_of(&session, &turn)), wanted, "cut at {cut}");
        let (log, before) = (viewer.whole_log(&session), recorded.scene.viewer.whole_log(&session));
        assert_eq!(log[..before.len()], before, "cut at {cut}: what was shown has changed");
        recorded.stop().await;
    }
    let log = recorded.scene.gateway.log();
    assert!(!log.contains("stays uncompressed"), "{log}");
}

/// The gateway itself, on what a power cut in the third turn leaves of its folder.
#[tokio::test]
async fn a_gateway_starts_clean_on_a_log_cut_anywhere_and_the_broken_turn_is_whole() {
    let mut recorded = recorded().await;
    let session = recorded.scene.session.clone();
    let cuts: Vec<usize> = cuts(&recorded.wal).filter(|cut| *cut >= recorded.quiet_bytes).collect();
    let (key, accepted) = recorded.third.clone();
    for cut in cuts.iter().step_by(cuts.len().div_ceil(STARTS)) {
        let torn = recorded.wal[..*cut].to_vec();
        let mut viewer = recorded.start_after(|data| fs::write(wal_path(data), torn).expect("our own file")).await;
        // Whoever has no answer asks again; whoever had one gets the same.
        let again = Accepted::read(&viewer.prompt_as(&session, "go on", &key).await);
        let shown = recorded.seen.iter().rfind(|(bytes, _)| bytes <= cut).map_or(0, |(_, seq)| *seq);
        if shown >= accepted.seq {
            assert_eq!((&again.turn, again.seq, again.is_duplicate), (&accepted.turn, accepted.seq, true));
        }
        let end = viewer.turn_end(&session, &again.turn).await;
        assert_eq!(end.text("outcome"), "ok", "cut at {cut}: {:#?}", viewer.whole_log(&session));
        assert_eq!(texts(&viewer, &session, &again.turn), ["one", "two", "three"], "cut at {cut}");
        let log = viewer.whole_log(&session);
        let before = recorded.scene.viewer.whole_log(&session);
        let shown = usize::try_from(shown).expect("small");
        assert_eq!(log[..shown], before[..shown], "cut at {cut}: what was shown has changed");
        recorded.stop().await;
    }
    assert!(!recorded.agent.calls().is_empty());
}
