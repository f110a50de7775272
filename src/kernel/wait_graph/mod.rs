//! Who waits for whom: edges between processes that wait for each other.
//!
//! Off by default, and then a call reads one flag. When it is on, a call whose edge would close
//! a circle is refused at once: all in it would wait for ever.
//!
//! | who waits | for | until | refused where it closes a circle |
//! |---|---|---|---|
//! | the process that calls, casts with a wait, stops or inspects a server | that server | it has the answer | yes |
//! | the process that starts a server; a supervisor that starts one child at a time | the new process | the `init` of that is over | no: a new process waits for nobody |
//! | a supervisor with a child that has time to be ready | that child | the child says that it serves | no: it has no caller to refuse |
//! | a supervisor that handles nothing while a child stops | that child | the child has ended | no: likewise |
//!
//! What a new process says ends the wait in the process' own step: it may ask its supervisor in the
//! next one, before that has noticed. So may a server ask a caller that it has answered: an edge
//! knows whether its answer is due, and is looked at where it is part of a circle.
//!
//! **How a circle is found.** The edge is added, and then the edges are followed from its end, each
//! once, until they lead back to its beginning or nowhere. The lock is released after every
//! [`STEPS`] steps, so that no search holds up the calls of others, however many edges there are.
//! The edges may change meanwhile, but not those of a circle: none of the processes in it goes on
//! by itself. So the last of its callers finds all of it. A circle that was found is looked at
//! again under the lock under which its edge is taken back: of two callers that close one circle
//! together, one is refused.

mod search;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::pid::Pid;
use crate::kernel::wait_graph::search::{Search, Walk};

/// How many times each process waits for each other one at once.
type Edges = BTreeMap<(Pid, Pid), u32>;

/// What a process that waits waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// An answer, or the end.
    Answer,
    /// The `init` is over.
    Started,
    /// The process says that it serves.
    Ready,
}

/// So many edges are followed under one lock.
const STEPS: usize = 256;

/// The edges of one runtime.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    on: AtomicBool,
    graph: Arc<Graph>,
}

#[derive(Debug, Default)]
struct Graph(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    edges: Edges,
    /// Those edges that end when the process that is waited for says so; that one first.
    until: BTreeMap<(Pid, Until, Pid), u32>,
    /// Those edges that end with an answer, by their numbers, and what says whether it is due.
    due: BTreeMap<(Pid, Pid, u64), IsDue>,
    /// The last of these numbers.
    number: u64,
}

struct IsDue(Box<dyn Fn() -> bool + Send>);

impl fmt::Debug for IsDue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0().fmt(f)
    }
}

/// One process waits for another while this lives.
#[derive(Debug)]
pub(crate) struct WaitEdge {
    graph: Arc<Graph>,
    caller: Pid,
    server: Pid,
    until: Until,
    /// Its number, where it [ends with an answer](WaitEdge::end_with); else 0.
    number: u64,
}

impl Waits {
    pub(crate) fn detect(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    /// Adds an edge, if they are kept. An edge that closes a circle is not added, and the
    /// circle is returned: from the caller round to the caller.
    #[inline]
    pub(crate) fn enter(&self, caller: Pid, server: Pid) -> Result<Option<WaitEdge>, Vec<Pid>> {
        if caller == Pid::OUTSIDE || !self.on.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.graph.note(caller, server).map(Some)
    }

    /// Adds an edge of a process that waits in any case, if they are kept.
    pub(crate) fn wait(&self, caller: Pid, server: Pid, until: Until) -> Option<WaitEdge> {
        if caller == Pid::OUTSIDE || !self.on.load(Ordering::Relaxed) {
            return None;
        }
        self.graph.lock().add(caller, server, until);
        Some(self.graph.edge(caller, server, until))
    }

    /// The process has come so far: nobody waits for that any more.
    #[inline]
    pub(crate) fn reached(&self, server: Pid, until: Until) {
        if self.on.load(Ordering::Relaxed) {
            self.graph.lock().reached(server, until);
        }
    }
}

impl Known {
    fn add(&mut self, caller: Pid, server: Pid, until: Until) {
        *self.edges.entry((caller, server)).or_insert(0) += 1;
        if until != Until::Answer {
            *self.until.entry((server, until, caller)).or_insert(0) += 1;
        }
    }

    /// Takes back an edge with this number.
    fn end(&mut self, caller: Pid, server: Pid, number: u64) {
        // Gone already, if a search has seen the answer.
        if self.due.remove(&(caller, server, number)).is_some() {
            take(&mut self.edges, &(caller, server));
        }
    }

    /// Takes back the edges of this circle whose answer has been sent; false if there are none.
    fn end_answered(&mut self, circle: &[Pid]) -> bool {
        let before = self.due.len();
        for edge in circle.windows(2) {
            let (caller, server) = (edge[0], edge[1]);
            let all = self.due.range((caller, server, 0)..=(caller, server, u64::MAX));
            let answered = all.filter(|(_, is_due)| !is_due.0()).map(|((.., number), _)| *number);
            for number in answered.collect::<Vec<_>>() {
                self.end(caller, server, number);
            }
        }
        self.due.len() < before
    }

    fn remove(&mut self, caller: Pid, server: Pid, until: Until) {
        // Gone with what the server said, if that was what it waited for.
        if until == Until::Answer || take(&mut self.until, &(server, until, caller)) {
            take(&mut self.edges, &(caller, server));
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

/// Takes one away; false if there is none.
fn take<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) -> bool {
    let Some(times) = counts.get_mut(key) else { return false };
    *times -= 1;
    if *times == 0 {
        counts.remove(key);
    }
    true
}

impl Graph {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn edge(self: &Arc<Self>, caller: Pid, server: Pid, until: Until) -> WaitEdge {
        WaitEdge { graph: self.clone(), caller, server, until, number: 0 }
    }

    fn note(self: &Arc<Self>, caller: Pid, server: Pid) -> Result<WaitEdge, Vec<Pid>> {
        self.lock().add(caller, server, Until::Answer);
        let mut search = Search::new(caller, server);
        let mut steps = STEPS;
        loop {
            let mut known = self.lock();
            match search.walk(&known.edges, steps) {
                Walk::Unfinished => {}
                Walk::NoCircle => return Ok(self.edge(caller, server, Until::Answer)),
                Walk::Circle if known.end_answered(&search.circle()) => {
                    search = Search::new(caller, server);
                }
                Walk::Circle if search.is_still_there(&known.edges) => {
                    known.remove(caller, server, Until::Answer);
                    return Err(search.circle());
                }
                // Found in parts that were not there at once: looked for under one lock.
                Walk::Circle => {
                    search = Search::new(caller, server);
                    steps = usize::MAX;
                }
            }
        }
    }
}

impl WaitEdge {
    /// It ends when this says that no answer is due any more, though the caller may not have
    /// noticed: the server that has answered may ask its caller in the same step. To be called
    /// before the question is asked.
    pub(crate) fn end_with(&mut self, is_due: impl Fn() -> bool + Send + 'static) {
        let mut known = self.graph.lock();
        known.number += 1;
        self.number = known.number;
        known.due.insert((self.caller, self.server, self.number), IsDue(Box::new(is_due)));
    }
}

impl Drop for WaitEdge {
    fn drop(&mut self) {
        let WaitEdge { caller, server, until, number, .. } = *self;
        let mut known = self.graph.lock();
        match number {
            0 => known.remove(caller, server, until),
            number => known.end(caller, server, number),
        }
    }
}

#[cfg(test)]
mod tests;
