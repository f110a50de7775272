//! Which process waits for which, as chains of calls.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fields::Fields;

/// The maximum number of chains.
const CHAINS: usize = 50;

/// The maximum number of processes in a chain.
const LENGTH: usize = 64;

/// The processes that wait for each other, as the last sample lists them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waits {
    /// Whether the program detects deadlocks. Only such a program lists which process waits for
    /// which.
    pub(crate) are_known: bool,
    pub(crate) left_out: u64,
    /// Each caller with the processes that it waits for.
    calls: BTreeMap<u64, BTreeSet<u64>>,
    paths: BTreeMap<u64, String>,
}

/// Processes, each of which waits for the next. In a cycle, the last pid repeats an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) pids: Vec<u64>,
    pub(crate) is_cycle: bool,
}

impl Waits {
    pub(crate) fn read(sample: Fields) -> Self {
        let mut waits = Waits {
            are_known: sample.is("waits_known"),
            left_out: sample.number("waits_left_out").unwrap_or(0),
            ..Waits::default()
        };
        for wait in sample.list("waits") {
            let (Some(caller), Some(server)) = (wait.number("caller"), wait.number("server"))
            else {
                continue;
            };
            waits.calls.entry(caller).or_default().insert(server);
            for (pid, path) in [(caller, "caller_path"), (server, "server_path")] {
                waits.paths.extend(wait.some_text(path).map(|path| (pid, path)));
            }
        }
        waits
    }

    pub(crate) fn path(&self, pid: u64) -> Option<&str> {
        self.paths.get(&pid).map(String::as_str)
    }

    /// Returns the chains, cycles first, then the longest.
    pub(crate) fn chains(&self) -> Vec<Chain> {
        let servers: BTreeSet<u64> = self.calls.values().flatten().copied().collect();
        let (mut chains, mut visited) = (Vec::new(), BTreeSet::new());
        for caller in self.calls.keys().filter(|caller| !servers.contains(caller)) {
            self.follow(*caller, &mut chains, &mut visited);
        }
        // The callers that no chain has reached are in cycles.
        for caller in self.calls.keys() {
            if !visited.contains(caller) {
                self.follow(*caller, &mut chains, &mut visited);
            }
        }
        chains.sort_by_key(|chain| (!chain.is_cycle, usize::MAX - chain.pids.len()));
        chains
    }

    /// Adds the chains that begin with this caller.
    fn follow(&self, caller: u64, chains: &mut Vec<Chain>, visited: &mut BTreeSet<u64>) {
        let mut open = vec![vec![caller]];
        while let Some(pids) = open.pop().filter(|_| chains.len() < CHAINS) {
            let Some(last) = pids.last().copied() else { continue };
            visited.insert(last);
            let Some(next) = self.calls.get(&last).filter(|_| pids.len() < LENGTH) else {
                chains.push(Chain { pids, is_cycle: false });
                continue;
            };
            for server in next.iter().rev() {
                let is_cycle = pids.contains(server);
                let pids = pids.iter().copied().chain([*server]).collect();
                match is_cycle {
                    true => chains.push(Chain { pids, is_cycle }),
                    false => open.push(pids),
                }
            }
        }
    }
}
