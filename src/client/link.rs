//! A connection that comes back: opened, lost and opened again, for ever.
//!
//! Invariant: while it is open it is what it says; after a loss it waits, longer each time, and never gives up by itself,
//! unless the gateway says that coming back as we are is of no use (protocol.md section 3, "Close codes").

use std::mem;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::time::Instant;

use super::socket::{End, Socket};
use super::wire::Incoming;
use super::{Gateway, GatewayError, backoff};
use crate::protocol::client::{Request, RequestId};
use crate::protocol::server::{CloseCode, Frame};

pub use super::socket::Hello;

/// A connection that lasted this long was a good one: the next wait is a short one again.
const GOOD_AFTER: Duration = Duration::from_secs(5);
/// A planned restart is waited for as the gateway asks, at most so long.
const RESTART_MAX: Duration = Duration::from_secs(60);
/// "Too many requests" is answered with a long wait at once.
const TOO_MANY_FROM_ATTEMPT: u32 = 5;

/// What happened to the connection.
#[derive(Debug)]
pub enum News {
    /// It is open, for the first time or again.
    Opened(Hello),
    /// A frame came.
    Frame(Incoming),
    /// It is lost, and will be opened again. Said once for each loss, not for each attempt.
    Lost(Lost),
}

/// Why a connection was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// In words; may hold the gateway's own.
    pub why: String,
}

type Opening = BoxFuture<'static, Result<(Socket, Hello), GatewayError>>;

enum State {
    Opening(Opening),
    Open { socket: Box<Socket>, since: Instant },
    Waiting(Instant),
}

/// A connection that comes back.
pub struct Link {
    gateway: Gateway,
    state: State,
    was_open: bool,
    attempt: u32,
    /// The gateway said when to come back.
    restart: Option<Duration>,
    next_id: i64,
}

#[derive(Serialize)]
struct Asked<'a> {
    #[serde(flatten)]
    request: &'a Request,
    id: i64,
}

impl Link {
    /// A link to be opened by the first [`Self::next`].
    pub fn new(gateway: Gateway) -> Self {
        let state = State::Opening(Socket::open(gateway.clone()).boxed());
        Self { gateway, state, was_open: false, attempt: 0, restart: None, next_id: 1 }
    }

    /// Whether it is open now.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// A request as text, and the id that its reply will carry.
    pub fn prepare(&mut self, request: &Request) -> (String, RequestId) {
        let id = self.next_id;
        self.next_id += 1;
        let text = serde_json::to_string(&Asked { request, id }).unwrap_or_default();
        (text, RequestId::Number(id))
    }

    /// Sends what was prepared; on a link that is not open it is lost with the connection.
    pub fn send(&mut self, text: String) {
        if let State::Open { socket, .. } = &mut self.state {
            socket.send(text);
        }
    }

    /// Drops the connection, and opens another after a wait.
    pub fn give_up_connection(&mut self, why: &str) -> Lost {
        self.come_back(why.to_owned())
    }

    /// What happens next.
    ///
    /// # Errors
    /// [`GatewayError`]: it cannot be opened the first time, or the gateway says that coming back is of no use.
    pub async fn next(&mut self) -> Result<News, GatewayError> {
        loop {
            match &mut self.state {
                State::Waiting(until) => {
                    tokio::time::sleep_until(*until).await;
                    self.state = State::Opening(Socket::open(self.gateway.clone()).boxed());
                }
                State::Opening(opening) => match opening.await {
                    Ok((socket, hello)) => {
                        self.was_open = true;
                        self.restart = None;
                        self.state = State::Open { socket: Box::new(socket), since: Instant::now() };
                        return Ok(News::Opened(hello));
                    }
                    Err(error) if self.was_open && error.may_pass() => {
                        self.wait();
                    }
                    Err(error) => return Err(error),
                },
                State::Open { socket, .. } => match socket.next().await {
                    Ok(Incoming::Reply(reply)) if matches!(reply.frame, Frame::Restarting { .. }) => {
                        if let Frame::Restarting { reconnect_ms } = reply.frame {
                            self.restart = Some(Duration::from_millis(reconnect_ms).min(RESTART_MAX));
                        }
                    }
                    Ok(incoming) => return Ok(News::Frame(incoming)),
                    Err(end) => return self.ended(end).map(News::Lost),
                },
            }
        }
    }

    fn ended(&mut self, end: End) -> Result<Lost, GatewayError> {
        let (code, reason) = match end {
            End::Broken(why) if self.restart.is_none() => return Ok(self.come_back(why)),
            End::Broken(_) => return Ok(self.come_back("the gateway restarts".to_owned())),
            End::Closed { code, reason } => (code, reason),
        };
        let lasting = [CloseCode::Binary, CloseCode::NotUtf8, CloseCode::TooBig, CloseCode::Revoked];
        if lasting.iter().any(|lasting| lasting.code() == code) {
            return Err(GatewayError::Ended { code, why: reason });
        }
        if code == CloseCode::TooMany.code() {
            self.attempt = self.attempt.max(TOO_MANY_FROM_ATTEMPT);
        }
        Ok(self.come_back(if reason.is_empty() { format!("close code {code}") } else { reason }))
    }

    fn come_back(&mut self, why: String) -> Lost {
        if let State::Open { since, .. } = &self.state
            && since.elapsed() >= GOOD_AFTER
        {
            self.attempt = 0;
        }
        self.wait();
        Lost { why }
    }

    fn wait(&mut self) {
        // Without randomness the wait is not spread, which is no reason to stay away.
        let spread = getrandom::u32().unwrap_or(u32::MAX);
        let wait = backoff::wait(self.attempt, spread);
        self.attempt = self.attempt.saturating_add(1);
        let wait = self.restart.take().map_or(wait, |asked| asked + backoff::wait(0, spread) / 2);
        drop(mem::replace(&mut self.state, State::Waiting(Instant::now() + wait)));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;

    use super::*;
    use crate::client::Credential;

    const HELLO: &str = r#"{"type":"hello","protocol":1,"server":"s","epoch":"0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55","name":"n",
        "role":"operator","limits":{"max_frame":1048576,"max_prompt":262144,"max_attached":256},"agents":[]}"#;

    /// A gateway's half of connections, played by the test.
    struct Played(TcpListener);

    impl Played {
        async fn begin() -> (Self, Link) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
            let gateway = Gateway::new(address, Credential::new("secret").unwrap());
            (Self(listener), Link::new(gateway))
        }

        async fn accept(&self) -> WebSocketStream<TcpStream> {
            let (stream, _) = self.0.accept().await.unwrap();
            #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
            let echo = |_: &_, mut answer: hyper::Response<()>| {
                let protocol = crate::protocol::SUBPROTOCOL.parse().unwrap();
                answer.headers_mut().insert("sec-websocket-protocol", protocol);
                Ok(answer)
            };
            let mut socket = tokio_tungstenite::accept_hdr_async(stream, echo).await.unwrap();
            socket.send(Message::text(HELLO)).await.unwrap();
            socket
        }

        async fn opened(&self, link: &mut Link) -> WebSocketStream<TcpStream> {
            let (socket, news) = tokio::join!(self.accept(), link.next());
            assert!(matches!(news, Ok(News::Opened(_))), "{news:?}");
            socket
        }
    }

    #[tokio::test]
    async fn a_silent_connection_is_pinged_then_dead_then_opened_again() {
        let (played, mut link) = Played::begin().await;
        let mut silent = played.opened(&mut link).await;
        tokio::time::pause();
        let began = Instant::now();
        let News::Lost(lost) = link.next().await.unwrap() else { panic!("lost") };
        assert_eq!((lost.why.as_str(), began.elapsed().as_secs()), ("nothing came for 40 s", 40));
        assert_eq!(silent.next().await.unwrap().unwrap(), Message::text(r#"{"type":"ping"}"#));
        tokio::time::resume();
        played.opened(&mut link).await;
    }

    #[tokio::test]
    async fn a_connection_that_speaks_stays() {
        let (played, mut link) = Played::begin().await;
        let mut socket = played.opened(&mut link).await;
        tokio::time::pause();
        for _ in 0..4 {
            tokio::time::advance(Duration::from_secs(39)).await;
            socket.send(Message::text(r#"{"type":"pong","id":1}"#)).await.unwrap();
            assert!(matches!(link.next().await, Ok(News::Frame(Incoming::Reply(_)))));
        }
    }

    #[tokio::test]
    async fn close_codes_are_obeyed() {
        for code in [1003, 1007, 1009, 4401] {
            assert!(closed_with(code).await.is_err(), "{code}");
        }
        for code in [1000, 1001, 1011, 1012, 4000, 4408, 4410, 4429] {
            assert!(matches!(closed_with(code).await, Ok(News::Lost(_))), "{code}");
        }
    }

    async fn closed_with(code: u16) -> Result<News, GatewayError> {
        let (played, mut link) = Played::begin().await;
        let mut socket = played.opened(&mut link).await;
        socket.close(Some(CloseFrame { code: code.into(), reason: "why".into() })).await.unwrap();
        link.next().await
    }

    #[tokio::test]
    async fn a_planned_restart_is_waited_for_as_asked() {
        let (played, mut link) = Played::begin().await;
        let mut socket = played.opened(&mut link).await;
        socket.send(Message::text(r#"{"type":"restarting","reconnect_ms":7000}"#)).await.unwrap();
        socket.close(Some(CloseFrame { code: 1012.into(), reason: "restart".into() })).await.unwrap();
        assert!(matches!(link.next().await, Ok(News::Lost(_))));
        let State::Waiting(until) = link.state else { panic!("waiting") };
        let wait = until.duration_since(Instant::now());
        assert!((Duration::from_secs(6)..Duration::from_secs(8)).contains(&wait), "{wait:?}");
    }
}
