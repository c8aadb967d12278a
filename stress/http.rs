//! The few HTTP requests of the oracle, by HTTP/1.0: one connection each, the body ends with it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(60);

/// Status and body.
pub(crate) async fn request(
    address: SocketAddr,
    token: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, Vec<u8>)> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let mut answer =
        tokio::time::timeout(TIMEOUT, exchange).await.with_context(|| format!("{method} {path} hangs"))??;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("an answer without a head")?;
    let status = std::str::from_utf8(&answer[..end])?.split(' ').nth(1).and_then(|code| code.parse().ok());
    answer.drain(..end + 4);
    Ok((status.context("an answer without a status")?, answer))
}

/// A `GET` that must succeed.
pub(crate) async fn get(address: SocketAddr, token: &str, path: &str) -> Result<Vec<u8>> {
    let (status, body) = request(address, token, "GET", path, None).await?;
    if status != 200 {
        bail!("GET {path}: {status} {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
    }
    Ok(body)
}
