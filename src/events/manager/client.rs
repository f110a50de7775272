//! The handle of an event manager.

use crate::base::SharedStr;
use crate::events::manager::context::init_of;
use crate::events::manager::request::{ManagerCall, NewHandler, Request};
use crate::events::{
    EventHandler, EventManager, HandlerError, HandlerId, HandlerInfo, HandlerOwner, HandlerRef,
    Notify,
};
use crate::exit::Result;
use crate::runtime::CallError;
use crate::server::ServerRef;

/// The methods of the handle of an [`EventManager`]. [`EventHandler`] has an example.
impl<E: Send + Sync + 'static> ServerRef<EventManager<E>> {
    /// Sends an event to all handlers and doesn't wait. Returns the result of
    /// [`cast`](Self::cast): if it is false, the event was dropped and counted. OTP:
    /// `gen_event:notify/2`. [`EventHandlers`](crate::EventHandlers) has an example.
    pub fn notify(&self, event: E) -> bool {
        self.cast(Notify(event))
    }

    /// Sends an event to all handlers, and returns when each of them has handled it or has been
    /// removed. Waits without a limit. OTP: `gen_event:sync_notify/2`. [`EventHandler`] has an
    /// example.
    ///
    /// # Errors
    ///
    /// As [`call_unlimited`](Self::call_unlimited); [`CallingSelf`](CallError::CallingSelf) in a
    /// handler of this manager. The failure of a handler is no error of this call.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped does not take the event back.
    pub async fn sync_notify(&self, event: E) -> Result<(), CallError> {
        self.call_unlimited(|reply| ManagerCall(Request::Notify { event, reply })).await
    }

    /// Adds a handler of type `H`, whose id has this text. Returns when its `init` has returned. Waits
    /// without a limit. New handlers get an event after the older ones. OTP:
    /// `gen_event:add_handler/3`, which adds a second handler with the same id. [`EventHandler`] has an
    /// example.
    ///
    /// # Errors
    ///
    /// [`AlreadyAdded`](HandlerError::AlreadyAdded); [`InitFailed`](HandlerError::InitFailed);
    /// [`Manager`](HandlerError::Manager) with the errors of [`call_unlimited`](Self::call_unlimited).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the handler may be added nevertheless.
    pub async fn add_handler<H: EventHandler<E>>(
        &self,
        text: impl Into<SharedStr>,
        args: H::Args,
    ) -> Result<HandlerRef<E, H>, HandlerError> {
        self.add(text.into(), args, None).await
    }

    /// Adds a handler as [`add_handler`](Self::add_handler) does, for an owner: the owner gets one
    /// [`HandlerEnded`](crate::HandlerEnded) when the handler has been removed, and the handler is
    /// removed when the owner ends. [`HandlerOwner`] has an example. OTP:
    /// `gen_event:add_sup_handler/3`.
    ///
    /// # Errors
    ///
    /// As [`add_handler`](Self::add_handler), and [`NoOwner`](HandlerError::NoOwner). After an error
    /// the owner gets no message. An owner that has ended is no error: its handler is removed again.
    ///
    /// # Cancel safety
    ///
    /// As [`add_handler`](Self::add_handler).
    pub async fn add_sup_handler<H: EventHandler<E>>(
        &self,
        text: impl Into<SharedStr>,
        args: H::Args,
        owner: impl Into<HandlerOwner>,
    ) -> Result<HandlerRef<E, H>, HandlerError> {
        self.add(text.into(), args, Some(owner.into())).await
    }

    async fn add<H: EventHandler<E>>(
        &self,
        text: SharedStr,
        args: H::Args,
        owner: Option<HandlerOwner>,
    ) -> Result<HandlerRef<E, H>, HandlerError> {
        let handler = self.handler::<H>(text);
        let (id, init) = (handler.id().clone(), init_of::<E, H>(args));
        let new = NewHandler { id, init, owner };
        self.call_unlimited(|reply| ManagerCall(Request::Add { new, reply })).await??;
        Ok(handler)
    }

    /// Returns a handle to the handler of type `H` whose id has this text. Does not check that there
    /// is one. [`HandlerRef`] has an example.
    pub fn handler<H: EventHandler<E>>(&self, text: impl Into<SharedStr>) -> HandlerRef<E, H> {
        HandlerRef::new(self.clone(), HandlerId::of::<H>(text))
    }

    /// Returns the handlers, in the order in which they get an event. Waits without a limit. OTP:
    /// `gen_event:which_handlers/1`. [`EventHandler`] has an example.
    ///
    /// # Errors
    ///
    /// As [`call_unlimited`](Self::call_unlimited).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call changes nothing.
    pub async fn which_handlers(&self) -> Result<Vec<HandlerInfo>, CallError> {
        self.call_unlimited(|reply| ManagerCall(Request::Which(reply))).await
    }
}
