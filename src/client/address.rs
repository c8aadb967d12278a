//! Where a gateway is: read from what people write, and connected to.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hyper::Uri;
use tokio::net::TcpStream;

use super::GatewayError;

/// An address that does not answer at all is given up after this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The port that HTTP leaves out.
const HTTP_PORT: u16 = 80;

/// `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// As in a URL: a literal IPv6 address is in brackets.
    host: String,
    port: u16,
}

/// Why a text is not an address that this program can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No TLS library is in this build.
    #[error(
        "`{0}` asks for TLS, which this build does not speak; bring the gateway's port here with `ssh -L \
         7878:127.0.0.1:7878 HOST` and use http://127.0.0.1:7878, or run the command where the gateway runs"
    )]
    Tls(String),
    /// A whole sign-in link; not repeated.
    #[error(
        "holds more than an address (is it a sign-in link?); give http://HOST:PORT alone, and the token in \
         BREAKGLASS_TOKEN"
    )]
    Link,
    /// Anything else.
    #[error("`{0}` is not an address like http://127.0.0.1:7878")]
    Form(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // First: a link may carry a token, which must not be repeated.
        if text.contains('#') || text.contains('?') || text.contains('@') {
            return Err(AddressError::Link);
        }
        let form = || AddressError::Form(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| form())?;
        match uri.scheme_str() {
            Some("http" | "ws") => {}
            Some("https" | "wss") => return Err(AddressError::Tls(text.to_owned())),
            _ => return Err(form()),
        }
        let authority = uri.authority().filter(|_| uri.path() == "/").ok_or_else(form)?;
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => HTTP_PORT,
            _ => authority.port_u16().filter(|port| *port != 0).ok_or_else(form)?,
        };
        if authority.host().is_empty() {
            return Err(form());
        }
        Ok(Self { host: authority.host().to_ascii_lowercase(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.host_header())
    }
}

impl Address {
    /// As it stands in `Host`.
    pub(super) fn host_header(&self) -> String {
        match self.port {
            HTTP_PORT => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<TcpStream, GatewayError> {
        let unreachable = |why: String| GatewayError::Unreachable { address: self.clone(), why };
        let name = self.host.trim_start_matches('[').trim_end_matches(']');
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((name, self.port)));
        let stream = connecting
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())))?
            .map_err(|error| unreachable(plain_words(&error)))?;
        // A request is one small write that must not wait.
        stream.set_nodelay(true).map_err(|error| unreachable(plain_words(&error)))?;
        Ok(stream)
    }
}

/// An error of the system without its number, which helps nobody.
pub(super) fn plain_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, shown) in [
            ("http://127.0.0.1:7878", "http://127.0.0.1:7878"),
            ("http://LocalHost:7878/", "http://localhost:7878"),
            ("ws://[::1]:7878", "http://[::1]:7878"),
            ("http://breakglass.example.org", "http://breakglass.example.org"),
            ("http://breakglass.example.org:80/", "http://breakglass.example.org"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_the_rest_and_repeats_no_token() {
        for text in
            ["", "localhost", "localhost:7878", "http://", "http://h/path", "ftp://h", "http://h:0", "http://h:x"]
        {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Form(text.to_owned())));
        }
        assert!(matches!("https://h".parse::<Address>(), Err(AddressError::Tls(_))));
        for text in ["http://h:1/#token=secret", "http://me:secret@h", "http://h/?token=secret"] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
