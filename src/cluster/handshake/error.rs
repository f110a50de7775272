//! Why a handshake fails.

/// Why the handshake with another node failed. The connection is closed, and nothing that the other
/// node sent afterwards is read. Variants may be added later.
///
/// # Examples
///
/// ```
/// use regrow::cluster::HandshakeError;
///
/// let text = HandshakeError::WrongCookie.to_string();
/// assert_eq!(text, "the other node has another cookie: give both nodes the same one");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The cookies of the two nodes differ.
    #[error("the other node has another cookie: give both nodes the same one")]
    WrongCookie,
    /// The other node refused this one: its status is `not_allowed`.
    #[error("the other node doesn't allow this one to connect: its log may say why")]
    NotAllowed,
    /// The other node connects to this one at the same time, and its attempt continues.
    #[error("the other node connects to this one at the same time, and its attempt goes on")]
    Simultaneous,
    /// The other node closed the connection. It does so if the cookies of the two nodes differ.
    #[error("the other node closed the connection during the handshake; is its cookie another?")]
    Closed,
    /// The other node has another name than the node that was to be reached.
    #[error("another node answers at the address: {0:?}")]
    OtherName(String),
    /// The other node has the name of this one.
    #[error("the other node has the name of this one: give each node a name of its own")]
    OwnName,
    /// The name of the other node is not valid.
    #[error("the name of the other node is not valid: it has to be `alive@host`")]
    InvalidName,
    /// The other node has not all features that this one needs: it is older than OTP 25.
    #[error("the other node lacks required features, which OTP 25 has: {0}")]
    MissingFlags(String),
    /// The other node begins the handshake that OTP had before its release 23.
    #[error("the other node is older than OTP 23: use OTP 25 or later")]
    OldVersion,
    /// A message can't be decoded.
    #[error("a message of the handshake is malformed: is the other side a node?")]
    Malformed,
    /// A message that is not the next one of the handshake.
    #[error("an unexpected message in the handshake: is the other side a node?")]
    Unexpected,
    /// A message is longer than any message of a handshake.
    #[error("a message of the handshake is too long: does only one of the nodes use TLS?")]
    TooLong,
    /// The other node did not send every message within the time limit.
    #[error("the handshake took longer than the limit of `Node::handshake_timeout`")]
    Late,
    /// Too many handshakes of other nodes are under way, and this one was the oldest of those that
    /// are closed first.
    #[error("too many handshakes at once: this one was closed for a newer one")]
    TooMany,
    /// The handshake of TLS failed: the certificate of the other node is not accepted, or that of this
    /// one is not, or the other node doesn't use TLS. Requires the feature `cluster-tls`.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The certificate of the other node is not for the host in its name.
    #[error(
        "the certificate of the other node is not for its host, {0:?}: make one for it, or use \
         `Tls::any_host`"
    )]
    OtherHost(String),
    /// The connection has been replaced by another one to the same node.
    #[error("another connection to the node was made at the same time")]
    Superseded,
}
