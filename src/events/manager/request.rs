//! The calls and the casts of an event manager.

use std::any::type_name;
use std::fmt;

use tokio::sync::oneshot;

use crate::base::Pid;
use crate::call::Reply;
use crate::events::manager::context::{Init, SwapTo, Value};
use crate::events::{HandlerError, HandlerId, HandlerOwner};
use crate::exit::Result;

/// The cast of an [`EventManager`](crate::EventManager): an event for all its handlers.
///
/// [`ServerRef::notify`](crate::ServerRef::notify) sends it. The type itself is useful where a cast
/// is made from an event, as for a [`Sender`](crate::Sender) or a subscription of a
/// [`PubSub`](crate::PubSub).
///
/// ```
/// use regrow::{EventManager, GenServer, Notify, Runtime, Sender};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let manager = EventManager::<u32>::start(&rt, Default::default()).await?;
/// let numbers: Sender<u32> = manager.sender(Notify);
/// assert!(numbers.send(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify<E>(pub E);

/// The calls of an [`EventManager`](crate::EventManager). The methods of its handle make them.
pub struct ManagerCall<E: Send + Sync + 'static>(pub(super) Request<E>);

pub(super) enum Request<E: Send + Sync + 'static> {
    /// Answered when all handlers have handled the event.
    Notify {
        event: E,
        reply: Reply<()>,
    },
    Add {
        new: NewHandler<E>,
        reply: Reply<Result<(), HandlerError>>,
    },
    /// The call holds its reply. `failed` gets the reason if the call is not handled.
    Call {
        id: HandlerId,
        call: Value,
        failed: oneshot::Sender<HandlerError>,
    },
    Delete {
        id: HandlerId,
        arg: Value,
        reply: Reply<Result<Value, HandlerError>>,
    },
    Swap {
        id: HandlerId,
        to: SwapTo<E>,
        /// The owner of the new handler; `None` for that of the old one.
        owner: Option<HandlerOwner>,
        reply: Reply<Result<(), HandlerError>>,
    },
    Which(Reply<Vec<HandlerInfo>>),
}

/// A handler that is to be added.
pub(super) struct NewHandler<E: Send + Sync + 'static> {
    pub(super) id: HandlerId,
    pub(super) init: Init<E>,
    pub(super) owner: Option<HandlerOwner>,
}

/// A handler in the list of [`which_handlers`](crate::ServerRef::which_handlers).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerInfo {
    /// The id of the handler.
    pub id: HandlerId,
    /// The process that owns the handler, if it was added with an owner.
    pub owner: Option<Pid>,
}

impl<E: Send + Sync + 'static> fmt::Debug for ManagerCall<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Request::Notify { .. } => write!(f, "sync_notify of {}", type_name::<E>()),
            Request::Add { new, .. } => write!(f, "add_handler {}", new.id),
            Request::Call { id, .. } => write!(f, "call of {id}"),
            Request::Delete { id, .. } => write!(f, "delete {id}"),
            Request::Swap { id, to, .. } => write!(f, "swap {id} for {}", to.id),
            Request::Which(_) => f.write_str("which_handlers"),
        }
    }
}
