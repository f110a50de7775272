//! The timers of some of the targets, under one lock.
//!
//! **Invariants**
//! 1. A timer is *pending* exactly while an entry has its number and the target has not ended. Both
//!    change under the lock, so exactly one of these happens to a timer: it is fired, disarmed or
//!    dropped.
//! 2. An entry in use is in one bucket of the wheel, except for an interval that is due: it waits
//!    in `intervals` until all timers of the round are taken. So no interval is taken twice in a
//!    round.
//! 3. The timers of a target that has ended are freed in slices. Until then they use memory, but are
//!    not pending.
//! 4. No plan is dropped under the lock, since its destructor may be a user's.

use crate::base::pid::Pid;
use crate::time::timer_queue::clock::NEVER;
use crate::time::timer_queue::entries::{Entries, Entry, Links};
use crate::time::timer_queue::targets::Targets;
use crate::time::timer_queue::timer::{DueTimer, Plan, TimerKey};
use crate::time::timer_queue::wheel::{NO_BUCKET, Popped, Wheel};

/// The most timers that are freed or moved in one go: some ten microseconds of work.
pub(super) const SLICE: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Shard {
    entries: Entries,
    wheel: Wheel,
    targets: Targets,
    /// The targets that have ended and still have timers (invariant 3).
    ended: Vec<u32>,
    /// The intervals that are armed again at the end of this round, with their numbers (invariant 2).
    intervals: Vec<(u32, u64)>,
    pending: usize,
    closed: bool,
}

impl Shard {
    /// The number of pending timers.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// Whether there is no timer, pending or not.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// Adds a timer, and returns the index of its entry. Returns the plan if the shard is closed.
    #[inline]
    pub(super) fn insert(
        &mut self,
        (target, id): (Pid, u64),
        (now, due): (u64, u64),
        plan: Plan,
    ) -> Result<u32, Plan> {
        if self.closed {
            return Err(plan);
        }
        let index = self.entries.insert(Entry {
            id,
            due,
            in_bucket: Links::NONE,
            of_target: Links::NONE,
            target: 0,
            bucket: NO_BUCKET,
            plan: Some(plan),
        });
        self.targets.link(&mut self.entries, index, target);
        self.wheel.advance(now);
        self.wheel.link(&mut self.entries, index);
        self.pending += 1;
        Ok(index)
    }

    /// When a pending timer is due.
    pub(super) fn due(&self, key: TimerKey) -> Option<u64> {
        let entry = self.entries.find(key.entry, key.id)?;
        (!self.targets.get(entry.target).has_ended).then_some(entry.due)
    }

    /// Removes a pending timer.
    #[inline]
    pub(super) fn remove(&mut self, key: TimerKey) -> Option<Plan> {
        self.due(key)?;
        self.wheel.unlink(&mut self.entries, key.entry);
        self.pending -= 1;
        self.forget(key.entry)
    }

    /// Frees the entry of a timer that is in no bucket.
    fn forget(&mut self, index: u32) -> Option<Plan> {
        self.targets.unlink(&mut self.entries, index);
        self.entries.remove(index)
    }

    /// An instant before which no timer is due.
    pub(super) fn earliest(&self) -> u64 {
        self.wheel.earliest()
    }

    /// Takes timers that are due at `now`, in no particular order, and takes at most [`SLICE`] steps.
    /// Returns whether all timers have been taken that were due when the round began.
    pub(super) fn take_due(&mut self, now: u64, due: &mut Vec<DueTimer>) -> bool {
        for _ in 0..SLICE {
            match self.wheel.pop(&mut self.entries, now) {
                Some(Popped::Due(index)) => due.extend(self.take(index)),
                Some(Popped::None) => {}
                None => {
                    self.rearm_intervals();
                    return true;
                }
            }
        }
        false
    }

    /// Takes a timer that is due and in no bucket. An interval stays pending. Returns `None` for a
    /// timer whose target has ended: the timer waits to be freed.
    fn take(&mut self, index: u32) -> Option<DueTimer> {
        let Entry { id, due, target, .. } = *self.entries.get(index);
        let target = self.targets.get(target);
        if target.has_ended {
            return None;
        }
        let key = TimerKey { target: target.pid, id, entry: index };
        let entry = self.entries.get_mut(index);
        let Some(period) = entry.plan.as_ref().and_then(Plan::period) else {
            self.pending -= 1;
            return self.forget(index).map(|plan| DueTimer { key, due, plan });
        };
        entry.due = due.saturating_add(period).min(NEVER - 1);
        let plan = entry.plan.clone();
        self.intervals.push((index, id));
        plan.map(|plan| DueTimer { key, due, plan })
    }

    fn rearm_intervals(&mut self) {
        for (index, id) in std::mem::take(&mut self.intervals) {
            // The interval may have been disarmed, and its entry used again.
            let entry = self.entries.find(index, id);
            if entry.is_some_and(|entry| entry.bucket == NO_BUCKET) {
                self.wheel.link(&mut self.entries, index);
            }
        }
    }

    /// Ends a target: its timers are no longer pending. Returns the plans of its timers if there are
    /// at most [`SLICE`]; otherwise they wait to be freed.
    pub(super) fn end_target(&mut self, target: Pid) -> Vec<Plan> {
        let Some(number) = self.targets.end(target) else { return Vec::new() };
        let count = self.targets.get(number).count;
        self.pending -= count;
        if count > SLICE {
            self.ended.push(number);
            return Vec::new();
        }
        self.free_timers(number, count)
    }

    /// Whether timers of ended targets wait to be freed.
    pub(super) fn has_ended_targets(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Frees a slice of the timers of ended targets.
    pub(super) fn free_slice(&mut self) -> Vec<Plan> {
        let Some(number) = self.ended.last().copied() else { return Vec::new() };
        let count = self.targets.get(number).count;
        if count <= SLICE {
            self.ended.pop();
        }
        self.free_timers(number, count.min(SLICE))
    }

    fn free_timers(&mut self, number: u32, count: usize) -> Vec<Plan> {
        let mut plans = Vec::with_capacity(count);
        for _ in 0..count {
            let index = self.targets.get(number).first;
            self.wheel.unlink(&mut self.entries, index);
            plans.extend(self.forget(index));
        }
        plans
    }

    /// Refuses timers from now on, and returns the plans of all timers.
    pub(super) fn close(&mut self) -> Vec<Plan> {
        let plans = self.entries.take_all();
        *self = Shard { closed: true, ..Shard::default() };
        plans
    }

    /// The number of chunks of entries that have memory.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.entries.allocated()
    }
}
