// What is fuzzed: one function for each way in which bytes that somebody else chose reach the gateway. Included by the fuzz
// targets (`fuzz/fuzz_targets`), and by the ordinary tests, which replay the corpus and try random bytes.
//
// Each asserts what must hold for any bytes, beyond "it does not panic".

/// A client's frame.
pub(super) fn frames(bytes: &[u8]) {
    use breakglass::protocol::client::{is_too_deep, parse};
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse(text) {
        // What was understood is no deeper than allowed, and means the same when it is written again.
        Ok((id, request)) => {
            assert!(!is_too_deep(bytes));
            let mut again = serde_json::to_value(&request).expect("a request is JSON");
            if let Some(id) = &id {
                again["id"] = serde_json::to_value(id).expect("an id is JSON");
            }
            assert_eq!(parse(&again.to_string()), Ok((id, request)));
        }
        Err(refused) => assert!(!refused.message.is_empty()),
    }
}

/// A record, as the page that is made for people without scripts and every client of ours reads it.
pub(super) fn records(bytes: &[u8]) {
    use breakglass::protocol::event::Record;
    let Ok(record) = serde_json::from_slice::<Record>(bytes) else { return };
    let text = serde_json::to_string(&record).expect("a record is JSON");
    let again: Record = serde_json::from_str(&text).expect("what we write we can read");
    assert_eq!(serde_json::to_string(&again).expect("a record is JSON"), text);
}

/// A line of an agent, to the masked event.
pub(super) fn lines(bytes: &[u8]) {
    use breakglass::agent::translate::line;
    use breakglass::mask::Masks;
    thread_local! {
        static MASKS: Masks = Masks::new(&["a-literal-secret".to_owned()]).expect("a good value");
    }
    if let Some(version) = breakglass::agent::version::said(bytes) {
        assert!((1..=64).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    for mut event in line(bytes).events {
        MASKS.with(|masks| {
            masks.apply(&mut event.body);
            let once = event.body.clone();
            assert_eq!(masks.apply(&mut event.body), 0, "masking twice is masking once");
            assert_eq!(event.body, once);
        });
        let _ = breakglass::log::NewEvent::new(event.reference.as_deref(), &event.body);
    }
}

/// An agent's output file, read in pieces of any size from any offset that a reading gave. The first byte says the size.
pub(super) fn spool(bytes: &[u8]) {
    use breakglass::turn::follow::SpoolReader;
    use breakglass::turn::spool::{ExitRecord, LaunchSpec, SpoolDir};
    use breakglass::turn::start::StartRecord;
    let _ = serde_json::from_slice::<ExitRecord>(bytes);
    let _ = serde_json::from_slice::<LaunchSpec>(bytes);
    let _ = serde_json::from_slice::<StartRecord>(bytes);
    let Some((size, output)) = bytes.split_first() else { return };
    thread_local! {
        static DIR: tempfile::TempDir = tempfile::tempdir().expect("a temporary folder can be made");
    }
    DIR.with(|dir| {
        std::fs::write(dir.path().join("out"), output).expect("a temporary folder is writable");
        let dir = SpoolDir::at(dir.path().to_owned());
        let whole = read(&mut SpoolReader::open(&dir, 0).expect("it is there"), 1 << 20);
        let pieces = read(&mut SpoolReader::open(&dir, 0).expect("it is there"), usize::from(*size) + 1);
        assert_eq!(whole, pieces, "the size of a piece does not matter");
        let expected: Vec<&[u8]> =
            output.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).collect();
        assert_eq!(whole.len(), expected.len());
        if let Some((_, offset)) = whole.get(whole.len() / 2) {
            let rest = read(&mut SpoolReader::open(&dir, *offset).expect("it is there"), 64);
            assert_eq!(rest, whole[whole.len() / 2 + 1..], "an offset is a place to go on from");
        }
    });

    fn read(reader: &mut SpoolReader, piece_bytes: usize) -> Vec<(Vec<u8>, u64)> {
        let mut lines = Vec::new();
        loop {
            let chunk = reader.read(piece_bytes).expect("a regular file can be read");
            if chunk.read_bytes == 0 {
                return lines;
            }
            lines.extend(chunk.lines.into_iter().map(|line| (line.bytes.to_vec(), line.end)));
        }
    }
}

/// What is shown at the door: a token, and the body that carries one.
pub(super) fn sign_in(bytes: &[u8]) {
    use breakglass::auth::Secret;
    use breakglass::protocol::client::{is_too_deep, read};
    let text = String::from_utf8_lossy(bytes);
    if let Some(secret) = Secret::parse(&text) {
        assert_eq!(Secret::parse(secret.expose()), Some(secret.clone()));
        assert!(!format!("{secret:?}").contains(secret.expose()));
    }
    if !is_too_deep(bytes)
        && let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(bytes)
    {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Login {
            token: String,
        }
        if let Ok(login) = read::<Login>(fields) {
            let _ = Secret::parse(&login.token);
        }
    }
}
