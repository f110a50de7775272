//! Why a request about a handler failed.

use thiserror::Error;

use crate::events::HandlerId;
use crate::exit::ExitReason;
use crate::runtime::CallError;

/// Why a request about a handler of an [`EventManager`](crate::EventManager) failed.
/// [`HandlerRef`](crate::HandlerRef) has an example.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The manager has no handler with this id: it was never added, or has been removed.
    #[error("the event manager has no handler {0}")]
    NotFound(HandlerId),
    /// The manager has a handler with this id, and has added nothing.
    #[error("the event manager already has a handler {0}: give the new one another text")]
    AlreadyAdded(HandlerId),
    /// The `init` of the handler returned an error or panicked. The handler was not added.
    #[error("the handler {handler} was not added: {reason}")]
    InitFailed {
        /// The handler.
        handler: HandlerId,
        /// The error or the panic.
        reason: ExitReason,
    },
    /// The handler returned an error or panicked while it handled the call, or panicked in
    /// `terminate`. The handler has been removed.
    #[error("the handler {handler} failed and was removed: {reason}")]
    Failed {
        /// The handler.
        handler: HandlerId,
        /// The error or the panic.
        reason: ExitReason,
    },
    /// No process holds the name of the server that was to own the handler. The handler was not
    /// added.
    #[error("the handler {0} was not added: no process holds the name of its owner")]
    NoOwner(HandlerId),
    /// The manager could not be called or did not answer.
    #[error(transparent)]
    Manager(#[from] CallError),
}
