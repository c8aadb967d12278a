//! A bad network: passes bytes on between a client and the gateway, until something comes by that it swallows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::support::wait::background;

/// What is read at a time, bytes.
const PIECE_BYTES: usize = 64 << 10;

/// A listener that has an address and passes nothing on yet.
pub(super) struct Network {
    listener: TcpListener,
}

/// A network at work.
pub(super) struct Working {
    cuts: Arc<AtomicU32>,
    _task: AbortOnDropHandle<()>,
}

/// When a connection is cut, by what the gateway sends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cut {
    /// Before a piece that holds this, as often as told, over all connections.
    Before(&'static str, u32),
    /// Behind so many bytes, every connection.
    Behind(usize),
}

impl Network {
    pub(super) async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port") }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().expect("a bound listener has an address"))
    }

    /// Begins to pass on.
    pub(super) fn to(self, gateway: SocketAddr, cut: Cut) -> Working {
        let cuts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&cuts);
        let task = background(async move {
            // One connection after another: a client that comes back has lost the one before.
            loop {
                let (client, _) = self.listener.accept().await.expect("loopback accepts");
                pass(client, gateway, cut, &counted).await;
            }
        });
        Working { cuts, _task: task }
    }
}

impl Working {
    /// How many connections were cut.
    pub(super) fn cuts(&self) -> u32 {
        self.cuts.load(Ordering::SeqCst)
    }
}

async fn pass(mut client: TcpStream, gateway: SocketAddr, cut: Cut, cuts: &AtomicU32) {
    let mut server = TcpStream::connect(gateway).await.expect("the gateway accepts");
    let (mut up, mut down) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    let mut passed = 0;
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(1..) => {
                    let read = read.expect("just matched");
                    if server.write_all(&up[..read]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            read = server.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                passed += read;
                let is_cut = match cut {
                    Cut::Before(text, times) => {
                        String::from_utf8_lossy(&down[..read]).contains(text) && cuts.load(Ordering::SeqCst) < times
                    }
                    Cut::Behind(bytes) => passed > bytes,
                };
                if is_cut {
                    cuts.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                if client.write_all(&down[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
