//! tower: calls of a server as a service, and a service as a server. `server_service` is the first,
//! `service_server` the second, `live` the extractor for routes of axum.
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
