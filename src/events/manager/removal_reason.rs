//! Why a handler is removed.

use crate::exit::ExitReason;

/// Why a handler is removed: the argument of [`EventHandler::terminate`](crate::EventHandler::terminate), which has an example. OTP:
/// the first argument of `terminate/2`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removal<A> {
    /// By [`HandlerRef::delete`](crate::HandlerRef::delete), with its argument. OTP: `Args`.
    Deleted(A),
    /// Another handler replaces it: the argument of the swap. OTP: `Args1`.
    Swapped(A),
    /// The handler asked for it, by [`HandlerContext::remove`](crate::HandlerContext::remove). OTP: `remove_handler`.
    OwnRequest,
    /// The manager stops, for this reason. OTP: `stop`.
    ManagerStopped(ExitReason),
    /// The owner of the handler has ended, for this reason. OTP: `{stop, Reason}`.
    OwnerEnded(ExitReason),
    /// A callback of the handler returned this error, or panicked, or asked for a swap to an id that
    /// is taken. OTP: `{error, Term}`.
    Failed(ExitReason),
}

impl<A> Removal<A> {
    /// Changes the argument.
    pub(super) fn map<B>(self, change: impl FnOnce(A) -> B) -> Removal<B> {
        match self {
            Removal::Deleted(arg) => Removal::Deleted(change(arg)),
            Removal::Swapped(arg) => Removal::Swapped(change(arg)),
            Removal::OwnRequest => Removal::OwnRequest,
            Removal::ManagerStopped(reason) => Removal::ManagerStopped(reason),
            Removal::OwnerEnded(reason) => Removal::OwnerEnded(reason),
            Removal::Failed(reason) => Removal::Failed(reason),
        }
    }
}
