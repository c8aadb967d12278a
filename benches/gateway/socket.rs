//! Opening a WebSocket by hand: the bytes that came behind the answer are kept.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long a server may take to answer a handshake or a request.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An open WebSocket and what was read of it already.
pub(crate) struct Opened {
    pub(crate) stream: TcpStream,
    pub(crate) head: Vec<u8>,
}

/// Connects and shakes hands; the socket still blocks.
pub(crate) fn open(address: SocketAddr, token: &str) -> Result<Opened> {
    let mut stream = TcpStream::connect(address).context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).context("the handshake was not answered")?;
        answer.extend(&buffer[..read]);
        if let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n") {
            let head = answer.split_off(end + 4);
            if !answer.starts_with(b"HTTP/1.1 101") {
                bail!("the handshake was refused: {}", String::from_utf8_lossy(&answer));
            }
            return Ok(Opened { stream, head });
        }
        if read == 0 {
            bail!("the handshake was cut off: {}", String::from_utf8_lossy(&answer));
        }
    }
}
