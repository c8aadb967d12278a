//! One WebSocket: opened, kept alive, and known to be dead when it is.
//!
//! Invariant: every method that waits can be dropped and called again without losing a frame in either direction.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink, Stream};
use hyper::header;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::error::words;
use super::wire::{self, Incoming};
use super::{Gateway, GatewayError};
use crate::ids::Epoch;
use crate::protocol::SUBPROTOCOL;
use crate::protocol::server::{Frame, Limits, Reply};

/// From a connection to `hello`.
const HELLO_TIMEOUT: Duration = Duration::from_secs(15);
/// A ping is sent this often, so that the gateway hears something and answers.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Nothing came for so long, though two pings were sent or the gateway should have sent one: the connection is dead.
const SILENCE_MAX: Duration = Duration::from_secs(40);

/// What the gateway says first.
#[derive(Debug, Clone)]
pub struct Hello {
    /// The incarnation of its log.
    pub epoch: Epoch,
    /// What may be sent.
    pub limits: Limits,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The gateway said so.
    Closed { code: u16, reason: String },
    /// It broke, or is silent.
    Broken(String),
}

pub(super) struct Socket {
    stream: WebSocketStream<TcpStream>,
    unflushed: bool,
    heard: Instant,
    next_ping: Instant,
}

impl Socket {
    /// Connects, and waits for `hello`.
    pub(super) async fn open(gateway: Gateway) -> Result<(Self, Hello), GatewayError> {
        let tcp = gateway.address.connect().await?;
        let slow = || gateway.not_a_gateway(format!("it said nothing for {} s", HELLO_TIMEOUT.as_secs()));
        timeout(HELLO_TIMEOUT, Self::greet(&gateway, tcp)).await.map_err(|_| slow())?
    }

    async fn greet(gateway: &Gateway, tcp: TcpStream) -> Result<(Self, Hello), GatewayError> {
        let url = format!("ws://{}/ws", gateway.address.host_header());
        let mut request = url.into_client_request().map_err(|error| gateway.not_a_gateway(words(&error)))?;
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, gateway.credential.0.clone());
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, header::HeaderValue::from_static(SUBPROTOCOL));
        let (stream, _) = tokio_tungstenite::client_async(request, tcp).await.map_err(|error| match error {
            Error::Http(response) => gateway.refusal(response.status(), response.body().as_deref().unwrap_or_default()),
            other => gateway.not_a_gateway(words(&other)),
        })?;
        let now = Instant::now();
        let mut socket = Self { stream, unflushed: false, heard: now, next_ping: now + PING_EVERY };
        match socket.next().await {
            Ok(Incoming::Reply(reply)) => match *reply {
                Reply { frame: Frame::Hello { epoch, limits, .. }, .. } => Ok((socket, Hello { epoch, limits })),
                _ => Err(gateway.not_a_gateway("it did not begin with `hello`".to_owned())),
            },
            Ok(Incoming::Event(_)) => Err(gateway.not_a_gateway("it did not begin with `hello`".to_owned())),
            Err(End::Closed { code, .. }) => Err(gateway.not_a_gateway(format!("it closed with code {code}"))),
            Err(End::Broken(why)) => Err(gateway.not_a_gateway(why)),
        }
    }

    /// Hands a frame over for sending; it goes out while [`Self::next`] waits.
    pub(super) fn send(&mut self, text: String) {
        // A connection that cannot take it is over, and `next` says so.
        let _seen_by_next = Pin::new(&mut self.stream).start_send(Message::text(text));
        self.unflushed = true;
    }

    /// The next frame that this program knows.
    pub(super) async fn next(&mut self) -> Result<Incoming, End> {
        loop {
            let silent = self.heard + SILENCE_MAX;
            let next_ping = self.next_ping;
            tokio::select! {
                // First what has come: after a pause of ours it has waited in the kernel while the clock ran.
                biased;
                message = poll_fn(|cx| self.poll(cx)) => {
                    self.heard = Instant::now();
                    if let Some(incoming) = known(message)? {
                        return Ok(incoming);
                    }
                }
                () = sleep_until(next_ping) => {
                    self.next_ping = Instant::now() + PING_EVERY;
                    self.send(r#"{"type":"ping"}"#.to_owned());
                }
                () = sleep_until(silent) => {
                    return Err(End::Broken(format!("nothing came for {} s", SILENCE_MAX.as_secs())));
                }
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if self.unflushed && Pin::new(&mut self.stream).poll_flush(cx).is_ready() {
            // A failed flush shows at the next read.
            self.unflushed = false;
        }
        Pin::new(&mut self.stream).poll_next(cx)
    }
}

fn known(message: Option<Result<Message, Error>>) -> Result<Option<Incoming>, End> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(wire::read(text)),
        Some(Ok(Message::Close(Some(close)))) => {
            Err(End::Closed { code: close.code.into(), reason: close.reason.to_string() })
        }
        Some(Ok(Message::Close(None))) | None => Err(End::Broken("the gateway closed it".to_owned())),
        // What a process that was killed leaves.
        Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
            Err(End::Broken("the gateway is gone".to_owned()))
        }
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => Ok(None),
        Some(Err(error)) => Err(End::Broken(words(&error))),
    }
}
