//! The source of the items in live mode: a running program, by HTTP.

mod url;
mod sse;
mod http;

pub(crate) use http::{Program, first_items};
pub(crate) use url::Target;

/// What a source reports.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum News {
    /// The program has accepted the connection.
    Connected,
    /// An item, as the program sent it.
    Item(String),
    /// The process with this pid had ended when its details were requested.
    Gone(u64),
    /// The connection failed, for this reason.
    Lost(String),
}
