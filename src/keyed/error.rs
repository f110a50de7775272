//! The errors of requests to keyed servers.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::runtime::{CallError, StartError};

/// Why a request to the server under a key failed.
///
/// After [`NotStarted`](Self::NotStarted) and [`NotReady`](Self::NotReady) no handler has received
/// the request, and none will. After [`Call`](Self::Call) the [`CallError`] says whether the request
/// may have been handled. OTP has no counterpart. [`KeyedServers`](crate::KeyedServers) has an
/// example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyedError<K> {
    /// No server ran under the key, and none could be started: the supervisor has its maximum of
    /// children, is stopping or has ended; or the `init` of the server failed. All callers that
    /// waited for the same start get this error.
    NotStarted {
        /// The key.
        key: K,
        /// Why the server was not started.
        error: StartError,
    },
    /// The time limit passed before a server took the request out of its mailbox: a start or a
    /// restart was in progress, the server was busy with other requests, or servers ended again and
    /// again. The request was not handled. A start that is in progress goes on.
    NotReady {
        /// The key.
        key: K,
        /// The time limit.
        limit: Duration,
    },
    /// The call reached a server, and failed as the call of a [`ServerRef`](crate::ServerRef) does.
    ///
    /// [`CallError::Exited`] means that a handler has received the call: the server ended in that
    /// handler, or later without an answer. [`CallError::Timeout`] means that a handler has received
    /// the call and may still answer. [`CallError::WrongType`] means that a process of another type
    /// was registered under the key. [`CallError::NoProc`] is not returned.
    Call {
        /// The key.
        key: K,
        /// Why the call failed.
        error: CallError,
    },
}

impl<K> KeyedError<K> {
    /// Returns the key.
    pub fn key(&self) -> &K {
        match self {
            KeyedError::NotStarted { key, .. }
            | KeyedError::NotReady { key, .. }
            | KeyedError::Call { key, .. } => key,
        }
    }
}

impl<K: fmt::Debug> fmt::Display for KeyedError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyedError::NotStarted { key, error } => {
                write!(f, "no server for the key {key:?} could be started: {error}")
            }
            KeyedError::NotReady { key, limit } => write!(
                f,
                "no server for the key {key:?} took the request within {limit:?}: the request was \
                 not handled, so it can be repeated"
            ),
            KeyedError::Call { key, error } => {
                write!(f, "the request to the server for the key {key:?} failed: {error}")
            }
        }
    }
}

impl<K: fmt::Debug> Error for KeyedError<K> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            KeyedError::NotStarted { error, .. } => error.source(),
            KeyedError::NotReady { .. } => None,
            KeyedError::Call { error, .. } => error.source(),
        }
    }
}

/// A cast to the server under a key that no mailbox accepted, and the reason.
///
/// `Display` and `Debug` do not show the message, as with [`CastError`](crate::CastError).
/// [`cast_or_start`](crate::KeyedServers::cast_or_start) has an example.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyedCastError<K, T> {
    /// Why the cast was not accepted.
    pub error: KeyedError<K>,
    /// The message, given back.
    pub cast: T,
}

/// Drops the message.
impl<K, T> From<KeyedCastError<K, T>> for KeyedError<K> {
    fn from(refused: KeyedCastError<K, T>) -> Self {
        refused.error
    }
}

impl<K: fmt::Debug, T> fmt::Display for KeyedCastError<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<K: fmt::Debug, T> fmt::Debug for KeyedCastError<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedCastError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<K: fmt::Debug, T> Error for KeyedCastError<K, T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
