//! Servers and services of tower. `server_service` makes the calls of a server a service.
//! `service_server` is a server that owns a service. `live` is the extractor for routes of axum.
//!
//! **Uses** `call`, `exit`, `message`, `runtime`, `server`.
//! **Knows nothing of** the layers of tower: it implements only the trait.

mod server_service;
mod service_server;
#[cfg(feature = "axum")]
mod live;

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use live::{CallFailed, Live};
pub use server_service::ServerService;
pub use service_server::{MakeService, ServiceError, ServiceServer};
