//! Why certificates can't be used.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why certificates can't be used for a node: the error of
/// [`Tls::from_pem_files`](crate::cluster::Tls::from_pem_files) and
/// [`Tls::from_pem`](crate::cluster::Tls::from_pem). It names the file, and shows nothing of a key.
/// Requires the feature `cluster-tls`. Variants may be added later.
///
/// ```
/// use regrow::cluster::{Tls, TlsError};
///
/// let error = Tls::from_pem_files("nowhere.pem", "key.pem", "ca.pem").unwrap_err();
/// assert!(matches!(error, TlsError::Unreadable { .. }));
/// assert_eq!(error.to_string(), "the certificate \"nowhere.pem\" can't be read");
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read.
    #[error("{what} {file:?} can't be read")]
    Unreadable {
        /// What the file should contain.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        source: Arc<io::Error>,
    },
    /// A text has no section of PEM of the kind that is needed.
    #[error("{0} is not in PEM format, or has no section of the right kind")]
    NotPem(String),
    /// The certificates or the key can't be used: the key is not that of the certificate, or its kind
    /// is not supported.
    #[error("{0} can't be used: {1}")]
    Refused(String, String),
}
