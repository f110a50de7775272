//! Why a connection to another node ended.

use std::io;

/// Why a connection between two nodes ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectionLost {
    #[error("the other node closed the connection")]
    Closed,
    #[error("the connection failed: {0}")]
    Io(io::ErrorKind),
    #[error("a frame of {length} bytes is longer than {most}, the maximum")]
    TooLong { length: u32, most: usize },
    #[error("nothing arrived for the whole tick time")]
    Silent,
    #[error("the other node read nothing for the whole tick time")]
    Stalled,
    #[error("more than {0} bytes wait to be sent")]
    Overflow(usize),
    #[error("a message can't be decoded: {0}")]
    Malformed(String),
    #[error("the other node has more than {0} links and monitors")]
    TooManyRelations(usize),
    #[error("the other node has named more processes with high numbers than there is room for")]
    TooManyPids,
    #[error("an unknown operation: {0}")]
    UnknownOperation(u8),
}

impl From<io::Error> for ConnectionLost {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => ConnectionLost::Closed,
            kind => ConnectionLost::Io(kind),
        }
    }
}
