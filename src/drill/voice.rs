//! The drill's lines: stream-json as claude 2.1.329 prints it (claude-cli.md section 1).
//!
//! Invariant: one content block a line; blocks between two tool results share one `message.id`; a tool result names its
//! tool use; ids differ between runs. Costs and tokens are zero, because a rehearsal has none. Writes nothing.

use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::play::ToolUse;

/// The version whose lines these are.
const CLAUDE_VERSION: &str = "2.1.329";
const TOOLS: [&str; 5] = ["Bash", "Edit", "Read", "TodoWrite", "Write"];

/// The model that `claude` names in lines that it made up itself.
const SYNTHETIC: &str = "<synthetic>";

/// What a tool says that a user's interruption cut short.
const REJECTED: &str = "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file \
                        edit, the new_string was NOT written to the file). STOP what you are doing and wait for the user \
                        to tell you how to proceed.";

/// Makes the lines of one run.
pub(super) struct Voice {
    session_id: String,
    agent: String,
    model: String,
    cwd: String,
    since: Instant,
    /// Makes this run's ids differ from those of any other.
    run: String,
    messages: u64,
    in_message: bool,
    tools: u64,
    results: u64,
    last_text: String,
}

impl Voice {
    pub(super) fn new(session_id: String, agent: String, model: String, cwd: &Path) -> Self {
        let mut run = Uuid::new_v4().simple().to_string();
        run.truncate(16);
        Self {
            session_id,
            agent,
            model,
            cwd: cwd.display().to_string(),
            since: Instant::now(),
            run,
            messages: 0,
            in_message: false,
            tools: 0,
            results: 0,
            last_text: String::new(),
        }
    }

    pub(super) fn init(&self) -> Value {
        self.system(
            "init",
            json!({
                "cwd": self.cwd, "tools": TOOLS, "mcp_servers": [], "model": self.model,
                "permissionMode": "bypassPermissions", "slash_commands": [], "apiKeySource": "none",
                "claude_code_version": CLAUDE_VERSION, "drill_version": env!("CARGO_PKG_VERSION"),
                "output_style": "default", "agents": [self.agent], "skills": [], "plugins": [],
            }),
        )
    }

    pub(super) fn api_retry(&self, attempt: u32, max_retries: u32, retry_delay_ms: u64) -> Value {
        self.system(
            "api_retry",
            json!({
                "attempt": attempt, "max_retries": max_retries, "retry_delay_ms": retry_delay_ms,
                "error_status": 529, "error": "overloaded",
            }),
        )
    }

    pub(super) fn text(&mut self, text: &str) -> Value {
        text.clone_into(&mut self.last_text);
        self.assistant(&json!({"type": "text", "text": text}))
    }

    /// What the last text of the run was, when it was said without [`Voice::text`].
    pub(super) fn said(&mut self, text: String) {
        self.last_text = text;
    }

    /// A tool use; gives its id too.
    pub(super) fn tool_use(&mut self, tool: &ToolUse) -> (String, Value) {
        self.tools += 1;
        let id = format!("toolu_drill{}x{}", self.run, self.tools);
        let line = self.assistant(&json!({"type": "tool_use", "id": id, "name": tool.name, "input": tool.input}));
        (id, line)
    }

    pub(super) fn tool_result(&mut self, id: &str, tool: &ToolUse) -> Value {
        let output = &tool.output;
        let extra = match tool.is_error {
            true => json!(format!("Error: {output}")),
            false => json!({"stdout": output, "stderr": "", "interrupted": false, "isImage": false}),
        };
        let block = json!({"tool_use_id": id, "type": "tool_result", "content": output, "is_error": tool.is_error});
        self.tool_came_back(&block, extra)
    }

    /// The result of a tool that a user's interruption cut short.
    pub(super) fn tool_rejected(&mut self, id: &str) -> Value {
        let block = json!({"type": "tool_result", "content": REJECTED, "is_error": true, "tool_use_id": id});
        self.tool_came_back(&block, json!("User rejected tool use"))
    }

    /// The result of a tool that was killed.
    pub(super) fn tool_killed(&mut self, id: &str) -> Value {
        let block = json!({"type": "tool_result", "content": "Exit code 137", "is_error": true, "tool_use_id": id});
        self.tool_came_back(&block, json!("Error: Exit code 137"))
    }

    fn tool_came_back(&mut self, block: &Value, tool_use_result: Value) -> Value {
        let mut line = self.user(block);
        line["tool_use_result"] = tool_use_result;
        line
    }

    /// What the transcript says when a user has interrupted.
    pub(super) fn interrupted(&mut self) -> Value {
        self.user(&json!({"type": "text", "text": "[Request interrupted by user for tool use]"}))
    }

    /// The assistant line that stands for an API error.
    pub(super) fn api_error(&mut self, text: &str) -> Value {
        let mut line = self.text(text);
        line["message"]["model"] = SYNTHETIC.into();
        line["is_api_error_message"] = true.into();
        line
    }

    /// A good end; `None` repeats the last text, as `claude` does.
    pub(super) fn result(&mut self, words: Option<&str>) -> Value {
        let words = words.unwrap_or(&self.last_text).to_owned();
        self.verdict(json!({
            "subtype": "success", "is_error": false, "result": words, "stop_reason": "end_turn",
            "terminal_reason": "completed", "api_error_status": null,
        }))
    }

    /// The end after an API error: `success` by name, an error by `is_error`.
    pub(super) fn result_api_error(&mut self, words: &str) -> Value {
        self.verdict(json!({
            "subtype": "success", "is_error": true, "result": words, "stop_reason": "stop_sequence",
            "terminal_reason": "api_error", "api_error_status": 500,
        }))
    }

    /// The end after a user's interruption.
    pub(super) fn result_interrupted(&mut self) -> Value {
        self.verdict(json!({
            "subtype": "error_during_execution", "is_error": true, "stop_reason": "tool_use",
            "terminal_reason": "aborted_tools",
            "errors": ["[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=tool_use"],
        }))
    }

    fn verdict(&mut self, fields: Value) -> Value {
        let duration_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut line = merged(verdict(&self.session_id, duration_ms, self.messages), fields);
        line["result_index"] = self.results.into();
        self.results += 1;
        line
    }

    fn assistant(&mut self, block: &Value) -> Value {
        if !self.in_message {
            self.messages += 1;
            self.in_message = true;
        }
        json!({
            "type": "assistant",
            "message": {
                "id": format!("msg_drill{}x{}", self.run, self.messages), "type": "message", "role": "assistant",
                "model": self.model, "content": [block], "stop_reason": null, "stop_sequence": null, "usage": usage(),
                "context_management": null,
            },
            "parent_tool_use_id": null, "session_id": self.session_id, "uuid": fresh(), "timestamp": now(),
            "request_id": format!("req_drill{}x{}", self.run, self.messages),
        })
    }

    fn user(&mut self, block: &Value) -> Value {
        self.in_message = false;
        json!({
            "type": "user", "message": {"role": "user", "content": [block]}, "parent_tool_use_id": null,
            "session_id": self.session_id, "uuid": fresh(), "timestamp": now(),
        })
    }

    fn system(&self, subtype: &str, fields: Value) -> Value {
        let line = json!({"type": "system", "subtype": subtype, "session_id": self.session_id, "uuid": fresh()});
        merged(line, fields)
    }
}

/// The only line of a run that was to resume what does not exist.
pub(super) fn lost(session_id: &str, message: &str) -> Value {
    let fields =
        json!({"subtype": "error_during_execution", "is_error": true, "stop_reason": null, "errors": [message]});
    merged(verdict(session_id, 0, 0), fields)
}

fn verdict(session_id: &str, duration_ms: u64, num_turns: u64) -> Value {
    json!({
        "type": "result", "duration_ms": duration_ms, "duration_api_ms": 0, "num_turns": num_turns, "session_id": session_id,
        "total_cost_usd": 0, "usage": usage(), "modelUsage": {}, "permission_denials": [], "uuid": fresh(), "result_index": 0,
    })
}

fn usage() -> Value {
    json!({
        "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0,
        "service_tier": "standard",
    })
}

fn merged(line: Value, fields: Value) -> Value {
    let mut all = Map::new();
    for part in [line, fields] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}

fn fresh() -> String {
    Uuid::new_v4().to_string()
}

fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
