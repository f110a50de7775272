//! The processes that wait for each other.

use crate::base::{Pid, SharedStr};
use crate::kernel::Kernel;
use crate::observation::included::View;
use crate::runtime::Runtime;

/// The number of waits that are listed.
const LISTED: usize = 256;

/// The processes that wait for each other at one moment. [`Runtime::wait_graph`] returns it, and has
/// an example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WaitGraph {
    /// Whether the waits are known: [`detect_deadlocks`](crate::Runtime::detect_deadlocks) is on.
    pub is_known: bool,
    /// The waits, sorted by the pids of the waiting processes: 256 at most.
    pub waits: Vec<Wait>,
    /// How many waits of the runtime are not listed, because there are too many.
    pub left_out: usize,
}

/// A process that waits for another one, in a [`WaitGraph`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// The process that waits.
    pub caller: Pid,
    /// The path of that process, if it is a supervisor or a child.
    pub caller_path: Option<SharedStr>,
    /// The process that it waits for.
    pub server: Pid,
    /// The path of that process, if it is a supervisor or a child.
    pub server_path: Option<SharedStr>,
}

impl Runtime {
    /// Returns which process waits for which at this moment, if
    /// [`detect_deadlocks`](Runtime::detect_deadlocks) is on. It only reads, and waits for nothing.
    ///
    /// These waits are listed, from the moment on at which the detection was turned on:
    ///
    /// * the process that calls, casts with a wait, stops or inspects a server, until its answer is
    ///   sent;
    /// * the process that starts a server, and a supervisor that starts one child at a time, until
    ///   the `init` of the new process has finished;
    /// * a supervisor of a declared list that waits until a child is ready, or has ended;
    /// * a dynamic supervisor that stops all its children, for each of them.
    ///
    /// A call from outside of a process is not listed. A call that would close a cycle is refused,
    /// so the list has no cycle of calls alone. OTP has no counterpart.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, ServerContext};
    /// use regrow::Runtime;
    /// # struct Silent(Vec<Reply<()>>);
    /// # impl GenServer for Silent {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = ();
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Silent(Vec::new()))
    /// #     }
    /// #     async fn handle_call(&mut self, call: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         self.0.push(call);
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.detect_deadlocks(true);
    /// let silent = Silent::start(&rt, ()).await?; // it keeps each call unanswered
    /// let server = silent.pid().unwrap();
    /// let caller = rt.spawn(move |_| async move { drop(silent.call(|reply| reply).await) }).pid();
    /// tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    /// let graph = rt.wait_graph();
    /// assert_eq!((graph.waits[0].caller, graph.waits[0].server), (caller, server));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn wait_graph(&self) -> WaitGraph {
        wait_graph(&self.kernel, |_| true)
    }
}

/// Returns the waits between processes of which at least one is in what this view shows.
pub(super) fn waits_in(kernel: &Kernel, view: &View) -> WaitGraph {
    if view.shows_all() {
        return wait_graph(kernel, |_| true);
    }
    let is_shown = |pid: &Pid| {
        let process = kernel.find(*pid)?;
        let (root, path) = kernel.place_in_tree(&*process)?;
        (view.shows_tree(root) && view.shows(&path)).then_some(())
    };
    wait_graph(kernel, |wait| wait.iter().any(|pid| is_shown(pid).is_some()))
}

fn wait_graph(kernel: &Kernel, is_shown: impl Fn(&[Pid; 2]) -> bool) -> WaitGraph {
    let Some(list) = kernel.waits.list() else { return WaitGraph::default() };
    let path = |pid| Some(kernel.path_of(&*kernel.find(pid)?)?.0);
    // Filtered before the limit, so that the waits of other trees take no place.
    let shown = list.waits.into_iter().filter(|(caller, server)| is_shown(&[*caller, *server]));
    let mut shown: Vec<(Pid, Pid)> = shown.collect();
    let left_out = list.left_out + shown.len().saturating_sub(LISTED);
    shown.truncate(LISTED);
    let wait = |(caller, server)| {
        let (caller_path, server_path) = (path(caller), path(server));
        Wait { caller, caller_path, server, server_path }
    };
    WaitGraph { is_known: true, waits: shown.into_iter().map(wait).collect(), left_out }
}
