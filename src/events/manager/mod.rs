//! [`EventManager`]: a server whose handlers are added and removed at run time.
//!
//! **Guarantees**
//! 1. Each handler gets the events in the order in which the manager receives them, and all handlers
//!    have handled an event before any of them gets the next one.
//! 2. A handler that fails is removed, and neither the manager nor another handler notices.
//! 3. The owner of a handler gets one message about its end, whatever ends it: [`owner`].
//!
//! **The other side ends:**
//!
//! | | |
//! |---|---|
//! | the owner, before the handler is added | its `Down` is handled after the `init`: the handler is added, and removed with `OwnerEnded` |
//! | the owner, later | the handler is removed with `OwnerEnded` |
//! | the caller of a request | the request is handled all the same |
//! | the manager is stopped, while a request is queued | the request is handled first |
//! | the manager is killed, while a request is queued or handled | the caller gets `Exited`, the owners `ManagerEnded` |
//! | a handler calls its manager | the call fails at once with `CallingSelf` |

use std::fmt;

use crate::events::manager::handler_list::{HandlerList, Input};
use crate::exit::{ExitReason, Result};
use crate::message::Received;
use crate::server::{GenServer, ServerContext};

mod id;
mod error;
mod handler;
mod any_handler;
mod owner;
mod request;
mod context;
mod handler_list;
mod initial;
mod handler_ref;
mod client;

use request::Request;

pub use context::HandlerContext;
pub use error::HandlerError;
pub use handler::{EventHandler, Removal};
pub use handler_ref::HandlerRef;
pub use id::HandlerId;
pub use initial::EventHandlers;
pub use owner::{HandlerEnd, HandlerEnded, HandlerExits, HandlerOwner};
pub use request::{HandlerInfo, ManagerCall, Notify};

/// A server that passes each event to all its handlers. Handlers are added and removed while it runs,
/// several of one type under different ids. OTP: `gen_event`.
///
/// An event manager is a [`GenServer`]: it is started, named, supervised, stopped, suspended and
/// inspected as any server. Its handle has methods of its own:
///
/// | OTP | here |
/// |---|---|
/// | `gen_event:notify/2`, `sync_notify/2` | [`notify`](crate::ServerRef::notify), [`sync_notify`](crate::ServerRef::sync_notify) |
/// | `add_handler/3`, `add_sup_handler/3` | [`add_handler`](crate::ServerRef::add_handler), [`add_sup_handler`](crate::ServerRef::add_sup_handler) |
/// | `call/3`, `delete_handler/3`, `swap_handler/3` | [`HandlerRef::call`], [`delete`](HandlerRef::delete), [`swap`](HandlerRef::swap) |
/// | `which_handlers/1`, `stop/1` | [`which_handlers`](crate::ServerRef::which_handlers), [`stop`](crate::ServerRef::stop) |
///
/// Its arguments are the [`EventHandlers`] that it has from its start. It traps exits, so its handlers
/// run `terminate` when its supervisor stops it. [`EventHandler`] has an example.
///
/// # When not to use it
///
/// All handlers run in one process, one after the other, so the slowest one sets the pace. Receivers
/// that must not delay each other are processes: subscribers of a [`PubSub`](crate::PubSub). For one
/// receiver, a cast is enough.
pub struct EventManager<E: Send + Sync + 'static> {
    handlers: HandlerList<E>,
}

impl<E: Send + Sync + 'static> GenServer for EventManager<E> {
    type Args = EventHandlers<E>;
    type Call = ManagerCall<E>;
    type Cast = Notify<E>;

    async fn init(initial: EventHandlers<E>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        let mut handlers = HandlerList::new(ctx.this(), ctx.pid(), ctx.runtime());
        for new in initial.fresh() {
            if let Err(error) = handlers.add(new).await {
                let reason = ExitReason::from(error);
                handlers.stop(&reason).await;
                return Err(reason);
            }
        }
        Ok(EventManager { handlers })
    }

    async fn handle_call(&mut self, call: ManagerCall<E>, _: &mut ServerContext<Self>) -> Result {
        match call.0 {
            Request::Notify { event, reply } => {
                self.handlers.dispatch(Input::Event(&event)).await;
                reply.send(());
            }
            Request::Add { new, reply } => reply.send(self.handlers.add(new).await),
            Request::Call { id, call, failed } => {
                if let Err(error) = self.handlers.call(id, call).await {
                    // A caller that has given up needs no error.
                    drop(failed.send(error));
                }
            }
            Request::Delete { id, arg, reply } => reply.send(self.handlers.delete(id, arg).await),
            Request::Swap { id, to, owner, reply } => {
                reply.send(self.handlers.swap(id, to, owner).await);
            }
            Request::Which(reply) => reply.send(self.handlers.infos()),
        }
        Ok(())
    }

    async fn handle_cast(
        &mut self,
        Notify(event): Notify<E>,
        _: &mut ServerContext<Self>,
    ) -> Result {
        self.handlers.dispatch(Input::Event(&event)).await;
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        if let Received::Down { reference, reason, .. } = &info
            && self.handlers.owner_ended(*reference, reason).await
        {
            return Ok(());
        }
        self.handlers.dispatch(Input::Info(&info)).await;
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        self.handlers.stop(reason).await;
    }

    fn format_status(&self) -> Option<String> {
        Some(self.handlers.status())
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for EventManager<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventManager").finish_non_exhaustive()
    }
}
