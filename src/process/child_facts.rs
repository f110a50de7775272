//! What the record of a child says of its place and its life, for its reports.
//!
//! The supervisor knows these facts when it starts the incarnation, so the record has them from the
//! start on: the teardown of the child reads them without the supervisor, which may be busy or may
//! have ended. Each part is a pointer or a time that exists already, so a start allocates nothing
//! for them.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::node_path::NodePath;
use crate::base::shared_str::SharedStr;
use crate::restart::{History, OwnRules};

/// The facts about one incarnation of a child.
#[derive(Debug, Clone)]
pub(crate) struct ChildFacts {
    /// The place of the supervisor.
    pub(crate) above: Arc<NodePath>,
    /// The id of the child, which its label may differ from.
    pub(crate) id: SharedStr,
    /// When the start of the incarnation began.
    pub(crate) started: Instant,
    /// The restart rules that the child's own specification gives, if it gives any.
    pub(crate) own_rules: Option<Arc<OwnRules>>,
    /// The incarnations that have ended before this one.
    pub(crate) history: History,
}
