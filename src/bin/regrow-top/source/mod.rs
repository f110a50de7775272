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
    /// A process that was asked for has ended.
    Gone(u64),
    /// The program is not reached any more, because of this.
    Lost(String),
}
