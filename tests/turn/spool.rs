//! The spool directory as files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use breakglass::turn::claim::Liveness;
use breakglass::turn::spool::{EndReason, SpoolError};

use super::support::Attempt;

#[test]
fn creating_it_again_is_harmless_and_changing_it_is_refused() {
    let mut attempt = Attempt::of("true");
    attempt.spec.stdin = true;
    attempt.dir.create(&attempt.spec, Some("prompt")).unwrap();
    attempt.dir.create(&attempt.spec, Some("prompt")).unwrap();
    assert_eq!(attempt.dir.spec().unwrap(), attempt.spec);
    let other = attempt.dir.create(&attempt.spec, Some("another")).unwrap_err();
    assert!(matches!(other, SpoolError::Different { .. }), "{other}");
    attempt.spec.timeout_ms += 1;
    let other = attempt.dir.create(&attempt.spec, Some("prompt")).unwrap_err();
    assert!(matches!(other, SpoolError::Different { .. }), "{other}");
}

#[tokio::test]
async fn nobody_else_may_read_it() {
    let mut attempt = Attempt::of("cat; echo x >&2");
    attempt.spec.stdin = true;
    attempt.dir.create(&attempt.spec, Some("prompt")).unwrap();
    let supervisor = attempt.try_launch().await.unwrap();
    attempt.ended(&supervisor).await;
    assert_eq!(fs::metadata(attempt.dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(attempt.dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["err", "exit.json", "launch.json", "lock", "out", "start.json", "stdin", "supervisor.err"]);
}

#[tokio::test]
async fn a_turn_runs_also_where_its_circumstances_cannot_be_written_down() {
    let attempt = Attempt::of("echo done");
    attempt.create();
    // In the way of the file that is written aside first.
    fs::create_dir(attempt.dir.path().join("start.json.tmp")).unwrap();
    let supervisor = attempt.try_launch().await.unwrap();
    let record = attempt.ended(&supervisor).await;
    assert_eq!((record.reason, record.exit_code), (EndReason::Exited, Some(0)));
    assert_eq!(attempt.out(), "done\n");
    assert_eq!(attempt.dir.start_record().unwrap(), None);
    let words = fs::read_to_string(attempt.dir.path().join("supervisor.err")).unwrap();
    assert!(words.contains("start.json"), "{words}");
}

#[test]
fn records_of_other_versions() {
    let attempt = Attempt::of("true");
    attempt.create();
    assert_eq!(attempt.dir.exit_record().unwrap(), None);
    let path = attempt.dir.path().join("exit.json");
    let record = r#"{"version":1,"reason":{"kind":"stopped","mood":"sad"},"exit_code":null,"signal":9,"duration_ms":1,
        "stdout_bytes":2,"stderr_bytes":3,"news":["of","a","later","program"]}"#;
    fs::write(&path, record).unwrap();
    let read = attempt.dir.exit_record().unwrap().unwrap();
    assert_eq!((read.reason, read.signal, read.left), (EndReason::Stopped, Some(9), vec![]));

    fs::write(&path, r#"{"version":7,"all":"different"}"#).unwrap();
    let error = attempt.dir.exit_record().unwrap_err().to_string();
    assert!(error.contains("version 7") && error.contains("exit.json"), "{error}");
    for damage in ["", "{", "[]", r#"{"version":1}"#, r#"{"version":1,"reason":{"kind":"evaporated"}}"#] {
        fs::write(&path, damage).unwrap();
        let error = attempt.dir.exit_record().unwrap_err();
        assert!(matches!(error, SpoolError::Damaged { .. }), "{error}");
    }
}

#[test]
fn the_head_of_stderr_is_what_python_would_give() {
    let attempt = Attempt::of("true");
    assert_eq!(attempt.dir.stderr_head(500), "");
    attempt.create();
    // Checked against CPython 3: bytes.decode(errors="replace").strip()[:n]
    let cases: [(&[u8], usize, &str); 6] = [
        (b" \n\t\x1c hello \x85", 500, "hello \u{fffd}"),
        ("\u{3000}äöü \u{2028}".as_bytes(), 2, "äö"),
        (b"a  b", 3, "a  "),
        (b"  \n ", 500, ""),
        (b"\xff\xfeab", 3, "\u{fffd}\u{fffd}a"),
        (b"\x1d\x1e\x1fx\x1f", 500, "x"),
    ];
    for (bytes, chars, expected) in cases {
        fs::write(attempt.dir.err_path(), bytes).unwrap();
        assert_eq!(attempt.dir.stderr_head(chars), expected);
    }
}

#[tokio::test]
async fn the_archive_holds_everything_however_often_it_is_made() {
    let attempt = Attempt::of("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo trouble >&2");
    attempt.run().await;
    let (out, err) = (fs::read(attempt.dir.out_path()).unwrap(), fs::read(attempt.dir.err_path()).unwrap());
    // Each leaves behind what an interrupted archive can leave behind.
    let out_archive = attempt.dir.out_archive_path();
    let interruptions: [&dyn Fn(); 4] = [
        &|| fs::write(out_archive.with_added_extension("tmp"), "torn").unwrap(),
        &|| {},
        &|| fs::write(attempt.dir.out_path(), &out).unwrap(),
        &|| fs::write(attempt.dir.err_path(), &err).unwrap(),
    ];
    for interrupt in interruptions {
        interrupt();
        attempt.dir.archive().unwrap();
        assert!(!attempt.dir.out_path().exists() && !attempt.dir.err_path().exists());
        assert!(!out_archive.with_added_extension("tmp").exists());
        assert!(zstd::decode_all(fs::File::open(&out_archive).unwrap()).unwrap() == out);
        let err_archive = fs::File::open(attempt.dir.err_archive_path()).unwrap();
        assert_eq!(zstd::decode_all(err_archive).unwrap(), err);
    }
    assert_eq!(attempt.dir.liveness().unwrap(), Liveness::Gone);
}

#[test]
fn an_endless_stderr_is_archived_without_its_middle() {
    let attempt = Attempt::of("true");
    attempt.create();
    let err = fs::File::create(attempt.dir.err_path()).unwrap();
    err.set_len(1 << 40).unwrap();
    std::os::unix::fs::FileExt::write_at(&err, b"first", 0).unwrap();
    std::os::unix::fs::FileExt::write_at(&err, b"last", (1 << 40) - 4).unwrap();
    attempt.dir.archive().unwrap();
    let kept = zstd::decode_all(fs::File::open(attempt.dir.err_archive_path()).unwrap()).unwrap();
    assert!(kept.len() < 3 * 1024 * 1024, "{}", kept.len());
    assert!(kept.starts_with(b"first") && kept.ends_with(b"last"));
    let text = String::from_utf8_lossy(&kept);
    assert!(text.contains("left out 1099509530624 bytes here"));
}
