//! The client side of a server: the typed handle, handles by name and by message type, and each way
//! to send a request.

pub(crate) mod propagated;
pub(crate) mod request;
mod not_held;
pub(crate) mod server_ref;
mod by_name;
mod casts;
mod calls;
#[cfg(feature = "cluster")]
pub(crate) mod received;
pub(crate) mod returnable_call;
#[cfg(feature = "tower")]
pub(crate) mod reserved_place;
pub(crate) mod sender;
mod stop;
