//! The table of the processes of a runtime, by pid.
//!
//! Pids are handed out in increasing order and are never reused, so the table needs no hash of a pid.
//! Pids that follow each other are in different shards. A shard stores its pids in pages of 64. So a
//! new process is usually stored next to the process that was added to the shard before it, in memory
//! that was written recently.
//!
//! Invariant: the number of entries of a shard and its numbers of insertions and removals change
//! together, under the lock of the shard.

use crate::base::padded::Padded;
use crate::base::pid::Pid;
use crate::base::sync::RwLock;
use crate::base::sync::page::SLOTS;
use crate::base::sync::pages::{At, Pages};
use crate::base::sync::table::{hasher, shard_count};

/// Up to this number of pids are looked up one by one, without a list of them by shard.
const FEW: usize = 8;

/// A concurrent map from pids. No reference to a value outlives the lock of its shard: reads return
/// clones, or run a closure under the lock.
///
/// The lock of a shard is fair: a waiting writer gets the lock before readers that arrive later, so
/// reads that begin later do not delay the writer.
pub(crate) struct PidTable<V> {
    /// The number of bits of a pid that select its shard.
    bits: u32,
    pub(super) shards: Box<[Padded<RwLock<Pages<V>>>]>,
}

impl<V> Default for PidTable<V> {
    fn default() -> Self {
        let count = shard_count();
        let hasher = hasher();
        let shard = |_| Padded(RwLock::new(Pages::new(hasher.clone())));
        PidTable { bits: count.trailing_zeros(), shards: (0..count).map(shard).collect() }
    }
}

/// Returns a hash of `above`, the bits of a pid above the lowest ones. The hash spreads pids that are
/// equal modulo the number of shards, which a program may use more than others: without it, all of them
/// would be in one shard.
///
/// Under a model checker nothing is mixed in: the first and the third process are in the same shard, and
/// the second process is in the other shard.
#[inline]
fn mixed(above: u64) -> usize {
    if cfg!(any(regrow_loom, regrow_shuttle)) {
        return 0;
    }
    (above.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
}

impl<V> PidTable<V> {
    /// Returns the place of a pid. The lowest bits, mixed with the bits above, select the shard. Pids
    /// that differ only in the lowest bits have the same page and slot in different shards.
    #[inline]
    pub(super) fn at(&self, pid: Pid) -> At {
        let above = pid.raw() >> self.bits;
        let shard = (pid.raw() as usize ^ mixed(above)) & (self.shards.len() - 1);
        At { shard, page: above / SLOTS, slot: (above % SLOTS) as u32 }
    }

    /// Returns the pid at this place.
    fn pid(&self, at: At) -> Pid {
        let above = at.page * SLOTS + u64::from(at.slot);
        let lowest = (at.shard ^ mixed(above)) & (self.shards.len() - 1);
        Pid::from_raw(above << self.bits | lowest as u64)
    }

    /// Adds the entry.
    pub(crate) fn insert(&self, pid: Pid, value: V) {
        let at = self.at(pid);
        let mut shard = self.shards[at.shard].write();
        let before = shard.insert(at, value);
        drop(shard);
        drop(before);
    }

    #[inline]
    pub(crate) fn get(&self, pid: Pid) -> Option<V>
    where
        V: Clone,
    {
        let at = self.at(pid);
        self.shards[at.shard].read().get(at).cloned()
    }

    /// Runs a closure on the value of a pid, under the lock.
    #[inline]
    pub(crate) fn read<R>(&self, pid: Pid, read: impl FnOnce(&V) -> R) -> Option<R> {
        let at = self.at(pid);
        self.shards[at.shard].read().get(at).map(read)
    }

    pub(crate) fn contains(&self, pid: Pid) -> bool {
        let at = self.at(pid);
        self.shards[at.shard].read().get(at).is_some()
    }

    /// Returns the values of many pids, in their order. A shard is locked once for all its pids, and a
    /// shard without one is not locked. In each shard, all pids are looked up first; then `touch`
    /// reads each value; then the values are cloned. The processor can load the memory of many
    /// entries at the same time for the reads of `touch`, but not for clones of `Arc`s, each of which
    /// waits for the one before.
    pub(crate) fn get_all(&self, pids: &[Pid], touch: impl Fn(&V) -> bool) -> Vec<Option<V>>
    where
        V: Clone,
    {
        if pids.len() <= FEW {
            return pids.iter().map(|pid| self.get(*pid)).collect();
        }
        let places = pids.iter().enumerate().map(|(index, pid)| (self.at(*pid), index));
        let mut order: Vec<(At, usize)> = places.collect();
        order.sort_unstable();
        let mut values: Vec<Option<V>> = vec![None; pids.len()];
        for here in order.chunk_by(|(one, _), (other, _)| one.shard == other.shard) {
            let shard = self.shards[here[0].0.shard].read();
            let found = here.iter().filter_map(|(at, index)| Some((*index, shard.get(*at)?)));
            let found: Vec<(usize, &V)> = found.collect();
            std::hint::black_box(found.iter().filter(|(_, value)| touch(value)).count());
            found.into_iter().for_each(|(index, value)| values[index] = Some(value.clone()));
        }
        values
    }

    /// If the pid has an entry, removes the entry, and runs `also` under the same lock.
    pub(crate) fn remove_and(&self, pid: Pid, also: impl FnOnce()) -> Option<V> {
        let at = self.at(pid);
        let mut shard = self.shards[at.shard].write();
        let removed = shard.remove(at);
        if removed.is_some() {
            also();
        }
        removed
    }

    /// Returns all pids, in no particular order. Locks one shard at a time.
    pub(crate) fn pids(&self) -> Vec<Pid> {
        let mut pids = Vec::new();
        for (index, shard) in self.shards.iter().enumerate() {
            let at = |(page, slot, _)| self.pid(At { shard: index, page, slot });
            pids.extend(shard.read().iter().map(at));
        }
        pids
    }

    /// Returns all values, in no particular order. Locks one shard at a time.
    pub(crate) fn values(&self) -> Vec<V>
    where
        V: Clone,
    {
        let mut values = Vec::new();
        for shard in &self.shards {
            values.extend(shard.read().iter().map(|(_, _, value)| value.clone()));
        }
        values
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len).sum()
    }

    /// The number of entries that were ever added. Each shard counts its own: all processors would
    /// contend for the cache line of a counter of the whole table.
    pub(crate) fn inserted(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().inserted).sum()
    }

    /// The number of entries that were removed.
    pub(crate) fn removed(&self) -> u64 {
        let removed = |pages: &Pages<V>| pages.inserted - pages.len as u64;
        self.shards.iter().map(|shard| removed(&shard.read())).sum()
    }
}
