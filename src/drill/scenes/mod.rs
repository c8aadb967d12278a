//! The made-up recoveries, and which of them a prompt asks for.
//!
//! Invariant: each is told in 20 to 40 seconds at normal speed, uses several tools, fails once, and says at its beginning and
//! its end that nothing was touched. Machines, numbers and outputs are invented.

mod disk;
mod memory;
mod network;
mod services;
mod triage;

use std::time::Duration;

use serde_json::json;

use super::play::{Step, ToolUse, quote};

/// How long a tool runs that is not told to take longer, milliseconds.
const TOOL_MS: u64 = 1_200;
/// Thinking before a text: so long at least, and so much more for each of its characters, milliseconds.
const THINK_MS: u64 = 600;
const THINK_CHAR_MS: u64 = 8;

struct Recovery {
    /// Words in a prompt that ask for it.
    words: &'static [&'static str],
    tell: fn(Tale) -> Tale,
}

/// On a draw, the first wins.
const RECOVERIES: [Recovery; 5] = [
    Recovery {
        words: &[
            "disk",
            "disks",
            "space",
            "full",
            "inode",
            "inodes",
            "volume",
            "filesystem",
            "storage",
            "enospc",
            "df",
        ],
        tell: disk::tell,
    },
    Recovery { words: &["memory", "oom", "ram", "swap", "heap", "leak", "rss", "killed"], tell: memory::tell },
    Recovery {
        words: &[
            "network",
            "dns",
            "unreachable",
            "packet",
            "packets",
            "latency",
            "firewall",
            "route",
            "ping",
            "resolve",
        ],
        tell: network::tell,
    },
    Recovery {
        words: &[
            "service", "services", "systemd", "nginx", "unit", "crash", "crashes", "restart", "down", "502", "503",
        ],
        tell: services::tell,
    },
    Recovery {
        words: &["triage", "everything", "look", "check", "health", "overview", "status", "slow", "load"],
        tell: triage::tell,
    },
];

/// The recovery that fits a prompt best: of a full disk when nothing fits, or a look around when that was had before.
pub(super) fn recovery(prompt: &str, earlier: &[String]) -> Vec<Step> {
    let words: Vec<String> = prompt.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect();
    let score = |recovery: &Recovery| words.iter().filter(|word| recovery.words.contains(&word.as_str())).count();
    let best = RECOVERIES.iter().rev().max_by_key(|recovery| score(recovery)); // the last maximum wins, hence `rev`
    let tell = match best {
        Some(best) if score(best) > 0 => best.tell,
        _ if earlier.is_empty() => disk::tell,
        _ => triage::tell,
    };
    let opening = format!(
        "This is a rehearsal: what follows is made up, and nothing on this machine is touched.\n\nYou asked: {}.",
        quote(prompt)
    );
    let mut steps = tell(Tale::default().say(&opening)).0;
    // Not a text of its own: the result repeats the last text, and that should be the summary.
    if let Some(Step::Say(summary)) = steps.last_mut() {
        summary.push_str("\n\n(End of the rehearsal. No command was run.)");
    }
    steps
}

/// A step in a checklist.
#[derive(Clone, Copy)]
enum Todo {
    Done,
    Doing,
    Open,
}

use Todo::{Doing, Done, Open};

/// Steps, told one after another.
#[derive(Default)]
struct Tale(Vec<Step>);

impl Tale {
    /// Prose, after as much thinking as its length deserves.
    fn say(mut self, text: &str) -> Self {
        let think_ms = THINK_MS + THINK_CHAR_MS * text.len() as u64;
        self.0.extend([Step::Pause(Duration::from_millis(think_ms)), Step::Say(text.to_owned())]);
        self
    }

    /// A command that works.
    fn bash(self, command: &str, description: &str, output: &str) -> Self {
        self.bash_for(TOOL_MS, command, description, output)
    }

    /// A command that works and takes its time.
    fn bash_for(self, takes_ms: u64, command: &str, description: &str, output: &str) -> Self {
        let tool = ToolUse::new("Bash", json!({"command": command, "description": description}));
        self.tool(takes_ms, ToolUse { output: output.to_owned(), ..tool })
    }

    /// A command that fails with exit code 1.
    fn fail(self, command: &str, description: &str, output: &str) -> Self {
        let tool = ToolUse::new("Bash", json!({"command": command, "description": description}));
        self.tool(TOOL_MS, ToolUse { output: output.to_owned(), ..tool }.failed())
    }

    /// A file, shown with line numbers.
    fn read(self, path: &str, content: &str) -> Self {
        let tool = ToolUse::new("Read", json!({"file_path": path}));
        let numbered: Vec<String> =
            content.lines().enumerate().map(|(at, line)| format!("{:>6}\t{line}", at + 1)).collect();
        self.tool(TOOL_MS, ToolUse { output: numbered.join("\n"), ..tool })
    }

    /// A change in a file.
    fn edit(self, path: &str, old: &str, new: &str) -> Self {
        let tool = ToolUse::new("Edit", json!({"file_path": path, "old_string": old, "new_string": new}));
        self.tool(TOOL_MS, ToolUse { output: format!("The file {path} has been updated successfully."), ..tool })
    }

    /// The checklist as it stands.
    fn todo(self, todos: &[(Todo, &str)]) -> Self {
        let status = |todo| match todo {
            Done => "completed",
            Doing => "in_progress",
            Open => "pending",
        };
        let todos: Vec<_> = todos
            .iter()
            .map(|&(todo, content)| json!({"content": content, "status": status(todo), "activeForm": content}))
            .collect();
        let tool = ToolUse::new("TodoWrite", json!({"todos": todos}));
        let output = "Todos have been modified successfully. Ensure that you continue to use the todo list to track your \
                      progress.";
        self.tool(0, ToolUse { output: output.to_owned(), ..tool })
    }

    fn tool(mut self, takes_ms: u64, tool: ToolUse) -> Self {
        self.0.push(Step::Use(ToolUse { takes: Duration::from_millis(takes_ms), ..tool }));
        self
    }
}
