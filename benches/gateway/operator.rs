//! Somebody who asks and waits for the answer.

use std::io::{Read, Write};
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::socket::{self, Opened};
use crate::wire::{self, Frame, FrameReader};

/// A connection for requests, one after another.
pub(crate) struct Operator {
    opened: Opened,
    frames: FrameReader,
}

impl Operator {
    pub(crate) fn open(address: SocketAddr, token: &str) -> Result<Self> {
        Ok(Self { opened: socket::open(address, token)?, frames: FrameReader::default() })
    }

    /// Makes a session whose agent is the one on the load's core; its id.
    pub(crate) fn create(&mut self) -> Result<String> {
        let session = Uuid::new_v4().to_string();
        self.ask(&json!({ "type": "create", "session": session, "agent": "claude" }), "created")?;
        Ok(session)
    }

    /// Runs a turn; returns when it was accepted.
    pub(crate) fn prompt(&mut self, session: &str, text: &str) -> Result<()> {
        let key = Uuid::new_v4();
        self.ask(&json!({ "type": "prompt", "session": session, "text": text, "key": key }), "accepted").map(|_| ())
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, request: &Value, answer: &str) -> Result<Value> {
        self.opened.stream.write_all(&wire::text(&request.to_string()))?;
        self.wait_for(|value| value["type"] == answer)
    }

    /// Waits until the attached session's turn has ended.
    pub(crate) fn turn_end(&mut self) -> Result<()> {
        let mut ended = false;
        while !ended {
            self.receive(&mut |frame| ended |= matches!(frame, Frame::Event(event) if event.is_turn_end()))?;
        }
        Ok(())
    }

    fn wait_for(&mut self, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        loop {
            let (mut found, mut refused) = (None, None);
            self.receive(&mut |frame| {
                if let Frame::Other(text) = frame {
                    let value: Value = serde_json::from_str(text).unwrap_or_default();
                    if value["type"] == "error" {
                        refused = Some(text.to_owned());
                    } else if is_it(&value) {
                        found = Some(value);
                    }
                }
            })?;
            ensure!(refused.is_none(), "the gateway refused: {}", refused.unwrap_or_default());
            if let Some(value) = found {
                return Ok(value);
            }
        }
    }

    /// What is there already, else what comes next.
    fn receive(&mut self, on_frame: &mut dyn FnMut(Frame<'_>)) -> Result<()> {
        let used = self.frames.read(&self.opened.head, on_frame);
        self.opened.head.drain(..used);
        if used > 0 {
            return Ok(());
        }
        let mut buffer = [0; 16 << 10];
        let read = self.opened.stream.read(&mut buffer).context("the gateway did not answer")?;
        ensure!(read > 0, "the gateway hung up");
        self.opened.head.extend(&buffer[..read]);
        Ok(())
    }
}
