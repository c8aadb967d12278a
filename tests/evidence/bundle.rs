//! The bundle: whole, bounded, and checked by both verifiers, whatever is done to it.

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write};
use std::path::PathBuf;

use breakglass::evidence::leaf;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::agree::Random;
use super::history::{History, Verdict, both};
use crate::support::agent::FakeAgent;
use crate::support::http::Http;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;

/// A bundle's files, to be changed.
#[derive(Clone)]
pub(super) struct Files(Vec<(String, Vec<u8>)>);

impl Files {
    pub(super) fn read(zip: &[u8]) -> Self {
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).expect("a zip");
        let files = (0..archive.len()).map(|index| {
            let mut file = archive.by_index(index).expect("a file");
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).expect("a whole file");
            (file.name().expect("a name").into_owned(), bytes)
        });
        Self(files.collect())
    }

    fn write(&self) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in &self.0 {
            zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    pub(super) fn text(&self, name: &str) -> String {
        let (_, bytes) = self.0.iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name}"));
        String::from_utf8(bytes.clone()).expect("text")
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn without(mut self, name: &str) -> Self {
        let before = self.0.len();
        self.0.retain(|(found, _)| found != name);
        assert!(self.0.len() < before, "no {name}");
        self
    }

    fn set(mut self, name: &str, text: String) -> Self {
        let (_, bytes) = self.0.iter_mut().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name}"));
        assert_ne!(*bytes, text.as_bytes(), "nothing was changed in {name}");
        *bytes = text.into_bytes();
        self
    }

    fn lines(&self, name: &str) -> Vec<String> {
        self.text(name).lines().map(str::to_owned).collect()
    }

    /// The same, with some lines of `log.jsonl` and `seals.jsonl` changed alike.
    fn both_lines(self, change: impl Fn(&mut Vec<String>)) -> Self {
        ["log.jsonl", "seals.jsonl"].iter().fold(self, |files, name| files.line_edit(name, &change))
    }

    fn line_edit(self, name: &str, change: impl Fn(&mut Vec<String>)) -> Self {
        let mut lines = self.lines(name);
        change(&mut lines);
        let text = lines.join("\n") + "\n";
        self.set(name, text)
    }

    /// Makes the list of files fit, as somebody would who has no key.
    fn relisted(self) -> Self {
        let mut list = String::new();
        for (name, bytes) in self.0.iter().filter(|(name, _)| !name.starts_with("SHA256SUMS")) {
            list.push_str(&format!("{}  {name}\n", hex(&Sha256::digest(bytes))));
        }
        self.set("SHA256SUMS", list)
    }

    /// Makes the commitments fit the records.
    fn resealed(self) -> Self {
        let mut seals = self.lines("seals.jsonl");
        for (record, seal) in self.lines("log.jsonl").iter().zip(&mut seals) {
            let mut fields: Value = serde_json::from_str(seal).unwrap();
            let salt: Vec<u8> = unhex(fields["salt"].as_str().unwrap());
            let commitment = leaf::commitment(&salt.try_into().unwrap(), record.as_bytes());
            fields["commitment"] = hex(&commitment).into();
            *seal = fields.to_string();
        }
        self.set("seals.jsonl", seals.join("\n") + "\n")
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn unhex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

pub(super) async fn take(http: &Http, session: &str) -> Vec<u8> {
    let bundle = http.get(&format!("/api/sessions/{session}/export?format=bundle")).await;
    assert_eq!(bundle.status, 200, "{}", bundle.text());
    assert_eq!(bundle.header("content-type"), "application/zip");
    assert_eq!(bundle.header("content-disposition"), format!("attachment; filename=\"breakglass-{session}.zip\""));
    bundle.body.to_vec()
}

/// A bundle of a history's first session, and everything that verifies it.
struct Taken {
    history: History,
    zip: Vec<u8>,
    files: Files,
}

impl Taken {
    async fn new() -> Self {
        let mut history = History::new().await;
        history.gateway.restart().await;
        let zip = take(&history.gateway.http(), &history.session).await;
        history.gateway.terminate().await;
        let files = Files::read(&zip);
        Self { history, zip, files }
    }

    fn put(&self, zip: &[u8]) -> PathBuf {
        let path = self.history.gateway.data().join("bundle.zip");
        std::fs::write(&path, zip).expect("the data folder is writable");
        path
    }

    async fn says(&self, files: &Files) -> Verdict {
        self.says_with(&files.write(), &[]).await
    }

    async fn says_with(&self, zip: &[u8], more: &[&str]) -> Verdict {
        both(&self.history.gateway, &self.put(zip), &self.history.key, more).await
    }

    async fn pinned(&self, zip: &[u8], notes: &str) -> Verdict {
        let file = self.history.gateway.data().join("pinned");
        std::fs::write(&file, notes).expect("the data folder is writable");
        self.says_with(zip, &["--pinned", file.to_str().unwrap()]).await
    }

    /// What both verifiers say once the list of files was made to fit as well: only what the trees show.
    async fn shows(&self, files: Files) -> Verdict {
        let mut said = self.says(&files.relisted()).await;
        assert_eq!(said.findings.remove(0), "ALTERED files gateway", "whatever is changed, the signed list shows");
        said
    }

    /// The same for a file of which one byte is changed; which file, and which byte, `random` says.
    async fn one_byte_changed(&self, random: &mut Random, relisted: bool) -> (String, Verdict) {
        let mut files = self.files.clone();
        let (name, bytes) = loop {
            let at = random.below(files.0.len());
            if !files.0[at].1.is_empty() && (!relisted || !files.0[at].0.starts_with("SHA256SUMS")) {
                break &mut files.0[at];
            }
        };
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(7);
        let what = format!("{name}, byte {at}, relisted: {relisted}");
        let files = if relisted { files.relisted() } else { files };
        (what, self.says(&files).await)
    }

    fn of(&self, finding: &str) -> String {
        let mut words = finding.splitn(3, ' ');
        let (verdict, check) = (words.next().unwrap(), words.next().unwrap());
        format!(
            "{verdict} {check} session {}{}",
            self.history.session,
            words.next().map_or(String::new(), |seq| format!(" seq {seq}"))
        )
    }
}

const PROVED: Verdict = Verdict { status: 0, findings: Vec::new() };

#[tokio::test]
async fn a_bundle_is_whole_and_proved_by_both_verifiers_and_by_the_one_inside() {
    let taken = Taken::new().await;
    assert_eq!(taken.says_with(&taken.zip, &[]).await, PROVED);
    assert_eq!(taken.pinned(&taken.zip, &taken.history.notes()).await, PROVED);
    assert_eq!(taken.says(&taken.files).await, PROVED, "packed again by another program");
    let expected = [
        "bundle.json",
        "VERIFY.md",
        "verify.py",
        "key.txt",
        "log.jsonl",
        "seals.jsonl",
        "checkpoints.txt",
        "gateway-proof.txt",
        "timeline.md",
        "timeline.html",
    ];
    assert_eq!(taken.files.names()[..expected.len()], expected);
    assert!(taken.files.names().ends_with(&["SHA256SUMS", "SHA256SUMS.note"]));
    assert_eq!(taken.files.text("key.txt").trim(), taken.history.key);
    assert_eq!(taken.files.text("verify.py"), include_str!("../../docs/verify.py"));
    let log = taken.files.text("log.jsonl");
    assert!(taken.history.seqs("turn_end").iter().all(|seq| log.contains(&format!("\"seq\":{seq},"))));
    for end in ["turn.json", "1.out", "1.err"] {
        let turns = taken.files.names().iter().filter(|name| name.starts_with("turns/") && name.ends_with(end)).count();
        assert_eq!(turns, 3, "{end}");
    }
    for name in taken.files.names().iter().filter(|name| name.ends_with("/turn.json")) {
        let turn: Value = serde_json::from_str(&taken.files.text(name)).unwrap();
        assert_eq!((&turn["origin"]["how"], &turn["origin"]["address"]), (&"token".into(), &"127.0.0.1".into()));
        let run = &turn["runs"][0];
        assert_eq!(run["start"]["breakglass"], breakglass::SERVER, "{name}");
        assert!(run["exit"]["ended"]["boot_ms"].is_i64(), "{name}: {run}");
    }
    // Other people's tool for the list.
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in &taken.files.0 {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let checked = tokio::process::Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(dir.path())
        .output()
        .await
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[tokio::test]
async fn an_edited_record_in_a_bundle_is_found_where_it_stands() {
    let taken = Taken::new().await;
    let edit = |from: &'static str, to: &'static str| {
        move |lines: &mut Vec<String>| lines.iter_mut().for_each(|line| *line = line.replace(from, to))
    };
    let log = taken.files.lines("log.jsonl");
    let seq = 1 + log.iter().position(|line| line.contains("is full") && line.contains("\"kind\":\"text\"")).unwrap();
    let first = 1 + log.iter().position(|line| line.contains("is full")).unwrap();
    let turn = taken.history.seqs("user")[1];

    let text =
        taken.files.clone().line_edit("log.jsonl", edit("\"text\":\"the disk is full", "\"text\":\"the disk is fine"));
    let said = taken.says(&text).await;
    assert_eq!((said.status, said.findings.last()), (1, Some(&taken.of(&format!("ALTERED record {seq}")))));
    assert!(said.findings.contains(&"ALTERED files gateway".to_owned()));
    let said = taken.shows(text.clone()).await;
    assert!(said.findings.contains(&taken.of(&format!("ALTERED record {seq}"))), "{said:?}");
    // With commitments that fit, the root does not.
    assert_eq!(taken.shows(text.resealed()).await.findings, [taken.of(&format!("ALTERED root {turn}"))]);
    assert!(first as u64 >= turn);

    let time = taken
        .files
        .clone()
        .line_edit("log.jsonl", |lines| lines[2] = lines[2].replacen("\"time\":\"2", "\"time\":\"1", 1));
    assert_eq!(taken.shows(time).await.findings, [taken.of("ALTERED record 3")]);
    let moved =
        taken.files.clone().line_edit("log.jsonl", |lines| lines[2] = lines[2].replacen("\"seq\":3", "\"seq\":4", 1));
    assert_eq!(taken.shows(moved).await.findings, [taken.of("ALTERED record 3")]);
}

#[tokio::test]
async fn records_swapped_left_out_cut_off_or_added_are_found() {
    let taken = Taken::new().await;
    let last = taken.files.lines("log.jsonl").len();
    let swapped = taken.files.clone().both_lines(|lines| lines.swap(1, 2));
    assert_eq!(taken.shows(swapped).await.findings, [taken.of("ALTERED sequence 2")]);
    let swapped = taken.files.clone().line_edit("log.jsonl", |lines| lines.swap(1, 2));
    let found = taken.shows(swapped).await.findings;
    assert_eq!(found, [taken.of("ALTERED record 2"), taken.of("ALTERED record 3")]);
    let left_out = taken.files.clone().both_lines(|lines| drop(lines.remove(2)));
    assert_eq!(taken.shows(left_out).await.findings, [taken.of("ALTERED sequence 3")]);
    let cut = taken.files.clone().both_lines(|lines| lines.truncate(last - 2));
    assert_eq!(taken.shows(cut.clone()).await.findings, [taken.of(&format!("INCOMPLETE truncated {}", last - 1))]);
    let cut_unlisted = cut.without("SHA256SUMS.note");
    let said = taken.says(&cut_unlisted).await;
    assert_eq!((said.status, said.findings[0].as_str()), (2, "INCOMPLETE files gateway"));
    let uneven = taken.files.clone().line_edit("log.jsonl", |lines| lines.truncate(last - 2));
    assert_eq!(taken.shows(uneven).await.findings, [taken.of(&format!("ALTERED seal {}", last - 1))]);
    let forged = taken.files.clone().both_lines(|lines| {
        let next = lines[last - 1].replacen(&format!("\"seq\":{last}"), &format!("\"seq\":{}", last + 1), 1);
        lines.push(next);
    });
    let said = taken.shows(forged.resealed()).await;
    assert_eq!(said.findings, [taken.of(&format!("INCOMPLETE unsigned {}", last + 1))]);
}

#[tokio::test]
async fn files_left_out_added_or_changed_are_found() {
    let taken = Taken::new().await;
    let raw = taken.files.names().iter().find(|name| name.ends_with(".out")).unwrap().to_string();
    let changed = taken.files.clone().set(&raw, "nothing was said\n".to_owned());
    assert_eq!(taken.says(&changed).await, Verdict { status: 1, findings: vec!["ALTERED files gateway".to_owned()] });
    let gone = taken.files.clone().without(&raw);
    assert_eq!(taken.says(&gone).await, Verdict { status: 2, findings: vec!["INCOMPLETE files gateway".to_owned()] });
    let mut added = taken.files.clone();
    added.0.push(("turns/more".to_owned(), b"more".to_vec()));
    assert_eq!(taken.says(&added).await, Verdict { status: 1, findings: vec!["ALTERED files gateway".to_owned()] });
    for (file, finding) in
        [("gateway-proof.txt", "INCOMPLETE heads gateway"), ("SHA256SUMS", "INCOMPLETE files gateway")]
    {
        let said = taken.says(&taken.files.clone().without(file)).await;
        assert_eq!((said.status, said.findings.contains(&finding.to_owned())), (2, true), "{file}: {said:?}");
    }
    let said = taken.says(&taken.files.clone().without("checkpoints.txt")).await;
    assert!(said.findings.contains(&"ALTERED heads gateway seq 3".to_owned()), "{said:?}");
    assert!(said.findings.contains(&taken.of("INCOMPLETE unsigned 1")), "{said:?}");
}

#[tokio::test]
async fn what_is_no_bundle_ends_with_3() {
    let taken = Taken::new().await;
    let nothing = Verdict { status: 3, findings: Vec::new() };
    assert_eq!(taken.says_with(&taken.zip[..taken.zip.len() / 2], &[]).await, nothing, "one that broke off");
    assert_eq!(taken.says(&taken.files.clone().without("bundle.json")).await, nothing);
    let other = taken.files.clone().set("bundle.json", r#"{"format":"breakglass-bundle/2","session":"x"}"#.to_owned());
    assert_eq!(taken.says(&other).await, nothing);
    assert_eq!(taken.says(&Files(vec![("a".to_owned(), b"b".to_vec())])).await, nothing);
}

#[tokio::test]
async fn bundles_of_an_older_copy_of_another_history_and_by_another_key_are_found() {
    let mut taken = Taken::new().await;
    let last = taken.files.lines("log.jsonl").len() as u64;
    let session = taken.history.session.clone();
    let copy = taken.history.gateway.data().with_file_name("copy.db");
    taken.history.edit().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    let newer = another_turn(&mut taken.history, "[[text:newer]]").await;
    let notes = taken.history.notes();
    assert_eq!(taken.pinned(&newer, &notes).await, PROVED);
    // A bundle from before, against what was signed since.
    let said = taken.pinned(&taken.zip, &notes).await;
    assert_eq!(said, Verdict { status: 2, findings: vec![taken.of(&format!("INCOMPLETE pinned {}", last + 1))] });
    // The older copy put back by somebody who has the key, and continued: two histories.
    for name in ["breakglass.db", "breakglass.db-wal", "breakglass.db-shm"] {
        let _absent = std::fs::remove_file(taken.history.gateway.data().join(name));
    }
    taken.history.put_in_place(&copy);
    std::fs::remove_dir_all(taken.history.gateway.data().join("signed")).unwrap();
    let forked = another_turn(&mut taken.history, "[[text:another]]").await;
    assert_eq!(taken.says_with(&forked, &[]).await, PROVED, "by itself it is a whole history");
    let said = taken.pinned(&forked, &notes).await;
    assert_eq!(said.status, 1);
    assert!(said.findings.contains(&taken.of(&format!("ALTERED pinned {}", last + 1))), "{said:?}");
    // Pinned checkpoints of another session prove nothing here.
    let others: Vec<&str> = notes.split("\n\n").collect();
    let other = others.iter().position(|text| text.contains(&taken.history.other)).unwrap();
    let note = format!("{}\n\n{}\n", others[other].trim_start(), others[other + 1].lines().next().unwrap());
    let said = taken.pinned(&newer, &note).await;
    assert_eq!(said, Verdict { status: 2, findings: vec!["INCOMPLETE pinned gateway".to_owned()] });
    // Signed by another key.
    std::fs::remove_file(taken.history.gateway.data().join("signing-key")).unwrap();
    std::fs::remove_dir_all(taken.history.gateway.data().join("signed")).unwrap();
    taken.history.sql("DELETE FROM checkpoints; DELETE FROM heads; UPDATE sessions SET signed_size = 0;");
    let forged = another_turn(&mut taken.history, "[[text:forged]]").await;
    let said = taken.says_with(&forged, &[]).await;
    let found: BTreeSet<&str> = said.findings.iter().map(String::as_str).collect();
    let of_session = format!("ALTERED signature session {session}");
    assert_eq!(said.status, 1);
    assert!(found.contains("ALTERED signature gateway") && found.contains(of_session.as_str()), "{found:?}");
}

/// One more turn, and the bundle with it.
async fn another_turn(history: &mut History, text: &str) -> Vec<u8> {
    history.gateway.restart().await;
    let mut viewer = Viewer::connect(&history.gateway).await;
    viewer.attach(&history.session, 0).await;
    viewer.turn(&history.session, text).await;
    let zip = take(&history.gateway.http(), &history.session).await;
    drop(viewer);
    history.gateway.terminate().await;
    zip
}

#[tokio::test]
async fn a_bundle_in_the_middle_of_a_turn_is_proved_as_far_as_it_goes_and_is_not_for_viewers() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "started").await;
    let zip = take(&scene.gateway.http(), &scene.session).await;
    let (key, path) = (scene.gateway.cli(&["key"]).await, scene.gateway.data().join("bundle.zip"));
    std::fs::write(&path, &zip).unwrap();
    assert_eq!(both(&scene.gateway, &path, key.trim(), &[]).await, PROVED);
    assert!(Files::read(&zip).text("log.jsonl").contains("started"));
    agent.open("go");
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    let viewer = scene.gateway.add_token("eve", "viewer").await;
    let http = Http::new(scene.gateway.address(), Some(&viewer));
    let refused = http.get(&format!("/api/sessions/{}/export?format=bundle", scene.session)).await;
    assert_eq!(refused.error_code(), "forbidden");
}

#[tokio::test]
async fn the_verifiers_agree_on_every_changed_byte() {
    let taken = Taken::new().await;
    let mut random = Random(7);
    for number in 0..40 {
        let (what, said) = taken.one_byte_changed(&mut random, number % 2 == 0).await;
        assert_ne!(said.status, 0, "{what} was not found");
    }
}

#[tokio::test]
async fn content_that_is_gone_from_a_bundle_without_a_redaction_is_found() {
    let taken = Taken::new().await;
    let seq = taken.history.seqs("text")[1] as usize;
    let gone = taken.files.clone().line_edit("log.jsonl", |lines| {
        let mut record: Value = serde_json::from_str(&lines[seq - 1]).unwrap();
        record["text"] = "[redacted]".into();
        record["redacted"] = true.into();
        lines[seq - 1] = record.to_string();
    });
    let gone = gone.line_edit("seals.jsonl", |lines| {
        let mut seal: Value = serde_json::from_str(&lines[seq - 1]).unwrap();
        seal["salt"] = Value::Null;
        lines[seq - 1] = seal.to_string();
    });
    assert_eq!(taken.shows(gone).await.findings, [taken.of(&format!("ALTERED redaction {seq}"))]);
}
