//! What the mock model answers: directives in the prompt, cut into rounds, one round for each API request.
//!
//! Pure: the round is found by counting the tool calls that follow the newest prompt in the request itself, so the same
//! request always gets the same answer. Deliberately knows nothing of HTTP.

use serde_json::{Value, json};

/// One directive of a prompt, `[[name:argument]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Directive {
    /// `[[text:hello]]`: say it.
    Text(String),
    /// `[[bash:COMMAND]]`: call Bash; what follows is played when the result is back.
    Bash(String),
    /// `[[bg:COMMAND]]`: call Bash in the background.
    Background(String),
    /// `[[error:529:2]]`: refuse with this status so many times; without a number, always.
    Error(u16, Option<u32>),
    /// `[[hang]]`: never answer.
    Hang,
    /// `[[gate:NAME]]`: answer once the test opens the gate.
    Gate(String),
}

/// The newest prompt of a request's messages, and how many tool calls followed it.
pub(crate) struct Position {
    /// All directives' source.
    pub(crate) prompt: String,
    /// Which round comes next, from 0.
    pub(crate) round: usize,
}

/// Finds the newest prompt: the last `user` message with text that is not the program's own (reminders, notices).
pub(crate) fn position(messages: &[Value]) -> Position {
    let mut round = 0;
    for message in messages.iter().rev() {
        if message["role"] == "assistant" && blocks(message).iter().any(|block| block["type"] == "tool_use") {
            round += 1;
        }
        if message["role"] != "user" {
            continue;
        }
        let prompt: Vec<String> = texts(message).into_iter().filter(|text| !is_the_programs_own(text)).collect();
        // After a turn without an answer the program sends two prompts as one message: the last block is the newest.
        if let Some(newest) = prompt.into_iter().next_back() {
            return Position { prompt: newest, round };
        }
    }
    Position { prompt: String::new(), round }
}

fn is_the_programs_own(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty()
        || text.starts_with("<system-reminder>")
        || text.starts_with("<task-notification>")
        || text.starts_with("[Request interrupted")
}

/// The content blocks of a message.
pub(crate) fn blocks(message: &Value) -> &[Value] {
    message["content"].as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a message, whether its content is a string or a list of blocks.
pub(crate) fn texts(message: &Value) -> Vec<String> {
    if let Some(text) = message["content"].as_str() {
        return vec![text.to_owned()];
    }
    blocks(message).iter().filter_map(|block| block["text"].as_str().map(str::to_owned)).collect()
}

/// The directives of one round: up to and with its tool call.
pub(crate) fn round(prompt: &str, round: usize) -> Vec<Directive> {
    let all = parse(prompt);
    let mut rounds = all.split_inclusive(|one| matches!(one, Directive::Bash(_) | Directive::Background(_)));
    match rounds.nth(round) {
        Some(directives) => directives.to_vec(),
        None => vec![Directive::Text("Done.".to_owned())],
    }
}

fn parse(prompt: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    for piece in prompt.split("[[").skip(1) {
        let Some((body, _)) = piece.split_once("]]") else { continue };
        let (name, argument) = body.split_once(':').unwrap_or((body, ""));
        match name {
            "text" => found.push(Directive::Text(argument.to_owned())),
            "bash" => found.push(Directive::Bash(argument.to_owned())),
            "bg" => found.push(Directive::Background(argument.to_owned())),
            "hang" => found.push(Directive::Hang),
            "gate" => found.push(Directive::Gate(argument.to_owned())),
            "error" => found.push(error(argument)),
            "steps" => {
                let count: usize = argument.parse().expect("[[steps:N]] takes a number");
                for step in 1..=count {
                    found.push(Directive::Text(format!("Step {step} of {count}.")));
                    found.push(Directive::Bash(format!("echo step {step}")));
                }
            }
            _ => panic!("the mock does not know `[[{body}]]`"),
        }
    }
    if found.is_empty() {
        found.push(Directive::Text("Done.".to_owned()));
    }
    found
}

fn error(argument: &str) -> Directive {
    let (status, times) = match argument.split_once(':') {
        Some((status, times)) => (status, Some(times.parse().expect("[[error:STATUS:TIMES]] takes numbers"))),
        None => (argument, None),
    };
    Directive::Error(status.parse().expect("[[error:STATUS]] takes a number"), times)
}

/// The content blocks that a round's directives say, and why the message stops.
pub(crate) fn content(directives: &[Directive], id: &str) -> (Vec<Value>, &'static str) {
    let mut content = Vec::new();
    for directive in directives {
        let tool =
            |input: Value| json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": "Bash", "input": input});
        match directive {
            Directive::Text(text) => content.push(json!({"type": "text", "text": text})),
            Directive::Bash(command) => {
                content.push(tool(json!({"command": command, "description": "Run a scripted command"})));
            }
            Directive::Background(command) => content
                .push(tool(json!({"command": command, "description": "Run in background", "run_in_background": true}))),
            Directive::Error(..) | Directive::Hang | Directive::Gate(_) => {}
        }
    }
    if content.is_empty() {
        content.push(json!({"type": "text", "text": "Done."}));
    }
    let stop = if content.iter().any(|block| block["type"] == "tool_use") { "tool_use" } else { "end_turn" };
    (content, stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Value {
        json!({"role": "user", "content": [{"type": "text", "text": text}]})
    }

    fn call() -> [Value; 2] {
        [
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t"}]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "[[text:no]]"}]}),
        ]
    }

    #[test]
    fn rounds_end_with_a_tool_call() {
        let prompt = "[[text:a]][[bash:ls]][[text:b]]";
        assert_eq!(round(prompt, 0), [Directive::Text("a".into()), Directive::Bash("ls".into())]);
        assert_eq!(round(prompt, 1), [Directive::Text("b".into())]);
        assert_eq!(round(prompt, 2), [Directive::Text("Done.".into())]);
        assert_eq!(round("[[steps:2]][[text:all]]", 1)[1], Directive::Bash("echo step 2".into()));
        assert_eq!(round("[[error:529:2]]x", 0), [Directive::Error(529, Some(2))]);
    }

    #[test]
    fn the_newest_prompt_counts_and_reminders_do_not() {
        let [use_, result] = call();
        let mut messages = vec![user("[[bash:old]]"), use_.clone(), result.clone(), user("[[bash:new]][[text:x]]")];
        assert_eq!(position(&messages).prompt, "[[bash:new]][[text:x]]");
        assert_eq!(position(&messages).round, 0);
        messages.extend([use_, result, user("<system-reminder>be kind</system-reminder>")]);
        assert_eq!((position(&messages).prompt.as_str(), position(&messages).round), ("[[bash:new]][[text:x]]", 1));
    }
}
