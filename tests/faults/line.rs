//! A line between clients and the gateway that a test makes bad, and good again, while connections are on it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::support::wait::background;

/// What is read at a time, bytes: little, so that trouble comes into the middle of things.
const PIECE_BYTES: usize = 16 << 10;

/// What a line does to the bytes on it, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// Every piece is held for so long.
    Delay(Duration),
    /// Every byte is a piece of its own.
    SingleBytes,
    /// So many bytes a second.
    Slow(u64),
    /// Nothing passes, and nobody is told.
    Frozen,
}

/// How connections end that did not end by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    NotYet,
    /// Both sides are told, by a reset.
    Reset,
    /// The client is told. The gateway never hears of it: its side stays open, and takes what it is given until it is full.
    HalfOpen,
}

/// A line at work.
pub(crate) struct Line {
    address: SocketAddr,
    listener: Option<TcpListener>,
    trouble: watch::Sender<Trouble>,
    cut: watch::Sender<(u64, Cut)>,
    task: Option<AbortOnDropHandle<()>>,
}

impl Line {
    /// A line with an address that leads nowhere yet: the gateway must know its name first.
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (trouble, cut) = (watch::Sender::new(Trouble::None), watch::Sender::new((0, Cut::NotYet)));
        Self { address, listener: Some(listener), trouble, cut, task: None }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads to the gateway from now on.
    pub(crate) fn lead_to(&mut self, gateway: SocketAddr) {
        let listener = self.listener.take().expect("it leads nowhere yet");
        let (trouble, cut) = (self.trouble.subscribe(), self.cut.subscribe());
        self.task = Some(background(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.expect("loopback accepts");
                // What was cut before it came is not its business.
                let mut cut = cut.clone();
                cut.mark_unchanged();
                connections.spawn(connection(client, gateway, trouble.clone(), cut));
            }
        }));
    }

    /// From now on.
    pub(crate) fn is(&self, trouble: Trouble) {
        self.trouble.send_replace(trouble);
    }

    /// Resets every connection that is on it.
    pub(crate) fn reset(&self) {
        self.cut.send_modify(|(count, cut)| (*count, *cut) = (*count + 1, Cut::Reset));
    }

    /// Takes every client away without a word to the gateway.
    pub(crate) fn half_open(&self) {
        self.cut.send_modify(|(count, cut)| (*count, *cut) = (*count + 1, Cut::HalfOpen));
    }
}

async fn connection(
    mut client: TcpStream,
    gateway: SocketAddr,
    trouble: watch::Receiver<Trouble>,
    mut cut: watch::Receiver<(u64, Cut)>,
) {
    let Ok(mut server) = TcpStream::connect(gateway).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a TCP socket has no delay to be switched off");
    }
    let how = {
        let (mut client_in, mut client_out) = client.split();
        let (mut server_in, mut server_out) = server.split();
        tokio::select! {
            () = pass(&mut client_in, &mut server_out, trouble.clone()) => Cut::NotYet,
            () = pass(&mut server_in, &mut client_out, trouble) => Cut::NotYet,
            changed = cut.changed() => changed.map_or(Cut::NotYet, |()| cut.borrow().1),
        }
    };
    match how {
        // Dropped: both sides see an end.
        Cut::NotYet => {}
        Cut::Reset => {
            reset_on_drop(&client);
            reset_on_drop(&server);
        }
        Cut::HalfOpen => {
            reset_on_drop(&client);
            drop(client);
            std::future::pending::<()>().await;
        }
    }
}

fn reset_on_drop(stream: &TcpStream) {
    stream.set_zero_linger().expect("our own socket");
}

/// Passes bytes on until one side ends.
async fn pass(from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, mut trouble: watch::Receiver<Trouble>) {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let Ok(now) = trouble.wait_for(|trouble| *trouble != Trouble::Frozen).await.map(|now| *now) else { return };
        let most = match now {
            Trouble::Slow(bytes_per_s) => {
                usize::try_from(bytes_per_s / 10).unwrap_or(PIECE_BYTES).clamp(1, PIECE_BYTES)
            }
            _ => PIECE_BYTES,
        };
        let read = tokio::select! {
            read = from.read(&mut piece[..most]) => read,
            // It may be frozen now.
            _ = trouble.changed() => continue,
        };
        let Ok(read @ 1..) = read else { return };
        let passed = match now {
            Trouble::Delay(time) => {
                tokio::time::sleep(time).await;
                to.write_all(&piece[..read]).await
            }
            Trouble::SingleBytes => single_bytes(&piece[..read], to).await,
            Trouble::Slow(_) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                to.write_all(&piece[..read]).await
            }
            Trouble::None | Trouble::Frozen => to.write_all(&piece[..read]).await,
        };
        if passed.is_err() {
            return;
        }
    }
}

async fn single_bytes(bytes: &[u8], to: &mut WriteHalf<'_>) -> std::io::Result<()> {
    for byte in bytes {
        to.write_all(std::slice::from_ref(byte)).await?;
        // Lets the other side run, so that it finds one byte.
        tokio::task::yield_now().await;
    }
    Ok(())
}
