//! What the record of a child says of its life, for the crash report of the child.
//!
//! The supervisor knows these facts when it starts the incarnation, so the record has them from the
//! start on: the teardown of the child reads them without the supervisor, which may be busy or may
//! have ended. Each part is a pointer or a time that exists already, so a start allocates nothing
//! for them.

use std::sync::Arc;

use tokio::time::Instant;

use crate::restart::{History, OwnRules};

/// The facts about one incarnation of a child.
#[derive(Debug, Clone)]
pub(crate) struct ChildFacts {
    /// When the start of the incarnation began.
    pub(crate) started: Instant,
    /// The restart rules that the child's own specification gives, if it gives any.
    pub(crate) own_rules: Option<Arc<OwnRules>>,
    /// The incarnations that have ended before this one.
    pub(crate) history: History,
}
