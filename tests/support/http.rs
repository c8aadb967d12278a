//! A small HTTP client: one connection for each request, no redirects, nothing hidden. Also reads server-sent events.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use super::wait::{background, within};

/// A client of one server, with or without a token.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    address: SocketAddr,
    headers: Vec<(String, String)>,
}

/// A whole response.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Bytes,
}

impl Response {
    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: not JSON ({error}): `{text}`", self.status))
    }

    /// The code of an error body; fails on any other body.
    pub(crate) fn error_code(&self) -> String {
        let json = self.json();
        assert!(json["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "no message: {json}");
        json["error"]["code"].as_str().unwrap_or_else(|| panic!("no code: {json}")).to_owned()
    }

    /// A header's text; empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header is text"))
    }
}

impl Http {
    /// A client that shows a token, if given.
    pub(crate) fn new(address: SocketAddr, token: Option<&str>) -> Self {
        let http = Self { address, headers: Vec::new() }.with(HOST.as_str(), &address.to_string());
        match token {
            Some(token) => http.with(AUTHORIZATION.as_str(), &format!("Bearer {token}")),
            None => http,
        }
    }

    /// The same client with one header set, in place of an earlier value.
    #[must_use]
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut same = self.clone();
        same.headers.retain(|(earlier, _)| !earlier.eq_ignore_ascii_case(name));
        same.headers.push((name.to_owned(), value.to_owned()));
        same
    }

    /// `GET`.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send("GET", path, None).await
    }

    /// `POST` of JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.send("POST", path, Some(body.to_string())).await
    }

    /// `PATCH` of JSON.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Response {
        self.send("PATCH", path, Some(body.to_string())).await
    }

    /// Any request; a body is sent as JSON.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<String>) -> Response {
        within(&format!("{method} {path}"), async {
            let (response, _connection) = self.open(method, path, body).await;
            let (head, incoming) = response.into_parts();
            let body = incoming.collect().await.expect("the body comes whole").to_bytes();
            Response { status: head.status, headers: head.headers, body }
        })
        .await
    }

    /// Opens a stream of server-sent events.
    pub(crate) async fn events(&self, path: &str) -> Events {
        within(&format!("GET {path}"), async {
            let (response, connection) = self.with("accept", "text/event-stream").open("GET", path, None).await;
            assert_eq!(response.status(), StatusCode::OK, "GET {path}");
            let kind = response.headers().get(CONTENT_TYPE).map(|value| value.as_bytes().to_vec()).unwrap_or_default();
            assert!(kind.starts_with(b"text/event-stream"), "{}", String::from_utf8_lossy(&kind));
            Events { body: response.into_body(), buffer: Vec::new(), _connection: connection }
        })
        .await
    }

    async fn open(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> (hyper::Response<Incoming>, AbortOnDropHandle<()>) {
        let stream = tokio::net::TcpStream::connect(self.address).await.expect("the server accepts");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a new connection is ready");
        let connection = background(async move {
            let _ = connection.await;
        });
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if body.is_some() && !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default()))).expect("a valid request");
        let response = sender.send_request(request).await;
        (response.unwrap_or_else(|error| panic!("{method} {path}: {error}")), connection)
    }
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Event {
    /// `id:`.
    pub(crate) id: Option<String>,
    /// `event:`; `message` when absent.
    pub(crate) event: Option<String>,
    /// `data:`.
    pub(crate) data: String,
}

/// An open stream of server-sent events.
pub(crate) struct Events {
    body: Incoming,
    buffer: Vec<u8>,
    _connection: AbortOnDropHandle<()>,
}

impl Events {
    /// The next event, comments left out; `None` when the server ended the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        within("the next server-sent event", async {
            loop {
                while let Some(block) = self.take_block() {
                    if let Some(event) = parse_event(&block) {
                        return Some(event);
                    }
                }
                // A stream that is cut off ends as one that was ended: the test asks what came before.
                let frame = self.body.frame().await?.ok()?;
                self.buffer.extend(frame.into_data().unwrap_or_default());
            }
        })
        .await
    }

    /// The events up to the `caught-up` one, which is left out.
    pub(crate) async fn until_caught_up(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on until it has caught up");
            if event.event.as_deref() == Some("caught-up") {
                return events;
            }
            events.push(event);
        }
    }

    /// The events up to and with the first record that fits.
    pub(crate) async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on until the record comes");
            let record: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
            events.push(event);
            if fits(&record) {
                return events;
            }
        }
    }

    fn take_block(&mut self) -> Option<String> {
        let end = self.buffer.windows(2).position(|two| two == b"\n\n")?;
        let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
        Some(String::from_utf8(block).expect("server-sent events are UTF-8"))
    }
}

fn parse_event(block: &str) -> Option<Event> {
    let mut event = Event::default();
    let mut data = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "event" => event.event = Some(value.to_owned()),
            "data" => data.push(value),
            _ => {}
        }
    }
    event.data = data.join("\n");
    (event.id.is_some() || event.event.is_some() || !data.is_empty()).then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_no_events_and_data_lines_are_joined() {
        assert_eq!(parse_event(": still here\n\n"), None);
        let event = parse_event("id: 7\nevent: x\ndata: a\ndata: b\n\n").expect("an event");
        assert_eq!((event.id.as_deref(), event.event.as_deref(), event.data.as_str()), (Some("7"), Some("x"), "a\nb"));
    }
}
