//! One WebSocket connection, as text frames of JSON.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::world::{Counts, World};

/// A receive buffer so small that a client which does not read is soon felt by the gateway.
const RECEIVE_BYTES: u32 = 64 << 10;
/// A gateway that says nothing for so long when it should is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    next_id: u64,
}

impl Client {
    /// Connects and takes in `hello`.
    pub(crate) async fn connect(world: &World) -> Result<Self, Gone> {
        let connected = tokio::time::timeout(PATIENCE, Self::try_connect(world)).await;
        let mut client = connected.unwrap_or(Err(Gone))?;
        Counts::add(&world.counts.connections);
        let hello: Value = client.next(world).await.and_then(|text| serde_json::from_str(&text).map_err(|_| Gone))?;
        match (hello["type"].as_str(), hello["epoch"].as_str()) {
            (Some("hello"), Some(epoch)) => world.check_epoch(epoch),
            _ => world.broken(format!("the first frame is not `hello`: {hello}")),
        }
        Ok(client)
    }

    async fn try_connect(world: &World) -> Result<Self, Gone> {
        let tcp = TcpSocket::new_v4().map_err(|_| Gone)?;
        tcp.set_recv_buffer_size(RECEIVE_BYTES).map_err(|_| Gone)?;
        let stream = tcp.connect(world.address).await.map_err(|_| Gone)?;
        let mut request = format!("ws://{}/ws", world.address).into_client_request().map_err(|_| Gone)?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", world.token)).map_err(|_| Gone)?;
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.map_err(|_| Gone)?;
        Ok(Self { socket, next_id: 1 })
    }

    /// Sends a request; the id that its reply will carry.
    pub(crate) async fn send(&mut self, mut request: Value) -> Result<u64, Gone> {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = json!(id);
        self.socket.send(Message::text(request.to_string())).await.map_err(|_| Gone)?;
        Ok(id)
    }

    /// The next text frame. May be dropped and called again.
    pub(crate) async fn next(&mut self, world: &World) -> Result<String, Gone> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(close))) => {
                    let code: u16 = close.map_or(1005, |close| close.code.into());
                    // A planned stop, and nothing else, may end a client that behaves.
                    if code != 1012 {
                        world.broken(format!("the gateway closed a connection with {code}"));
                    }
                    return Err(Gone);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Gone),
            }
        }
    }

    /// Sends a request and waits for its reply; other frames are passed over.
    pub(crate) async fn request(&mut self, world: &World, request: Value) -> Result<Value, Gone> {
        let what = request.to_string();
        let reply = async {
            let id = self.send(request).await?;
            loop {
                let frame: Value = serde_json::from_str(&self.next(world).await?).map_err(|_| Gone)?;
                if frame["id"] == id {
                    return Ok(frame);
                }
            }
        };
        tokio::time::timeout(PATIENCE, reply).await.unwrap_or_else(|_| {
            world.broken(format!("no reply within {} s to {what}", PATIENCE.as_secs()));
            Err(Gone)
        })
    }

    /// Says goodbye.
    pub(crate) async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }
}
