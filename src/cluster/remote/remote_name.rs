//! Names of processes at other nodes.

use crate::base::{MonitorRef, Pid, SharedStr};
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::signal::Signal;
use crate::cluster::term::is_too_long;
use crate::message::EncodedTerm;
use crate::runtime::Runtime;

/// A name at another node: whichever process holds the name there when a message or a request
/// arrives. [`NodeRef::process`](crate::cluster::NodeRef::process) returns one. OTP: `{Name, Node}`.
///
/// A name of this node's own is the name of a local process.
///
/// # Examples
///
/// ```no_run
/// use regrow::cluster::EncodedTerm;
/// use regrow::{Context, ExitReason, Received};
///
/// async fn ask(mut ctx: Context) -> Result<(), Box<dyn std::error::Error>> {
///     let prices = ctx.runtime().node("shop@127.0.0.1").process("prices");
///     let monitor = prices.monitor(ctx.pid());
///     prices.send(EncodedTerm::new(&("price", "milk"))?);
///     match ctx.recv().await {
///         Received::Term(price) => println!("{}", price.term()?),
///         Received::DownName { reference, reason, .. } if reference == monitor => {
///             assert_eq!(reason, ExitReason::NoConnection);
///         }
///         other => println!("{other:?}"),
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RemoteName {
    pub(crate) runtime: Runtime,
    pub(crate) node: SharedStr,
    /// `None` if the name of the node is invalid.
    parsed: Option<NodeName>,
    pub(crate) name: SharedStr,
}

impl RemoteName {
    pub(crate) fn new(runtime: Runtime, node: SharedStr, name: SharedStr) -> Self {
        let parsed = NodeName::parse(&node);
        RemoteName { runtime, node, parsed, name }
    }

    /// Returns the name of the node. [`RemoteName`] has an example.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Returns the name at that node. [`RemoteName`] has an example.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends a term. Returns false if the name of the node or the name is invalid, the term can't be
    /// decoded, or a local process does not receive it; true says nothing of a process at the other
    /// node. Otherwise as [`Runtime::send_term`]. [`RemoteName`] has an example.
    pub fn send(&self, term: EncodedTerm) -> bool {
        let Some(node) = self.parsed() else { return false };
        let nodes = Nodes::of(&self.runtime.kernel);
        if nodes.is_own(node) {
            return self.runtime.send_term_named(&self.name, term);
        }
        if !term.is_whole() || is_too_long(&self.name) {
            return false;
        }
        let (own, name) = (self.runtime.current_pid(), self.name.clone());
        let signal = Signal::SendName { own, name, term };
        nodes.peer(node).request(None, |_| ((), Some(signal))).is_ok()
    }

    /// Monitors the process that holds the name when the request arrives: `watcher`, a process of
    /// this runtime, gets one [`Received::DownName`](crate::Received::DownName) when that process
    /// ends. Its name is that of the process; the reference tells monitors of several nodes apart.
    ///
    /// If no process holds the name, the reason is [`NoProc`](crate::ExitReason::NoProc). If the
    /// connection is lost, or there is none and none can be made, it is
    /// [`NoConnection`](crate::ExitReason::NoConnection). Otherwise as
    /// [`Runtime::monitor_name`]. OTP: `monitor(process, {Name, Node})`. [`RemoteName`] has an
    /// example.
    pub fn monitor(&self, watcher: Pid) -> MonitorRef {
        let kernel = &self.runtime.kernel;
        let nodes = Nodes::of(kernel);
        match self.parsed() {
            Some(node) if nodes.is_own(node) => kernel.monitor_name(watcher, self.name.clone()),
            _ => kernel.monitor_at_node(watcher, self.node.clone(), self.name.clone()),
        }
    }

    pub(crate) fn parsed(&self) -> Option<&NodeName> {
        self.parsed.as_ref()
    }
}
