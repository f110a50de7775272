//! Who waits for whom: edges between servers that call each other.
//!
//! Off by default, and then a call reads one flag. When it is on, a call whose edge
//! would close a circle is refused at once: all in it would wait for ever.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::pid::Pid;

type Edges = HashMap<Pid, Vec<Pid>, foldhash::fast::RandomState>;

/// The edges of one runtime.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    on: AtomicBool,
    edges: Mutex<Edges>,
}

/// One process waits for another while this lives.
#[derive(Debug)]
pub(crate) struct WaitEdge<'a> {
    waits: &'a Waits,
    caller: Pid,
    server: Pid,
}

impl Waits {
    pub(crate) fn detect(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    /// Adds an edge, if they are kept. An edge that closes a circle is not added, and the
    /// circle is returned: from the caller round to the caller.
    #[inline]
    pub(crate) fn enter(&self, caller: Pid, server: Pid) -> Result<Option<WaitEdge<'_>>, Vec<Pid>> {
        if caller == Pid::OUTSIDE || !self.on.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.note(caller, server).map(Some)
    }

    fn note(&self, caller: Pid, server: Pid) -> Result<WaitEdge<'_>, Vec<Pid>> {
        let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        let mut path = vec![caller, server];
        if leads_to(&edges, caller, &mut path) {
            return Err(path);
        }
        edges.entry(caller).or_default().push(server);
        Ok(WaitEdge { waits: self, caller, server })
    }
}

/// Follows the edges from the end of the path; true if it comes back to `home`, and then
/// the path is the way.
fn leads_to(edges: &Edges, home: Pid, path: &mut Vec<Pid>) -> bool {
    let Some(next) = path.last().and_then(|at| edges.get(at)) else { return false };
    for &pid in next {
        let seen = path[1..].contains(&pid);
        path.push(pid);
        if pid == home || (!seen && leads_to(edges, home, path)) {
            return true;
        }
        path.pop();
    }
    false
}

impl Drop for WaitEdge<'_> {
    fn drop(&mut self) {
        let mut edges = self.waits.edges.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(servers) = edges.get_mut(&self.caller) else { return };
        if let Some(at) = servers.iter().position(|server| *server == self.server) {
            servers.swap_remove(at);
        }
        if servers.is_empty() {
            edges.remove(&self.caller);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Waits;
    use crate::pid::Pid;

    #[test]
    fn a_circle_is_named_and_others_are_left_alone() {
        let waits = Waits::default();
        waits.detect(true);
        let [a, b, c, d] = [1, 2, 3, 4].map(Pid::from_raw);
        let ab = waits.enter(a, b).unwrap();
        let _bd = waits.enter(b, d).unwrap();
        let _bc = waits.enter(b, c).unwrap();
        assert_eq!(waits.enter(c, a).unwrap_err(), [c, a, b, c]);
        drop(ab);
        assert!(waits.enter(c, a).is_ok());
        assert!(waits.enter(Pid::OUTSIDE, a).unwrap().is_none());
    }
}
