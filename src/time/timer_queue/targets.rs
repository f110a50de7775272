//! The timers of each target, as lists through the entries: so the end of a target finds its timers,
//! and takes the same time for any number of them.

use hashbrown::HashTable;

use crate::base::pid::Pid;
use crate::time::timer_queue::entries::{Entries, Links};
use crate::time::timer_queue::timer::NONE;

/// The number of targets for which memory is kept when there is none.
const FEW_TARGETS: usize = 1_024;

/// A process that timers are addressed to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) pid: Pid,
    pub(super) first: u32,
    pub(super) count: usize,
    /// The target has ended: its timers are no longer pending.
    pub(super) has_ended: bool,
}

#[derive(Debug, Default)]
pub(super) struct Targets {
    all: Vec<Target>,
    /// The places in `all` that are free.
    free: Vec<u32>,
    /// The places of the targets that have not ended.
    by_pid: HashTable<u32>,
}

/// Pids are assigned one after the other, so their bits need mixing, but no secret.
fn hash(pid: Pid) -> u64 {
    let product = pid.raw().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    product ^ (product >> 32)
}

impl Targets {
    #[inline]
    pub(super) fn get(&self, target: u32) -> &Target {
        &self.all[target as usize]
    }

    /// Adds a timer to those of its target.
    #[inline]
    pub(super) fn link(&mut self, entries: &mut Entries, index: u32, pid: Pid) {
        let number = self.find_or_add(pid);
        let target = &mut self.all[number as usize];
        target.count += 1;
        let next = std::mem::replace(&mut target.first, index);
        if next != NONE {
            entries.get_mut(next).of_target.before = index;
        }
        let entry = entries.get_mut(index);
        entry.of_target = Links { before: NONE, next };
        entry.target = number;
    }

    #[inline]
    fn find_or_add(&mut self, pid: Pid) -> u32 {
        let hashed = hash(pid);
        let is_pid = |number: &u32| self.all[*number as usize].pid == pid;
        match self.by_pid.find(hashed, is_pid) {
            Some(number) => *number,
            None => self.add(pid, hashed),
        }
    }

    fn add(&mut self, pid: Pid, hashed: u64) -> u32 {
        let target = Target { pid, first: NONE, count: 0, has_ended: false };
        let number = match self.free.pop() {
            Some(number) => {
                self.all[number as usize] = target;
                number
            }
            None => {
                self.all.push(target);
                u32::try_from(self.all.len() - 1).unwrap_or(NONE)
            }
        };
        let all = &self.all;
        self.by_pid.insert_unique(hashed, number, |number| hash(all[*number as usize].pid));
        number
    }

    /// Removes a timer from those of its target.
    #[inline]
    pub(super) fn unlink(&mut self, entries: &mut Entries, index: u32) {
        let entry = entries.get(index);
        let (Links { before, next }, number) = (entry.of_target, entry.target);
        if next != NONE {
            entries.get_mut(next).of_target.before = before;
        }
        let target = &mut self.all[number as usize];
        if before == NONE {
            target.first = next;
        } else {
            entries.get_mut(before).of_target.next = next;
        }
        target.count -= 1;
        if target.count == 0 {
            self.remove(number);
        }
    }

    #[inline]
    fn remove(&mut self, number: u32) {
        let Target { pid, has_ended, .. } = self.all[number as usize];
        if !has_ended && let Ok(found) = self.by_pid.find_entry(hash(pid), |held| *held == number) {
            found.remove();
        }
        self.free.push(number);
        if self.free.len() == self.all.len() && self.all.len() > FEW_TARGETS {
            *self = Targets::default();
        }
    }

    /// Marks a target as ended, and returns its place. Its timers stay linked. Returns `None` if the
    /// process has no timers.
    pub(super) fn end(&mut self, pid: Pid) -> Option<u32> {
        let is_pid = |number: &u32| self.all[*number as usize].pid == pid;
        let (number, _) = self.by_pid.find_entry(hash(pid), is_pid).ok()?.remove();
        self.all[number as usize].has_ended = true;
        Some(number)
    }
}
