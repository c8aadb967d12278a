//! A burst while a quarter of the clients has stopped reading: they cost little, are cut off in the end, and miss nothing.
//!
//! Megabytes of the burst by the environment: `BREAKGLASS_TEST_BURST_MB`.

use std::fs;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::stress::length;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::Closed;

const CLIENTS: usize = 20;
const FROZEN: usize = 5;
const TEXT_BYTES: u64 = 16_000;
/// A small receive buffer: what the kernel holds for a frozen client is not the gateway's to bound.
const RECEIVE_BYTES: u32 = 64 << 10;
/// What the frozen clients may cost the gateway: 1 MiB each.
const GROWTH_MAX_BYTES: u64 = FROZEN as u64 * (1 << 20);
/// What the gateway logs of each.
const CUT_OFF: &str = "took nothing for 30 s";
/// A burst on a busy machine; and the gateway's 30 s until a client that takes nothing is cut off.
const PATIENCE: Duration = Duration::from_secs(240);

/// A client that checks the run of seqs and keeps nothing: twenty models of such a burst would be the load themselves.
struct Reader {
    socket: WebSocketStream<TcpStream>,
    session: String,
    next: u64,
    bytes: u64,
}

impl Reader {
    async fn connect(gateway: &Gateway, session: &str) -> Self {
        let socket = Self::attach(gateway, session, 0).await;
        Self { socket, session: session.to_owned(), next: 1, bytes: 0 }
    }

    async fn come_back(&mut self, gateway: &Gateway) {
        self.socket = Self::attach(gateway, &self.session, self.next - 1).await;
    }

    async fn attach(gateway: &Gateway, session: &str, after: u64) -> WebSocketStream<TcpStream> {
        let tcp = TcpSocket::new_v4().expect("a socket");
        tcp.set_recv_buffer_size(RECEIVE_BYTES).expect("our own socket");
        let stream = tcp.connect(gateway.address()).await.expect("the gateway accepts");
        let mut request = format!("ws://{}/ws", gateway.address()).into_client_request().expect("a request");
        let bearer = format!("Bearer {}", gateway.token()).parse().expect("a header's value");
        request.headers_mut().insert("authorization", bearer);
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("a WebSocket");
        let attach = json!({"type": "attach", "session": session, "after": after}).to_string();
        socket.send(Message::text(attach)).await.expect("the gateway takes a frame");
        socket
    }

    /// Reads until a turn's end has come; its seq. Everything must be in its place.
    async fn until_turn_end(&mut self) -> Result<u64, Closed> {
        let reading = async {
            loop {
                let text = match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Close(close))) => {
                        return Err(Closed { code: close.map(|close| close.code.into()) });
                    }
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return Err(Closed { code: None }),
                };
                if self.take(&text) {
                    return Ok(self.next - 1);
                }
            }
        };
        timeout(PATIENCE, reading).await.expect("a client hangs")
    }

    /// Whether this ends a turn.
    fn take(&mut self, frame: &str) -> bool {
        let begins = format!(r#"{{"type":"event","session":"{}","seq":{},"#, self.session, self.next);
        let Some(rest) = frame.strip_prefix(&begins) else {
            let other: Value = serde_json::from_str(frame).expect("frames are JSON");
            assert_ne!(other["type"], "event", "seq {} where {} is due", other["seq"], self.next);
            assert_ne!(other["type"], "error", "{other}");
            return false;
        };
        self.next += 1;
        self.bytes += frame.len() as u64;
        rest.get(..200).unwrap_or(rest).contains(r#""kind":"turn_end""#)
    }
}

fn burst(megabytes: u64) -> String {
    format!("[[speed:max]][[events:{} size:{TEXT_BYTES}]]", megabytes * 1_000_000 / TEXT_BYTES)
}

/// What is in the gateway's memory and nowhere on disk.
fn held_bytes(gateway: &Gateway) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("the gateway runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the kernel says");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
}

/// How much more the gateway holds than before, as soon as that is little enough, or when the first is cut off.
async fn held_for_frozen(gateway: &Gateway, before: u64) -> u64 {
    loop {
        let is_cut = gateway.log().contains(CUT_OFF);
        let grown = held_bytes(gateway).saturating_sub(before);
        if grown < GROWTH_MAX_BYTES || is_cut {
            return grown;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// All read to the end of the next turn, beside each other; where that is.
async fn all_to_the_end(readers: Vec<Reader>) -> (Vec<Reader>, u64) {
    let mut all = JoinSet::new();
    for mut reader in readers {
        all.spawn(async move {
            let end = reader.until_turn_end().await.expect("who reads is not cut off");
            (reader, end)
        });
    }
    let done = all.join_all().await;
    let end = done[0].1;
    assert!(done.iter().all(|(_, other)| *other == end));
    (done.into_iter().map(|(reader, _)| reader).collect(), end)
}

#[tokio::test]
async fn five_of_twenty_that_stop_reading_cost_little_delay_nobody_and_miss_nothing() {
    let megabytes = length("BREAKGLASS_TEST_BURST_MB", 50).parse().expect("a number");
    // The allocator gives back what was freed: what is measured is what somebody holds.
    let tamed = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "65536"), ("MALLOC_MMAP_THRESHOLD_", "65536")];
    let settings = tamed.iter().fold(Gateway::builder(), |settings, (name, value)| settings.env(name, value));
    let mut scene = Scene::start(settings, "drill").await;
    let mut readers = Vec::new();
    for _ in 0..CLIENTS {
        readers.push(Reader::connect(&scene.gateway, &scene.session).await);
    }
    scene.viewer.request(json!({"type": "detach", "session": scene.session})).await;
    scene.viewer.prompt(&scene.session, &burst(megabytes / 4)).await;
    let (mut readers, _) = all_to_the_end(readers).await;
    // Buffers that any such flow needs, and the page caches that whoever falls behind fills, are not the frozen ones' doing.
    for reader in &mut readers {
        (reader.next, reader.bytes) = (1, 0);
        reader.come_back(&scene.gateway).await;
    }
    let (mut readers, _) = all_to_the_end(readers).await;
    let before = held_bytes(&scene.gateway);

    let mut frozen = readers.split_off(CLIENTS - FROZEN);
    scene.viewer.prompt(&scene.session, &burst(megabytes)).await;
    let (readers, end) = all_to_the_end(readers).await;
    let grown = held_for_frozen(&scene.gateway, before).await;
    println!("{FROZEN} frozen clients in a burst of {megabytes} MB: the gateway grew by {} KiB", grown >> 10);
    assert!(grown < GROWTH_MAX_BYTES, "the gateway grew by {} KiB", grown >> 10);

    let until = Instant::now() + PATIENCE;
    while scene.gateway.log().matches(CUT_OFF).count() < FROZEN {
        assert!(Instant::now() < until, "frozen clients are not cut off");
        sleep(Duration::from_millis(100)).await;
    }
    for reader in &mut frozen {
        // What the kernel had taken for it is there yet; a close frame may have found no room behind it.
        let closed = reader.until_turn_end().await.expect_err("it was cut off in the middle");
        assert!(matches!(closed.code, None | Some(4410)), "{closed:?}");
        assert!(reader.next <= end);
        reader.come_back(&scene.gateway).await;
        assert_eq!(reader.until_turn_end().await, Ok(end));
        assert_eq!(reader.bytes, readers[0].bytes, "somebody was given other bytes");
    }
    scene.viewer.request(json!({"type": "ping"})).await;
}
