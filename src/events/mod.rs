//! Events with many receivers: [`EventManager`], a server with handlers that are added and removed at
//! run time, and [`PubSub`], topics whose subscribers are processes.
//!
//! **Uses** `base`, `exit`, `message`, `observe`, `process`, `mailbox`, `call`, `runtime`, `server`.
//! **Knows nothing of** supervisors: an event manager is a server, and is supervised as a server.

mod manager;
mod pub_sub;

pub use manager::{
    EventHandler, EventHandlers, EventManager, HandlerContext, HandlerEnd, HandlerEnded,
    HandlerError, HandlerExits, HandlerId, HandlerInfo, HandlerOwner, HandlerRef, ManagerCall,
    Notify, Removal,
};
#[cfg(feature = "cluster")]
pub(crate) use pub_sub::Elsewhere;
pub use pub_sub::{PubSub, StreamOverflow, Subscriber, Subscription, TopicEvent, TopicStream};
