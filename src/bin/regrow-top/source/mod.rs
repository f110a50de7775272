//! Where the items come from: a running program, by HTTP.

mod url;
mod sse;
mod http;

pub(crate) use http::{Program, first_items};
pub(crate) use url::Target;

/// What a source reports.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum News {
    /// The program answers.
    Connected,
    /// An item, as it came.
    Item(String),
    /// The process with this pid had ended when its details were requested.
    Gone(u64),
    /// The connection failed, for this reason.
    Lost(String),
}
