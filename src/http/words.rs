//! Events in words, and text made safe for where it is put: HTML and Markdown. Everything in a record is hostile.

use std::fmt::{self, Write};

use crate::protocol::event::Body;

/// What happened, in a few words, and what was said.
pub(super) fn describe(body: &Body) -> (String, String) {
    let words = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match body {
        Body::User { text, by, .. } => (format!("{by} asked"), text.clone()),
        Body::Session { session_id } => (format!("conversation {}", words(session_id)), String::new()),
        Body::Text { text } => ("agent".to_owned(), words(text)),
        Body::Tool { name, input } => {
            let command = input.get("command").map(words);
            (format!("uses {}", words(name)), command.unwrap_or_else(|| format!("{input:#}")))
        }
        Body::ToolResult { is_error, output, bytes } => {
            let failed = if *is_error { "failed" } else { "came back" };
            (format!("tool {failed}, {bytes} bytes"), output.clone())
        }
        Body::Result { is_error, result, .. } => {
            (if *is_error { "result: failed" } else { "result" }.to_owned(), words(result))
        }
        Body::Status(status) => (status.detail.clone(), String::new()),
        Body::Error { error } => ("error".to_owned(), error.clone()),
        Body::Cancelled { by } => (format!("{by} stopped the turn"), String::new()),
        Body::Redaction(redaction) => {
            (format!("{} redacted record {}", redaction.by, redaction.of), redaction.reason.clone())
        }
        Body::TurnEnd(end) => {
            let left: Vec<_> = end.left.iter().map(|left| format!("{} {}", left.pid, left.command)).collect();
            (format!("the turn ended: {}, {} ms", end.outcome.as_str(), end.duration_ms), left.join("\n"))
        }
    }
}

/// Text as HTML, wherever it stands.
pub(super) struct Escaped<'t>(pub &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Shown, so that nothing hides; and text browsers hand control characters on to the terminal.
                c if c.is_control() && !matches!(c, '\n' | '\t') => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Text in one line of Markdown: as code, whatever it holds.
pub(super) struct Code<'t>(pub &'t str);

impl fmt::Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line: String = self.0.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let fence = "`".repeat(longest_run(&line, '`') + 1);
        // A space inside, so that text which begins or ends with a backtick stays apart from the fence.
        if fence.len() > 1 { write!(f, "{fence} {line} {fence}") } else { write!(f, "`{line}`") }
    }
}

/// Text as a block of Markdown code, indented so that it belongs to a list's item. The fence is longer than any in the text.
pub(super) struct Block<'t>(pub &'t str);

impl fmt::Display for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fence = "`".repeat((longest_run(self.0, '`') + 1).max(3));
        writeln!(f, "  {fence}text")?;
        for line in self.0.lines() {
            f.write_str("  ")?;
            for c in line.chars() {
                f.write_char(if c.is_control() && c != '\t' { '\u{fffd}' } else { c })?;
            }
            f.write_char('\n')?;
        }
        writeln!(f, "  {fence}")
    }
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_own_fence() {
        assert_eq!(Code("a").to_string(), "`a`");
        assert_eq!(Code("``a\n`").to_string(), "``` ``a ` ```");
        let block = Block("x\n````\n# no heading\u{1b}[31m").to_string();
        assert!(block.starts_with("  `````text\n") && block.ends_with("\n  `````\n"), "{block}");
        assert!(block.lines().all(|line| line.starts_with("  ")) && !block.contains('\u{1b}'), "{block}");
    }

    #[test]
    fn html_is_only_text() {
        let escaped = Escaped("<a href='x' on=\"y\">&\u{1b}").to_string();
        assert_eq!(escaped, "&lt;a href=&#39;x&#39; on=&quot;y&quot;&gt;&amp;\u{fffd}");
    }
}
