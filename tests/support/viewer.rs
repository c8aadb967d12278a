//! A client of the WebSocket: it asks, folds all that comes into a [`Model`], and waits for what the test names.
//!
//! Nothing is read unless a test waits for something, so a viewer that is left alone is one that stopped reading.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};
use tokio_tungstenite::tungstenite::protocol::frame::Frame as WireFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use uuid::Uuid;

use super::gateway::Gateway;
use super::model::{Frame, Model, Record, SessionLog};
use super::wait::{PATIENCE, within};

/// The subprotocol that clients offer.
pub(crate) const SUBPROTOCOL: &str = "breakglass.v1";

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closed {
    /// The close frame's code; `None` when the connection broke.
    pub(crate) code: Option<u16>,
}

/// The reply to an accepted prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Its turn.
    pub(crate) turn: String,
    /// The seq of its `user` event.
    pub(crate) seq: u64,
    /// Whether the key was known.
    pub(crate) is_duplicate: bool,
}

impl Accepted {
    /// Reads the reply; fails on any other.
    pub(crate) fn read(reply: &Value) -> Self {
        assert_eq!(reply["type"], "accepted", "{reply}");
        let turn = reply["turn"].as_str().expect("`turn` is a text").to_owned();
        let seq = reply["seq"].as_u64().expect("`seq` is a seq");
        Self { turn, seq, is_duplicate: reply["duplicate"].as_bool().expect("`duplicate` is a boolean") }
    }
}

/// A connected client.
pub(crate) struct Viewer {
    socket: WebSocketStream<TcpStream>,
    /// What it knows.
    pub(crate) model: Model,
    token: String,
    next_id: u64,
}

/// Opens a WebSocket as told; a refusal is the HTTP response.
pub(crate) async fn open(
    address: SocketAddr,
    headers: &[(&str, &str)],
) -> Result<(WebSocketStream<TcpStream>, Response<()>), Response<Option<Vec<u8>>>> {
    let mut request = format!("ws://{address}/ws").into_client_request().expect("an address makes a request");
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a header's name");
        request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a header's value"));
    }
    within("the WebSocket handshake", async {
        let stream = TcpStream::connect(address).await.expect("the gateway accepts");
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, response)) => Ok((socket, response.map(|_| ()))),
            Err(Error::Http(response)) => Err(*response),
            Err(error) => panic!("the WebSocket handshake broke: {error}"),
        }
    })
    .await
}

impl Viewer {
    /// Connects with the gateway's operator token.
    pub(crate) async fn connect(gateway: &Gateway) -> Self {
        Self::connect_as(gateway.address(), gateway.token()).await
    }

    /// Connects with a token and takes in `hello`.
    pub(crate) async fn connect_as(address: SocketAddr, token: &str) -> Self {
        let socket = Self::open_as(address, token).await;
        let mut viewer = Self { socket, model: Model::default(), token: token.to_owned(), next_id: 1 };
        viewer.frame("hello").await;
        viewer
    }

    /// Connects as a browser's page that is signed in does.
    pub(crate) async fn connect_with_cookie(gateway: &Gateway, cookie: &str) -> Self {
        let origin = gateway.url();
        let opened = open(gateway.address(), &[("cookie", cookie), ("origin", &origin)]).await;
        let (socket, _) = opened.unwrap_or_else(|refused| panic!("the WebSocket is refused: {refused:?}"));
        let mut viewer = Self { socket, model: Model::default(), token: String::new(), next_id: 1 };
        viewer.frame("hello").await;
        viewer
    }

    async fn open_as(address: SocketAddr, token: &str) -> WebSocketStream<TcpStream> {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("sec-websocket-protocol", SUBPROTOCOL)];
        let opened = open(address, &headers).await;
        opened.unwrap_or_else(|refused| panic!("the WebSocket is refused: {refused:?}")).0
    }

    /// Connects again and goes on with every session where it stood, as a page does after a lost connection.
    pub(crate) async fn resume(&mut self, gateway: &Gateway) {
        self.resume_at(gateway.address()).await;
    }

    /// The same, where another address leads to the gateway.
    pub(crate) async fn resume_at(&mut self, address: SocketAddr) {
        let shown = self.model.attached();
        let epoch = self.model.hello()["epoch"].clone();
        self.socket = Self::open_as(address, &self.token.clone()).await;
        self.model.lose_connection();
        self.frame("hello").await;
        for (session, last) in shown {
            let reply = self.attach_with(&session, json!({"after": last, "epoch": epoch})).await;
            assert_eq!((&reply["type"], &reply["from"]), (&json!("attached"), &json!(last + 1)), "{reply}");
        }
    }

    /// Sends a text frame as it is.
    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends any message. A connection that the gateway has closed meanwhile shows at the next read.
    pub(crate) async fn send(&mut self, message: Message) {
        let _ = within("the gateway to take a frame", self.socket.send(message)).await;
    }

    /// Sends a text frame whose bytes may be anything.
    pub(crate) async fn send_bytes_as_text(&mut self, bytes: &[u8]) {
        self.send(Message::Frame(WireFrame::message(bytes.to_vec(), OpCode::Data(Data::Text), true))).await;
    }

    /// Sends a request and waits for its reply, an `error` too; what else comes meanwhile is folded.
    pub(crate) async fn request(&mut self, mut request: Value) -> Value {
        let id = json!(self.next_id);
        self.next_id += 1;
        request["id"] = id.clone();
        self.send_text(&request.to_string()).await;
        let what = format!("the reply to {request}");
        self.wait(&what, |_, frame| (frame.value["id"] == id).then(|| frame.value.clone())).await
    }

    /// Sends text as a frame of its own and waits for the next frame that is a reply.
    pub(crate) async fn request_text(&mut self, text: &str) -> Value {
        self.send_text(text).await;
        let what = format!("the reply to {}", text.chars().take(200).collect::<String>());
        self.wait(&what, |_, frame| (!frame.is_unasked()).then(|| frame.value.clone())).await
    }

    /// Makes a session with a fresh id and the given agent; its id.
    pub(crate) async fn create(&mut self, agent: &str) -> String {
        let reply = self.request(json!({"type": "create", "agent": agent})).await;
        assert_eq!(reply["type"], "created", "{reply}");
        reply["session"].as_str().expect("`session` is a text").to_owned()
    }

    /// Shows a session from a seq on; checks that it will come from there.
    pub(crate) async fn attach(&mut self, session: &str, after: u64) -> Value {
        let reply = self.attach_with(session, json!({"after": after})).await;
        assert_eq!((&reply["type"], &reply["from"]), (&json!("attached"), &json!(after + 1)), "{reply}");
        reply
    }

    /// `attach` with any fields; the reply, whatever it is.
    pub(crate) async fn attach_with(&mut self, session: &str, mut fields: Value) -> Value {
        fields["type"] = json!("attach");
        fields["session"] = json!(session);
        self.request(fields).await
    }

    /// Makes a session and shows it; its id.
    pub(crate) async fn open_session(&mut self, agent: &str) -> String {
        let session = self.create(agent).await;
        self.attach(&session, 0).await;
        session
    }

    /// Starts a turn under a fresh key; fails when it is not accepted.
    pub(crate) async fn prompt(&mut self, session: &str, text: &str) -> Accepted {
        let reply = self.prompt_as(session, text, &new_key()).await;
        let accepted = Accepted::read(&reply);
        assert!(!accepted.is_duplicate, "{reply}");
        accepted
    }

    /// `prompt` under a key; the reply, whatever it is.
    pub(crate) async fn prompt_as(&mut self, session: &str, text: &str, key: &str) -> Value {
        self.request(json!({"type": "prompt", "session": session, "text": text, "key": key})).await
    }

    /// Runs a turn to its end; its events.
    pub(crate) async fn turn(&mut self, session: &str, text: &str) -> Vec<Record> {
        let accepted = self.prompt(session, text).await;
        self.turn_end(session, &accepted.turn).await;
        self.events_of(session, &accepted.turn)
    }

    /// Waits for the first event that fits, seen already or still to come.
    pub(crate) async fn event(&mut self, session: &str, what: &str, fits: impl Fn(&Record) -> bool) -> Record {
        if let Some(seen) = self.model.log(session).and_then(|log| log.records().find(|record| fits(record))) {
            return seen.clone();
        }
        let what = format!("an event: {what}");
        self.wait(&what, |model, frame| {
            let is_ours = frame.kind() == "event" && frame.value["session"] == session;
            let newest = model.log(session).filter(|_| is_ours)?.records().next_back()?;
            fits(newest).then(|| newest.clone())
        })
        .await
    }

    /// Waits for an event of a kind.
    pub(crate) async fn event_of_kind(&mut self, session: &str, kind: &str) -> Record {
        self.event(session, kind, |record| record.kind() == kind).await
    }

    /// Waits for the agent to say a text.
    pub(crate) async fn said(&mut self, session: &str, text: &str) -> Record {
        self.event(session, text, |record| record.kind() == "text" && record.text("text") == text).await
    }

    /// Waits for the end of a turn.
    pub(crate) async fn turn_end(&mut self, session: &str, turn: &str) -> Record {
        let what = format!("the end of turn {turn}");
        self.event(session, &what, |record| record.kind() == "turn_end" && record.turn() == turn).await
    }

    /// Waits until a seq has come.
    pub(crate) async fn until_seq(&mut self, session: &str, seq: u64) {
        self.event(session, &format!("seq {seq}"), |record| record.seq() >= seq).await;
    }

    /// Waits until a seq has come, or the connection ends before.
    pub(crate) async fn until_seq_or_closed(&mut self, session: &str, seq: u64) -> Result<(), Closed> {
        while self.model.log(session).is_none_or(|log| log.last() < seq) {
            let deadline = Instant::now() + PATIENCE;
            self.receive(&format!("seq {seq}"), deadline).await?;
        }
        Ok(())
    }

    /// Waits until this attach has caught up.
    pub(crate) async fn caught_up(&mut self, session: &str) {
        if !self.model.log(session).is_some_and(SessionLog::is_caught_up) {
            let caught_up = |model: &Model, _: &Frame| model.log(session)?.is_caught_up().then_some(());
            self.wait("caught_up", caught_up).await;
        }
    }

    /// Waits for the next frame of a type.
    pub(crate) async fn frame(&mut self, kind: &str) -> Value {
        let what = format!("a frame `{kind}`");
        self.wait(&what, |_, frame| (frame.kind() == kind).then(|| frame.value.clone())).await
    }

    /// Reads until a frame gives what is looked for.
    pub(crate) async fn wait<T>(&mut self, what: &str, mut look: impl FnMut(&Model, &Frame) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.receive(what, deadline).await {
                Ok(frame) => {
                    if let Some(found) = look(&self.model, &frame) {
                        return found;
                    }
                }
                Err(closed) => panic!("{closed:?} while waiting for {what}; the last frames:{}", self.model.tail()),
            }
        }
    }

    /// Reads until the connection ends; how it did.
    pub(crate) async fn closed(&mut self) -> Closed {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Err(closed) = self.receive("the connection to end", deadline).await {
                return closed;
            }
        }
    }

    /// Reads until the connection ends; all frames that came.
    pub(crate) async fn all_until_closed(&mut self) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        let mut frames = Vec::new();
        while let Ok(frame) = self.receive("the connection to end", deadline).await {
            frames.push(frame.value);
        }
        frames
    }

    async fn receive(&mut self, what: &str, deadline: Instant) -> Result<Frame, Closed> {
        loop {
            let Ok(received) = timeout_at(deadline, self.socket.next()).await else {
                panic!("waited {} s for {what}; the last frames:{}", PATIENCE.as_secs(), self.model.tail());
            };
            match received {
                Some(Ok(Message::Text(text))) => match self.model.fold(&text) {
                    Ok(frame) => return Ok(frame),
                    Err(broken) => panic!("the gateway broke a promise: {broken}\nafter:{}", self.model.tail()),
                },
                Some(Ok(Message::Close(close))) => {
                    // Our answer to the close frame goes out with the next read.
                    let _ = timeout_at(deadline, self.socket.next()).await;
                    return Err(Closed { code: close.map(|frame| frame.code.into()) });
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Closed { code: None }),
            }
        }
    }

    /// The events of a turn that were seen.
    pub(crate) fn events_of(&self, session: &str, turn: &str) -> Vec<Record> {
        let log = self.model.log(session).into_iter().flat_map(SessionLog::records);
        log.filter(|record| record.turn() == turn).cloned().collect()
    }

    /// All records of a session as bytes; also checks the rules of turns over them.
    pub(crate) fn whole_log(&self, session: &str) -> Vec<String> {
        let log = self.model.session(session);
        if let Err(broken) = log.check_turns() {
            panic!("{broken}\nin {:#?}", log.records().map(|record| &record.raw).collect::<Vec<_>>());
        }
        log.records().map(|record| record.raw.clone()).collect()
    }

    /// Breaks the connection without a word.
    pub(crate) async fn vanish(&mut self) {
        use tokio::io::AsyncWriteExt;
        let _ = self.socket.get_mut().shutdown().await;
    }
}

/// A fresh key for a prompt.
pub(crate) fn new_key() -> String {
    Uuid::new_v4().to_string()
}

/// The kinds of events, in order.
pub(crate) fn kinds(events: &[Record]) -> Vec<&str> {
    events.iter().map(Record::kind).collect()
}

#[cfg(test)]
mod tests;
