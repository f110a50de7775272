//! Why a handshake fails.

/// Why the handshake with another node failed. The connection is closed, and nothing that the other
/// node sent afterwards is read. Variants may be added later.
///
/// # Examples
///
/// ```
/// use regrow::cluster::HandshakeError;
///
/// assert_eq!(HandshakeError::WrongCookie.to_string(), "the other node has another cookie");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The cookies of the two nodes differ.
    #[error("the other node has another cookie")]
    WrongCookie,
    /// The other node refused this one: its status is `not_allowed`.
    #[error("the other node refuses this one")]
    NotAllowed,
    /// The other node connects to this one at the same time, and its attempt continues.
    #[error("the other node connects to this one at the same time")]
    Simultaneous,
    /// The other node closed the connection. It does so if the cookies of the two nodes differ.
    #[error("the other node closed the connection during the handshake; is its cookie another?")]
    Closed,
    /// The other node has another name than the node that was to be reached.
    #[error("the node has another name: {0:?}")]
    OtherName(String),
    /// The other node has the name of this one.
    #[error("the other node has the name of this one")]
    OwnName,
    /// The name of the other node is not valid.
    #[error("the name of the other node is not valid")]
    InvalidName,
    /// The other node has not all features that this one needs: it is older than OTP 25.
    #[error("the other node lacks required features: {0}")]
    MissingFlags(String),
    /// The other node begins the handshake that OTP had before its release 23.
    #[error("the other node is older than OTP 23")]
    OldVersion,
    /// A message can't be decoded.
    #[error("a message of the handshake is malformed")]
    Malformed,
    /// A message that is not the next one of the handshake.
    #[error("an unexpected message in the handshake")]
    Unexpected,
    /// A message is longer than any message of a handshake.
    #[error("a message of the handshake is too long")]
    TooLong,
    /// The other node did not send every message within the time limit.
    #[error("the handshake took too long")]
    Late,
    /// Too many handshakes of other nodes are under way, and this one was the oldest of those that
    /// said nothing.
    #[error("too many handshakes at once")]
    TooMany,
    /// The handshake of TLS failed: the certificate of the other node is not accepted, or that of this
    /// one is not, or the other node doesn't use TLS. Requires the feature `cluster-tls`.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The certificate of the other node is not for the host in its name.
    #[error("the certificate of the other node is not for its host, {0:?}")]
    OtherHost(String),
    /// The connection has been replaced by another one to the same node.
    #[error("another connection to the node was made at the same time")]
    Superseded,
}
