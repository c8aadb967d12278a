//! TLS by certificate files, read again when the operator says so.
//!
//! Invariant: a certificate that cannot be used never takes the place of one that can. Connections that are open keep theirs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::TlsFiles;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("cannot read `{}`: {source}; it must be PEM", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("`{}` holds no certificate; give the chain as PEM, the gateway's own first", .0.display())]
    Empty(PathBuf),
    /// Others can read the key.
    #[error("the key `{}` can be read by everybody; chmod 600 it", .0.display())]
    LooseKey(PathBuf),
    /// They do not go together, or are of an unknown kind.
    #[error("the certificate `{}` cannot be used with its key: {source}", .path.display())]
    Refused {
        /// Which certificate.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// The certificate in use.
pub struct Tls {
    files: TlsFiles,
    current: watch::Sender<TlsAcceptor>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let current = watch::Sender::new(read(&files)?);
        Ok(Self { files, current })
    }

    /// Reads the files again; when they cannot be used the old ones stay.
    ///
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.send_replace(read(&self.files)?);
        Ok(())
    }

    /// What new connections are accepted with.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.current.borrow().clone()
    }
}

fn read(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let failed = |path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::Read { path, source }
    };
    let certs = CertificateDer::pem_file_iter(&files.cert).map_err(failed(&files.cert))?;
    let certs = certs.collect::<Result<Vec<_>, _>>().map_err(failed(&files.cert))?;
    if certs.is_empty() {
        return Err(TlsError::Empty(files.cert.clone()));
    }
    // A group may read it: that is how distributions let several services share one.
    if fs::metadata(&files.key).is_ok_and(|key| key.permissions().mode() & 0o007 != 0) {
        return Err(TlsError::LooseKey(files.key.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(failed(&files.key))?;
    let refused = |source| TlsError::Refused { path: files.cert.clone(), source };
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(refused)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
