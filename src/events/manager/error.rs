//! Why a request about a handler failed.

use std::error::Error;
use std::fmt;

use crate::events::HandlerId;
use crate::exit::{Causeless, ExitReason};
use crate::runtime::CallError;

/// Why a request about a handler of an [`EventManager`](crate::EventManager) failed.
/// [`HandlerRef`](crate::HandlerRef) has an example.
///
/// If an error ended the handler or the manager, that error is the [`source`](Error::source) of this
/// error, and [`Display`](fmt::Display) does not repeat its text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandlerError {
    /// The manager has no handler with this id: it was never added, or has been removed.
    NotFound(HandlerId),
    /// The manager has a handler with this id, and has added nothing.
    AlreadyAdded(HandlerId),
    /// The `init` of the handler returned an error or panicked. The handler was not added.
    InitFailed {
        /// The handler.
        handler: HandlerId,
        /// The error or the panic.
        reason: ExitReason,
    },
    /// The handler returned an error or panicked while it handled the call, or panicked in
    /// `terminate`. The handler has been removed.
    Failed {
        /// The handler.
        handler: HandlerId,
        /// The error or the panic.
        reason: ExitReason,
    },
    /// No process holds the name of the server that was to own the handler. The handler was not
    /// added.
    NoOwner(HandlerId),
    /// The manager could not be called or did not answer.
    Manager(CallError),
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandlerError::NotFound(id) => write!(
                f,
                "the event manager has no handler {id}: it was removed, or must be added first"
            ),
            HandlerError::AlreadyAdded(id) => write!(
                f,
                "the event manager already has a handler {id}: give the new one another text"
            ),
            HandlerError::InitFailed { handler, reason } => write!(
                f,
                "the handler {handler} was not added, because its `init` failed: {}",
                Causeless(reason)
            ),
            HandlerError::Failed { handler, reason } => {
                write!(f, "the handler {handler} failed and was removed: {}", Causeless(reason))
            }
            HandlerError::NoOwner(id) => write!(
                f,
                "the handler {id} was not added: no process holds the name of its owner, which must \
                 be started first"
            ),
            HandlerError::Manager(error) => {
                write!(f, "the request to the event manager failed: {error}")
            }
        }
    }
}

impl Error for HandlerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            HandlerError::InitFailed { reason, .. } | HandlerError::Failed { reason, .. } => {
                reason.cause()
            }
            HandlerError::Manager(error) => error.source(),
            _ => None,
        }
    }
}

impl From<CallError> for HandlerError {
    fn from(error: CallError) -> Self {
        HandlerError::Manager(error)
    }
}
