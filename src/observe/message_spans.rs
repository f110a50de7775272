//! The spans of handled messages.
//!
//! The target is `regrow::message`. A span has the fields `server`, which is the label of the server
//! or the name of its type, `pid` and `kind`, and never anything of the message itself.

use tracing::{Span, info_span};

use crate::base::{Pid, name};

const TARGET: &str = "regrow::message";

/// How the span of a handled message relates to the span in which the message was sent.
/// [`Runtime::message_spans`](crate::Runtime::message_spans) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MessageSpans {
    /// Messages have no spans.
    #[default]
    Off,
    /// The span is a child of that of the sender: one request through several servers is one trace.
    /// Two kinds of spans follow from that of the sender instead, and have no parent, because a
    /// subscriber keeps a span until its children are closed: those of what a server sends itself for
    /// later ([`Runtime::message_spans`](crate::Runtime::message_spans) lists it), and each 129th span
    /// of a chain.
    Child,
    /// The span follows from that of the sender, and has no parent. In OpenTelemetry this is a link
    /// between two traces.
    FollowsFrom,
}

/// Creates the span of a message, or of a task.
pub(crate) fn span(
    relation: MessageSpans,
    sender: Option<&Span>,
    (server, pid): (&str, Pid),
    kind: &str,
) -> Span {
    let server = || name(server).to_string();
    let sender = sender.and_then(Span::id);
    match relation {
        MessageSpans::Off => Span::none(),
        MessageSpans::Child => {
            info_span!(target: TARGET, parent: sender, "message", server = server(), %pid, kind)
        }
        MessageSpans::FollowsFrom => {
            let parent = None::<tracing::Id>;
            let span = info_span!(target: TARGET, parent: parent, "message", server = server(), %pid, kind);
            span.follows_from(sender);
            span
        }
    }
}
