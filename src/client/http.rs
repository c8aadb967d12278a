//! Plain requests: one connection each, no redirects.
//!
//! Invariant: an answer is whole or an error. The connection is driven by whoever waits for the answer, so no task is started.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;

use super::error::words;
use super::{Gateway, GatewayError};
use crate::protocol::server::{ErrorBody, ErrorCode};

/// A gateway that takes longer to begin an answer, or to go on with one, is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is held in memory, bytes: a page of the list of sessions is far shorter.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// An answer's body, as it comes.
pub struct Download {
    gateway: Gateway,
    body: Incoming,
    connection: Connection,
}

/// The other half of an exchange, which has to be polled for the exchange to move.
struct Connection(Option<BoxFuture<'static, ()>>);

impl Connection {
    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if self.0.as_mut().is_some_and(|connection| connection.poll_unpin(cx).is_ready()) {
                self.0 = None;
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}

#[derive(Deserialize)]
struct Envelope {
    error: ErrorBody,
}

impl Gateway {
    /// `GET`; the answer as JSON.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn get(&self, path: &str) -> Result<Value, GatewayError> {
        self.ask(Method::GET, path, None).await
    }

    /// `POST` of JSON; the answer as JSON.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, GatewayError> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, GatewayError> {
        let (status, mut download) = self.open(method, path, body).await?;
        let answer = download.rest().await?;
        if !status.is_success() {
            return Err(self.refusal(status, &answer));
        }
        serde_json::from_slice(&answer).map_err(|_| self.not_a_gateway(format!("its answer to {path} is not JSON")))
    }

    /// `GET`; the answer as it comes.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn download(&self, path: &str) -> Result<Download, GatewayError> {
        let (status, mut download) = self.open(Method::GET, path, None).await?;
        if status.is_success() {
            return Ok(download);
        }
        let answer = download.rest().await?;
        Err(self.refusal(status, &answer))
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Download), GatewayError> {
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.host_header())
            .header(header::AUTHORIZATION, self.credential.0.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(text)))
            .map_err(|error| self.not_a_gateway(format!("it named an address that is none: {error}")))?;
        let stream = self.address.connect().await?;
        let exchange = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            let mut connection = Connection(Some(connection.map(drop).boxed()));
            let response = connection.drive(sender.send_request(request)).await?;
            Ok((response, connection))
        };
        let answered = tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.map_err(|_| self.too_slow())?;
        let (response, connection) = answered.map_err(|error: hyper::Error| {
            let why = words(&error);
            if error.is_parse() { self.not_a_gateway(why) } else { self.broken(why) }
        })?;
        let status = response.status();
        Ok((status, Download { gateway: self.clone(), body: response.into_body(), connection }))
    }

    /// What an answer that is no success means.
    pub(super) fn refusal(&self, status: StatusCode, answer: &[u8]) -> GatewayError {
        let address = self.address.clone();
        match serde_json::from_slice(answer) {
            _ if status == StatusCode::UNAUTHORIZED => GatewayError::BadToken { address },
            Ok(Envelope { error }) if error.code != ErrorCode::Internal => GatewayError::refused(error),
            Ok(_) => GatewayError::Unready { address, status },
            Err(_) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                GatewayError::Unready { address, status }
            }
            Err(_) => self.not_a_gateway(format!("status {status}")),
        }
    }

    pub(super) fn not_a_gateway(&self, why: String) -> GatewayError {
        GatewayError::NotAGateway { address: self.address.clone(), why }
    }

    fn broken(&self, why: String) -> GatewayError {
        GatewayError::Broken { address: self.address.clone(), why }
    }

    fn too_slow(&self) -> GatewayError {
        self.broken(format!("nothing came for {} s", ANSWER_TIMEOUT.as_secs()))
    }
}

impl Download {
    /// The next piece; `None` behind the last. The end of a broken connection is an error, never an end.
    ///
    /// # Errors
    /// [`GatewayError::Broken`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, GatewayError> {
        loop {
            let frame = self.connection.drive(self.body.frame());
            let frame = tokio::time::timeout(ANSWER_TIMEOUT, frame).await.map_err(|_| self.gateway.too_slow())?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.gateway.broken(words(&error))),
                // Trailers are nothing to us.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(_) => continue,
                },
            }
        }
    }

    async fn rest(&mut self) -> Result<Vec<u8>, GatewayError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            whole.extend_from_slice(&piece);
            if whole.len() > ANSWER_BYTES_MAX {
                return Err(self.gateway.not_a_gateway(format!("its answer is longer than {ANSWER_BYTES_MAX} bytes")));
            }
        }
        Ok(whole)
    }
}
