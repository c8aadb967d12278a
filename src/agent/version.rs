//! Which version an agent says it is: in its `init` line (claude-cli.md section 1), which need not be its first.
//!
//! Invariant: whatever the bytes are, the answer is a version's few plain characters, or none.

use std::io::{BufRead, BufReader, Read};

use serde::Deserialize;

/// The beginning of the output in which `init` is looked for; hooks may say something before.
const HEAD_BYTES: u64 = 1 << 20;
/// The longest version.
const VERSION_BYTES_MAX: usize = 64;

#[derive(Deserialize)]
struct Init {
    #[serde(rename = "type")]
    kind: String,
    subtype: String,
    claude_code_version: Option<String>,
    drill_version: Option<String>,
}

/// The version that an agent's output names.
pub fn said(output: impl Read) -> Option<String> {
    let lines = BufReader::new(output.take(HEAD_BYTES)).split(b'\n').map_while(Result::ok);
    let inits = lines.filter_map(|line| serde_json::from_slice::<Init>(&line).ok());
    let init = inits.into_iter().find(|init| init.kind == "system" && init.subtype == "init")?;
    // The rehearsal agent also names the version whose manners it has.
    init.drill_version.or(init.claude_code_version).filter(|version| is_plain(version))
}

fn is_plain(version: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".+-".contains(&byte);
    (1..=VERSION_BYTES_MAX).contains(&version.len()) && version.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn the_version_is_the_init_lines_wherever_that_stands_and_nothing_else() {
        let init = r#"{"claude_code_version":"2.1.329","subtype":"init","type":"system"}"#;
        let after_others = format!("not json\n{{\"type\":\"system\",\"subtype\":\"hook_started\"}}\n{init}\n");
        assert_eq!(said(after_others.as_bytes()).as_deref(), Some("2.1.329"));
        let drill = r#"{"type":"system","subtype":"init","claude_code_version":"2.1.329","drill_version":"0.1.0"}"#;
        assert_eq!(said(drill.as_bytes()).as_deref(), Some("0.1.0"));
        for other in [
            String::new(),
            init.replace("init", "status"),
            init.replace("2.1.329", "2.1 <b>"),
            init.replace("2.1.329", &"1".repeat(65)),
            init.replace("\"2.1.329\"", "7"),
            format!("{}\n{init}", "x".repeat(2 << 20)),
        ] {
            assert_eq!(said(other.as_bytes()), None, "{}", &other[..other.len().min(80)]);
        }
    }
}
