//! Prompts to begin with, offered as chips above the composer: the operator's own file, or a set for the usual incident.
//!
//! The file is TOML: `[[preset]]` tables with `label` and `prompt`. Knows nothing of who shows them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::protocol::PROMPT_BYTES_MAX;

/// More chips than this do not fit above a composer.
const PRESETS_MAX: usize = 32;
/// The longest label, characters.
const LABEL_CHARS_MAX: usize = 40;
/// The longest file, bytes: every prompt at its longest would be more, and no file of that kind is meant.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One prompt to begin with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// What the chip says.
    pub label: String,
    /// What it puts into the composer.
    pub prompt: String,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// It cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("`{path}`: {problem}")]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    preset: Vec<Preset>,
}

/// Reads the operator's own file. One without presets is fine: then none are offered.
///
/// # Errors
/// [`PresetError`] names the file, and the line where there is one.
pub fn read(path: &Path) -> Result<Vec<Preset>, PresetError> {
    let failed = |source| PresetError::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        let problem = format!("{bytes} bytes are more than the {FILE_BYTES_MAX} that a file of presets may have");
        return Err(PresetError::Wrong { path: path.to_owned(), problem });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    parse(&text).map_err(|problem| PresetError::Wrong { path: path.to_owned(), problem })
}

fn parse(text: &str) -> Result<Vec<Preset>, String> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        line.map_or(error.message().to_owned(), |line| format!("line {line}: {}", error.message()))
    })?;
    if file.preset.len() > PRESETS_MAX {
        return Err(format!("{} presets are more than {PRESETS_MAX}", file.preset.len()));
    }
    for Preset { label, prompt } in &file.preset {
        if label.trim().is_empty() || label.chars().count() > LABEL_CHARS_MAX || label.chars().any(char::is_control) {
            return Err(format!("label `{}` must be 1 to {LABEL_CHARS_MAX} characters", label.escape_debug()));
        }
        if prompt.trim().is_empty() || prompt.len() > PROMPT_BYTES_MAX {
            return Err(format!("the prompt of `{label}` must be 1 to {PROMPT_BYTES_MAX} bytes"));
        }
    }
    Ok(file.preset)
}

/// A set for the usual incident. Each looks, and changes nothing: it is the first thing that is sent.
pub fn usual() -> Vec<Preset> {
    let preset = |(label, prompt): (&str, &str)| Preset { label: label.to_owned(), prompt: prompt.to_owned() };
    USUAL.into_iter().map(preset).collect()
}

const USUAL: [(&str, &str); 5] = [
    (
        "Triage",
        "Something is wrong with this machine. Find out what, without changing anything: load, memory, disks, failed services, \
         recent errors in the logs. Then say what you would do first.",
    ),
    (
        "Memory",
        "Check memory: what uses it, whether something was killed for lack of it, and whether it grows. Change nothing.",
    ),
    (
        "Disk",
        "Check the disks: full file systems and inodes, what takes the space, and disk errors in the kernel log. Change nothing.",
    ),
    (
        "Services",
        "List the services that failed or restart again and again, each with the reason from its log. Change nothing.",
    ),
    (
        "Network",
        "Check the network: interfaces, routes, name resolution, listening ports, and whether the usual peers can be reached. \
         Change nothing.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_mistakes_are_named() {
        let good = "[[preset]]\nlabel = \"Triage\"\nprompt = \"\"\"look\naround\"\"\"\n";
        assert_eq!(parse(good).unwrap()[0].prompt, "look\naround");
        assert!(parse("").unwrap().is_empty());
        for (wrong, names) in [
            ("[[preset]]\nlabel = 1\nprompt = \"x\"", "line 2"),
            ("[[preset]]\nlabel = \"x\"", "prompt"),
            ("[[preset]]\nlabel = \"x\"\nprompt = \" \"", "prompt of `x`"),
            ("[[preset]]\nlabel = \"\"\nprompt = \"x\"", "label"),
            ("[[presets]]\nlabel = \"x\"\nprompt = \"x\"", "presets"),
            ("nonsense", "line 1"),
        ] {
            let problem = parse(wrong).unwrap_err();
            assert!(problem.contains(names), "{wrong}: {problem}");
        }
        assert_eq!(usual().len(), 5);
    }
}
