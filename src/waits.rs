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
//! next one, before that has noticed.
//!
//! **How a circle is found.** The edge is added, and then the edges are followed from its end, each
//! once, until they lead back to its beginning or nowhere. The lock is released after every
//! [`STEPS`] steps, so that no search holds up the calls of others, however many edges there are.
//! The edges may change meanwhile, but not those of a circle: none of the processes in it goes on
//! by itself. So the last of its callers finds all of it. A circle that was found is looked at
//! again under the lock under which its edge is taken back: of two callers that close one circle
//! together, one is refused.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pid::Pid;

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
}

/// One process waits for another while this lives.
#[derive(Debug)]
pub(crate) struct WaitEdge {
    graph: Arc<Graph>,
    caller: Pid,
    server: Pid,
    until: Until,
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
        WaitEdge { graph: self.clone(), caller, server, until }
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

impl Drop for WaitEdge {
    fn drop(&mut self) {
        self.graph.lock().remove(self.caller, self.server, self.until);
    }
}

/// A search for a way back, depth first. It visits no process twice.
struct Search {
    home: Pid,
    /// The way to where it is, and of each process on it the last edge that it has followed.
    path: Vec<(Pid, Option<Pid>)>,
    seen: HashSet<Pid, foldhash::fast::RandomState>,
}

/// How far a search has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    Unfinished,
    NoCircle,
    /// The path leads home.
    Circle,
}

impl Search {
    fn new(home: Pid, from: Pid) -> Self {
        Search { home, path: vec![(from, None)], seen: HashSet::from_iter([from]) }
    }

    /// Goes on, by no more than so many steps.
    fn walk(&mut self, edges: &Edges, steps: usize) -> Walk {
        for _ in 0..steps {
            let Some((at, followed)) = self.path.last_mut() else { return Walk::NoCircle };
            let after = followed.map_or(Included((*at, Pid::OUTSIDE)), |pid| Excluded((*at, pid)));
            let next = edges.range((after, Unbounded)).next().map(|(edge, _)| *edge);
            let Some((_, next)) = next.filter(|(caller, _)| caller == at) else {
                self.path.pop();
                continue;
            };
            *followed = Some(next);
            if next == self.home {
                return Walk::Circle;
            }
            if self.seen.insert(next) {
                self.path.push((next, None));
            }
        }
        Walk::Unfinished
    }

    /// Whether all edges of the way that was found are there at once.
    fn is_still_there(&self, edges: &Edges) -> bool {
        self.circle().windows(2).all(|edge| edges.contains_key(&(edge[0], edge[1])))
    }

    /// From home along the path, and home.
    fn circle(&self) -> Vec<Pid> {
        let path = self.path.iter().map(|(pid, _)| *pid);
        [self.home].into_iter().chain(path).chain([self.home]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Search, Until, WaitEdge, Waits, Walk};
    use crate::pid::Pid;
    use std::sync::Barrier;
    use std::thread::scope;

    fn pid(number: u64) -> Pid {
        Pid::from_raw(number)
    }

    fn detecting() -> Waits {
        let waits = Waits::default();
        waits.detect(true);
        waits
    }

    /// How many steps it takes to see where the edges lead from here.
    fn steps(waits: &Waits, home: Pid, from: Pid) -> usize {
        let (mut search, known) = (Search::new(home, from), waits.graph.lock());
        (1..).find(|_| search.walk(&known.edges, 1) != Walk::Unfinished).expect("it comes to an end")
    }

    #[test]
    fn a_circle_is_named_and_others_are_left_alone() {
        let waits = detecting();
        let [a, b, c, d] = [1, 2, 3, 4].map(pid);
        let ab = waits.enter(a, b).unwrap();
        let _bd = waits.enter(b, d).unwrap();
        let _bc = waits.enter(b, c).unwrap();
        assert_eq!(waits.enter(c, a).unwrap_err(), [c, a, b, c]);
        drop(ab);
        assert!(waits.enter(c, a).is_ok());
        assert!(waits.enter(Pid::OUTSIDE, a).unwrap().is_none());
    }

    /// Each of a layer waits for both of the next: there are 2^24 ways, and 96 edges.
    #[test]
    fn converging_waits_are_followed_once_each() {
        let waits = detecting();
        let mut edges: Vec<WaitEdge> = Vec::new();
        for layer in 0..24 {
            for (from, to) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
                let (from, to) = (pid(10 + 2 * layer + from), pid(10 + 2 * layer + to));
                edges.extend(waits.enter(from, to).unwrap());
            }
        }
        // Each edge is followed once, and each process is left once.
        let most = edges.len() + 2 * 25 + 1;
        let taken = steps(&waits, pid(1), pid(10));
        assert!(taken <= most, "{taken} steps, {most} would do");
        assert!(waits.enter(pid(1), pid(10)).unwrap().is_some());
        assert_eq!(waits.enter(pid(10 + 48), pid(10)).unwrap_err().len(), 26);
    }

    /// Longer than what is followed under one lock, and with a process that waits for many.
    #[test]
    fn a_long_circle_and_a_wide_one_are_found() {
        let waits = detecting();
        let chain = |n: u64| waits.enter(pid(n), pid(n + 1)).unwrap();
        let _chain: Vec<_> = (1..5_000).map(chain).collect();
        let asks = |n: u64| waits.enter(pid(5_000), pid(10_000 + n)).unwrap();
        let _many: Vec<_> = (0..5_000).map(asks).collect();
        assert_eq!(waits.enter(pid(5_000), pid(1)).unwrap_err().len(), 5_001);
        let _back = waits.enter(pid(14_999), pid(20_000)).unwrap();
        assert_eq!(waits.enter(pid(20_000), pid(4_999)).unwrap_err().len(), 5);
        assert!(waits.enter(pid(30_000), pid(1)).unwrap().is_some());
    }

    /// One that waits twice for the same, and is done with one of them, still waits.
    #[test]
    fn each_wait_counts() {
        let waits = detecting();
        let once = waits.enter(pid(1), pid(2));
        let twice = waits.wait(pid(1), pid(2), Until::Answer);
        drop(once);
        assert!(waits.enter(pid(2), pid(1)).is_err());
        drop(twice);
        assert!(waits.enter(pid(2), pid(1)).is_ok());
        assert!(waits.graph.lock().edges.is_empty());
    }

    /// Whether its waiter has noticed or not.
    #[test]
    fn what_a_process_says_ends_the_waits_for_just_that() {
        let waits = detecting();
        let wait = |caller, until| waits.wait(pid(caller), pid(9), until);
        let _all = [wait(1, Until::Started), wait(1, Until::Ready), wait(2, Until::Started)];
        let _other = waits.wait(pid(1), pid(8), Until::Started);
        waits.reached(pid(9), Until::Started);
        assert!(waits.enter(pid(9), pid(2)).is_ok());
        assert!(waits.enter(pid(9), pid(1)).is_err());
        waits.reached(pid(9), Until::Ready);
        assert!(waits.enter(pid(9), pid(1)).is_ok());
        assert!(waits.enter(pid(8), pid(1)).is_err());
        drop((_all, _other));
        let known = waits.graph.lock();
        assert!(known.edges.is_empty() && known.until.is_empty());
    }

    #[test]
    fn of_those_that_close_a_circle_together_one_is_refused() {
        for _ in 0..500 {
            let (waits, all) = (detecting(), Barrier::new(4));
            let (waits, all) = (&waits, &all);
            let refused = scope(|scope| {
                let enters = |n: u64| {
                    scope.spawn(move || {
                        all.wait();
                        let edge = waits.enter(pid(1 + n), pid(1 + (n + 1) % 4));
                        all.wait();
                        edge.is_err()
                    })
                };
                let threads = [0, 1, 2, 3].map(enters);
                threads.map(|thread| thread.join().expect("it only adds an edge"))
            });
            assert_eq!(refused.into_iter().filter(|refused| *refused).count(), 1);
        }
    }
}
