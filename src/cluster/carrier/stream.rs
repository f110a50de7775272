//! A connection to another node, whatever carries it, and the messages of the handshake on it.
//!
//! The handshake makes its messages with prefixes of 2 bytes, as they are sent over TCP. Over TLS the
//! prefixes have 4 bytes.

use std::fmt;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::handshake::{HandshakeError, LONGEST_MESSAGE};
use crate::cluster::node_name::NodeName;

pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;
/// Whether the other end has shown that it is the host with this name.
pub(crate) type HostCheck = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The length of the prefix of a message of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// 2 bytes.
    Short,
    /// 4 bytes, over TLS.
    #[cfg_attr(not(any(feature = "cluster-tls", test)), expect(dead_code, reason = "TLS makes it"))]
    Long,
}

/// An open connection.
pub(crate) struct Stream {
    reader: Reader,
    writer: Writer,
    prefix: Prefix,
    host_check: Option<HostCheck>,
}

impl Stream {
    pub(crate) fn new(reader: Reader, writer: Writer, prefix: Prefix) -> Self {
        Stream { reader, writer, prefix, host_check: None }
    }

    pub(crate) fn tcp(stream: TcpStream) -> Self {
        no_delay(&stream);
        let (reader, writer) = stream.into_split();
        Stream::new(Box::new(reader), Box::new(writer), Prefix::Short)
    }

    /// Adds the check of the host of the other end.
    #[cfg(feature = "cluster-tls")]
    pub(crate) fn checked_by(self, check: HostCheck) -> Self {
        Stream { host_check: Some(check), ..self }
    }

    /// Refuses a node whose host the other end is not.
    pub(crate) fn check_host(&self, node: &NodeName) -> Result<(), HandshakeError> {
        match &self.host_check {
            Some(is_host) if !is_host(node.host()) => {
                Err(HandshakeError::OtherHost(node.host().to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Reads a message of the handshake, without its prefix.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the bytes that were read are lost.
    pub(crate) async fn read_message(&mut self) -> Result<Vec<u8>, HandshakeError> {
        let length = match self.prefix {
            Prefix::Short => self.reader.read_u16().await.map(u32::from),
            Prefix::Long => self.reader.read_u32().await,
        };
        let length = usize::try_from(length.map_err(|error| failed(&error))?).unwrap_or(usize::MAX);
        if length > LONGEST_MESSAGE {
            return Err(HandshakeError::TooLong);
        }
        let mut message = vec![0; length];
        self.reader.read_exact(&mut message).await.map_err(|error| failed(&error))?;
        Ok(message)
    }

    /// Writes messages of the handshake, each with its prefix of 2 bytes.
    pub(crate) async fn write_messages(&mut self, messages: &[u8]) -> Result<(), HandshakeError> {
        let written = match self.prefix {
            Prefix::Short => self.writer.write_all(messages).await,
            Prefix::Long => self.writer.write_all(&with_long_prefixes(messages)).await,
        };
        written.map_err(|error| failed(&error))?;
        self.writer.flush().await.map_err(|error| failed(&error))
    }

    /// Returns both directions, after the handshake.
    pub(crate) fn into_split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Sets an option that makes calls faster. The connection works without it.
pub(crate) fn no_delay(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

/// An error of TLS, such as a certificate that is refused, arrives with any read or write.
fn failed(error: &io::Error) -> HandshakeError {
    match error.kind() {
        io::ErrorKind::InvalidData => HandshakeError::Tls(error.to_string()),
        _ => HandshakeError::Closed,
    }
}

fn with_long_prefixes(mut messages: &[u8]) -> Vec<u8> {
    let mut long = Vec::with_capacity(messages.len() + 4);
    while let Some((length, rest)) = messages.split_first_chunk() {
        let length = u16::from_be_bytes(*length);
        let (message, rest) = rest.split_at_checked(length.into()).unwrap_or((rest, &[]));
        long.extend(u32::from(length).to_be_bytes());
        long.extend(message);
        messages = rest;
    }
    long
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};

    use super::{Prefix, Stream, with_long_prefixes};
    use crate::cluster::handshake::HandshakeError;

    #[test]
    fn each_prefix_gets_two_bytes_more() {
        assert_eq!(with_long_prefixes(b""), b"");
        let messages = with_long_prefixes(b"\x00\x03sok\x00\x00\x01\x00");
        assert_eq!(messages, b"\x00\x00\x00\x03sok\x00\x00\x00\x00\x00\x00\x01\x00");
    }

    #[tokio::test]
    async fn messages_are_written_and_read_with_the_prefix_of_the_carrier() {
        for (prefix, bytes) in
            [(Prefix::Short, &b"\x00\x03sok"[..]), (Prefix::Long, b"\x00\x00\x00\x03sok")]
        {
            let (own, mut peer) = duplex(1_000);
            let (reader, writer) = split(own);
            let mut stream = Stream::new(Box::new(reader), Box::new(writer), prefix);
            stream.write_messages(b"\x00\x03sok").await.unwrap();
            let mut written = vec![0; bytes.len()];
            peer.read_exact(&mut written).await.unwrap();
            assert_eq!(written, bytes);
            peer.write_all(bytes).await.unwrap();
            assert_eq!(stream.read_message().await.unwrap(), b"sok");
            peer.write_all(b"\x02\x01\xff\xff").await.unwrap();
            assert_eq!(stream.read_message().await, Err(HandshakeError::TooLong));
            drop(peer);
        }
    }
}
