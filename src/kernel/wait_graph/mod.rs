//! The wait graph: edges between processes that wait for each other.
//!
//! **Guarantee.** While the graph is on, a call that would close a cycle is refused at once, since
//! all processes in the cycle would wait for ever. The graph is off by default; then a call only
//! reads one flag.
//!
//! | waiting process | waits for | until | refused if it closes a cycle |
//! |---|---|---|---|
//! | the process that calls, casts with a wait, stops or inspects a server | that server | it has the answer | yes |
//! | the process that starts a server; a supervisor that starts one child at a time | the new process | the `init` of that process has finished | no: a new process does not wait yet |
//! | a supervisor with a child that has time to be ready | that child | the child reports that it serves | no: there is no call to refuse |
//! | a supervisor that handles nothing while a child stops | that child | the child has ended | no: there is no call to refuse |
//!
//! The steps of a call:
//!
//! 1. Add the edge from the caller to the server.
//! 2. Follow the edges from the server, each at most once, until one leads to the caller or none is
//!    left. The lock is released after every [`STEPS_PER_LOCK`] steps, so that a search of many
//!    edges does not delay the calls of other processes.
//! 3. If an edge leads to the caller, a cycle is found. Remove the edges of the cycle whose answer
//!    has been sent. If there were any, search again.
//! 4. Otherwise check, under one lock, that all edges of the cycle exist at the same time. If they
//!    do, remove the edge of step 1 and refuse the call. If they do not, search again under that
//!    lock.
//!
//! Invariants:
//! 1. The edge is added before the search. The edges of a true cycle do not change, since no
//!    process in it can continue. So the caller that adds the last edge of a cycle finds the whole
//!    cycle.
//! 2. A cycle is checked, and the edge of the refused call is removed, under the same lock. So if
//!    two callers close one cycle together, only one of them is refused.
//! 3. An edge ends with the event that it waits for, not when the waiting process notices that
//!    event: [`Waits::reached`] removes the edges to a process that has finished its `init` or is
//!    ready, and an edge that waits for an answer has a function that tells whether the answer is
//!    still due ([`WaitEdge::end_with`]). So a new process may call its supervisor, and a server
//!    its caller, right after the event.

mod search;
mod list;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::sync::PlainMutex;
use crate::kernel::call_switches::CallSwitches;
use crate::kernel::wait_graph::search::{Progress, Search};

/// For each pair of processes, the number of waits of the first for the second that are in
/// progress.
type EdgeCounts = BTreeMap<(Pid, Pid), u32>;

/// The event that ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// The answer, or the end of the process.
    Answer,
    /// The `init` of the process has finished.
    Started,
    /// The process reports that it serves.
    Ready,
}

/// The number of steps that a search takes under one lock. A step follows or leaves an edge.
const STEPS_PER_LOCK: usize = 256;

/// The wait graph of one runtime.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    pub(crate) switches: CallSwitches,
    graph: Arc<Graph>,
}

#[derive(Debug, Default)]
struct Graph(PlainMutex<Edges>);

#[derive(Debug, Default)]
struct Edges {
    counts: EdgeCounts,
    /// The edges that end when the awaited process has started or is ready, sorted by that process.
    until: BTreeMap<(Pid, Until, Pid), u32>,
    /// The edges that end with an answer, by their numbers, and whether the answer is still due.
    due: BTreeMap<(Pid, Pid, u64), IsDue>,
    /// The number that was assigned last.
    number: u64,
}

struct IsDue(Box<dyn Fn() -> bool + Send>);

impl fmt::Debug for IsDue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0().fmt(f)
    }
}

/// An edge of the graph. The edge is removed when this value is dropped.
#[derive(Debug)]
pub(crate) struct WaitEdge {
    graph: Arc<Graph>,
    caller: Pid,
    server: Pid,
    until: Until,
    /// The number of an edge that [ends with an answer](WaitEdge::end_with); otherwise 0.
    number: u64,
}

impl Waits {
    pub(crate) fn detect(&self, on: bool) {
        self.switches.detect_deadlocks(on);
    }

    /// Adds an edge, if the graph is on. An edge that closes a cycle is not kept, and the error is
    /// the cycle: a list of pids that begins and ends with the caller.
    #[inline]
    pub(crate) fn enter(&self, caller: Pid, server: Pid) -> Result<Option<WaitEdge>, Vec<Pid>> {
        if caller == Pid::OUTSIDE || !self.switches.detects_deadlocks() {
            return Ok(None);
        }
        self.graph.add_checked(caller, server).map(Some)
    }

    /// Adds an edge of a wait that is never refused, if the graph is on.
    pub(crate) fn wait(&self, caller: Pid, server: Pid, until: Until) -> Option<WaitEdge> {
        if caller == Pid::OUTSIDE || !self.switches.detects_deadlocks() {
            return None;
        }
        self.graph.0.lock().add(caller, server, until);
        Some(self.graph.edge(caller, server, until))
    }

    /// Removes the edges that wait for this event of a process.
    #[inline]
    pub(crate) fn reached(&self, server: Pid, until: Until) {
        if self.switches.detects_deadlocks() {
            self.graph.0.lock().reached(server, until);
        }
    }
}

impl Edges {
    fn add(&mut self, caller: Pid, server: Pid, until: Until) {
        *self.counts.entry((caller, server)).or_insert(0) += 1;
        if until != Until::Answer {
            *self.until.entry((server, until, caller)).or_insert(0) += 1;
        }
    }

    /// Removes the edge with this number.
    fn remove_numbered(&mut self, caller: Pid, server: Pid, number: u64) {
        // The edge may be gone: a search that finds the answer sent removes the edge.
        if self.due.remove(&(caller, server, number)).is_some() {
            decrement(&mut self.counts, &(caller, server));
        }
    }

    /// Removes the edges of this cycle whose answer has been sent; false if there are none.
    fn remove_answered(&mut self, cycle: &[Pid]) -> bool {
        let before = self.due.len();
        for edge in cycle.windows(2) {
            let (caller, server) = (edge[0], edge[1]);
            let numbered = self.due.range((caller, server, 0)..=(caller, server, u64::MAX));
            let answered =
                numbered.filter(|(_, is_due)| !is_due.0()).map(|((.., number), _)| *number);
            for number in answered.collect::<Vec<_>>() {
                self.remove_numbered(caller, server, number);
            }
        }
        self.due.len() < before
    }

    fn remove(&mut self, caller: Pid, server: Pid, until: Until) {
        // The edge was already removed if the event that it waits for has happened.
        if until == Until::Answer || decrement(&mut self.until, &(server, until, caller)) {
            decrement(&mut self.counts, &(caller, server));
        }
    }

    fn reached(&mut self, server: Pid, until: Until) {
        let from = (server, until, Pid::OUTSIDE);
        while let Some((&(of, what, caller), _)) = self.until.range(from..).next()
            && (of, what) == (server, until)
        {
            self.remove(caller, server, until);
        }
    }
}

/// Subtracts one from the count of a key; false if the key is not there.
fn decrement<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) -> bool {
    let Some(times) = counts.get_mut(key) else { return false };
    *times -= 1;
    if *times == 0 {
        counts.remove(key);
    }
    true
}

impl Graph {
    fn edge(self: &Arc<Self>, caller: Pid, server: Pid, until: Until) -> WaitEdge {
        WaitEdge { graph: self.clone(), caller, server, until, number: 0 }
    }

    fn add_checked(self: &Arc<Self>, caller: Pid, server: Pid) -> Result<WaitEdge, Vec<Pid>> {
        self.0.lock().add(caller, server, Until::Answer);
        let mut search = Search::new(caller, server);
        let mut steps = STEPS_PER_LOCK;
        loop {
            let mut edges = self.0.lock();
            match search.walk(&edges.counts, steps) {
                Progress::Unfinished => {}
                Progress::NoCycle => return Ok(self.edge(caller, server, Until::Answer)),
                Progress::Cycle if edges.remove_answered(&search.cycle()) => {
                    search = Search::new(caller, server);
                }
                Progress::Cycle if search.is_current(&edges.counts) => {
                    edges.remove(caller, server, Until::Answer);
                    return Err(search.cycle());
                }
                // The edges of the cycle did not exist at the same time.
                Progress::Cycle => {
                    search = Search::new(caller, server);
                    steps = usize::MAX;
                }
            }
        }
    }
}

impl WaitEdge {
    /// Makes the edge end when `is_due` returns false, even if the caller has not noticed the
    /// answer yet (invariant 3). Call this before the request is sent.
    pub(crate) fn end_with(&mut self, is_due: impl Fn() -> bool + Send + 'static) {
        let mut edges = self.graph.0.lock();
        edges.number += 1;
        self.number = edges.number;
        edges.due.insert((self.caller, self.server, self.number), IsDue(Box::new(is_due)));
    }
}

impl Drop for WaitEdge {
    fn drop(&mut self) {
        let WaitEdge { caller, server, until, number, .. } = *self;
        let mut edges = self.graph.0.lock();
        match number {
            0 => edges.remove(caller, server, until),
            number => edges.remove_numbered(caller, server, number),
        }
    }
}

#[cfg(test)]
mod tests;
