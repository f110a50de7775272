//! The order of the pending timers of one shard: a hierarchical timer wheel.
//!
//! Time is counted in *ticks* of about a millisecond. A level has 64 *buckets*, each a list of
//! timers. A bucket of level 0 has the timers of one tick, a bucket of level 1 those of 64 ticks, and
//! so on; eight levels cover the whole clock. A timer is in the lowest level on which its tick and
//! the wheel's tick differ only in the digit of that level and in lower digits, where a digit is six
//! bits. So linking and unlinking a timer take the same time for any number of timers.
//!
//! **Invariants**
//! 1. No timer is in a bucket before the wheel's tick. So the first bucket is the first one of the
//!    lowest level that has timers, and no other bucket has an earlier timer.
//! 2. The earliest instant of a bucket is not after the instant at which any of its timers is due. It
//!    may be earlier, since the removal of a timer does not change it. It is kept in nanoseconds, so
//!    a tick does not make a timer late.
//! 3. The wheel's tick advances only to a tick before which no bucket has a timer, except for the
//!    bucket that is being emptied: see [`Wheel::pop`].

use crate::time::timer_queue::clock::NEVER;
use crate::time::timer_queue::entries::{Entries, Entry, Links};
use crate::time::timer_queue::timer::NONE;

/// A tick has 2²⁰ nanoseconds.
const TICK_BITS: u32 = 20;
/// A digit of a tick has six bits.
const DIGIT_BITS: u32 = 6;
const BUCKETS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = (u64::BITS - TICK_BITS).div_ceil(DIGIT_BITS) as usize;

/// The bucket of a timer that is in none.
pub(super) const NO_BUCKET: u16 = u16::MAX;

#[derive(Debug)]
struct Level {
    /// Bit *n* is set if bucket *n* has timers.
    occupied: u64,
    first: [u32; BUCKETS],
    /// Invariant 2. [`NEVER`] if the bucket has no timer.
    earliest: [u64; BUCKETS],
}

impl Level {
    const EMPTY: Level = Level { occupied: 0, first: [NONE; BUCKETS], earliest: [NEVER; BUCKETS] };
}

/// A level and a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bucket {
    level: usize,
    digit: usize,
}

impl Bucket {
    fn number(self) -> u16 {
        u16::try_from(self.level * BUCKETS + self.digit).unwrap_or(NO_BUCKET)
    }

    fn from_number(number: u16) -> Option<Self> {
        let number = usize::from(number);
        let bucket = Bucket { level: number / BUCKETS, digit: number % BUCKETS };
        (bucket.level < LEVELS).then_some(bucket)
    }

    /// The first and the last tick of this bucket.
    fn ticks(self, tick: u64) -> (u64, u64) {
        let shift = DIGIT_BITS * u32::try_from(self.level).unwrap_or(0);
        let above = tick.checked_shr(shift + DIGIT_BITS).unwrap_or(0) << DIGIT_BITS;
        let start = (above | self.digit as u64) << shift;
        (start, start + ((1 << shift) - 1))
    }
}

#[derive(Debug, Default)]
pub(super) struct Wheel {
    tick: u64,
    levels: [Option<Box<Level>>; LEVELS],
    /// Bit *n* is set if level *n* has timers.
    occupied: u8,
    /// The bucket that [`pop`](Self::pop) is emptying. It has the earliest timers.
    emptied: Option<Bucket>,
    /// The next timer of `emptied` that is to be looked at.
    cursor: u32,
}

impl Wheel {
    /// Advances the tick, as far as no bucket has to be emptied for that. So a timer that is armed
    /// now is put into a bucket that is close to it.
    #[inline]
    pub(super) fn advance(&mut self, now: u64) {
        let now = now >> TICK_BITS;
        if now > self.tick && self.first().is_none_or(|first| now < first.ticks(self.tick).0) {
            self.tick = now;
        }
    }

    /// Adds a timer that is in no bucket.
    #[inline]
    pub(super) fn link(&mut self, entries: &mut Entries, index: u32) {
        let due = entries.get(index).due;
        let bucket = self.bucket_of(due);
        self.occupied |= 1 << bucket.level;
        let level = self.levels[bucket.level].get_or_insert_with(|| Box::new(Level::EMPTY));
        level.occupied |= 1 << bucket.digit;
        level.earliest[bucket.digit] = level.earliest[bucket.digit].min(due);
        let next = std::mem::replace(&mut level.first[bucket.digit], index);
        if next != NONE {
            entries.get_mut(next).in_bucket.before = index;
        }
        let entry = entries.get_mut(index);
        entry.in_bucket = Links { before: NONE, next };
        entry.bucket = bucket.number();
    }

    fn bucket_of(&self, due: u64) -> Bucket {
        let tick = (due >> TICK_BITS).max(self.tick);
        let differing = (tick ^ self.tick) | (BUCKETS as u64 - 1);
        let level = (u64::BITS - 1 - differing.leading_zeros()) / DIGIT_BITS;
        let digit = (tick >> (level * DIGIT_BITS)) as usize % BUCKETS;
        Bucket { level: level as usize, digit }
    }

    /// Removes a timer from its bucket, if it is in one.
    #[inline]
    pub(super) fn unlink(&mut self, entries: &mut Entries, index: u32) {
        let entry = entries.get_mut(index);
        let Links { before, next } = std::mem::replace(&mut entry.in_bucket, Links::NONE);
        let Some(bucket) = Bucket::from_number(std::mem::replace(&mut entry.bucket, NO_BUCKET))
        else {
            return;
        };
        if self.emptied.is_some() && self.cursor == index {
            self.cursor = next;
        }
        if next != NONE {
            entries.get_mut(next).in_bucket.before = before;
        }
        if before != NONE {
            entries.get_mut(before).in_bucket.next = next;
        } else {
            self.set_first(bucket, next);
        }
    }

    fn set_first(&mut self, bucket: Bucket, first: u32) {
        let Some(level) = &mut self.levels[bucket.level] else { return };
        level.first[bucket.digit] = first;
        if first != NONE {
            return;
        }
        level.earliest[bucket.digit] = NEVER;
        level.occupied &= !(1 << bucket.digit);
        if level.occupied == 0 {
            self.occupied &= !(1 << bucket.level);
        }
        self.emptied.take_if(|emptied| *emptied == bucket);
    }

    /// The bucket with the earliest timers (invariant 1).
    #[inline]
    fn first(&self) -> Option<Bucket> {
        if self.emptied.is_some() {
            return self.emptied;
        }
        let level = self.occupied.trailing_zeros() as usize;
        let occupied = self.levels.get(level)?.as_ref()?.occupied;
        Some(Bucket { level, digit: occupied.trailing_zeros() as usize })
    }

    fn earliest_of(&self, bucket: Bucket) -> u64 {
        self.levels[bucket.level].as_ref().map_or(NEVER, |level| level.earliest[bucket.digit])
    }

    /// An instant before which no timer is due; [`NEVER`] if there is no timer.
    #[inline]
    pub(super) fn earliest(&self) -> u64 {
        self.first().map_or(NEVER, |first| self.earliest_of(first))
    }

    /// Takes one step of emptying the first bucket, if a timer of it may be due: removes a timer that
    /// is due, in no particular order, or moves a timer that is not due yet to a lower level. Returns
    /// `None` if no timer is due.
    ///
    /// When the first step is taken, the tick advances to `now`, or to the last tick of the bucket if
    /// that is earlier. The calls that follow continue with this bucket until they have been through
    /// all of its timers. Between two calls timers may be linked and unlinked.
    pub(super) fn pop(&mut self, entries: &mut Entries, now: u64) -> Option<Popped> {
        let bucket = self.first()?;
        if self.emptied.is_none() {
            if self.earliest_of(bucket) > now {
                return None;
            }
            self.tick = self.tick.max(bucket.ticks(self.tick).1.min(now >> TICK_BITS));
            self.start_emptying(bucket);
        }
        let index = self.cursor;
        if index == NONE {
            self.emptied = None;
            return Some(Popped::None);
        }
        let Entry { due, in_bucket, .. } = *entries.get(index);
        self.cursor = in_bucket.next;
        if due <= now {
            self.unlink(entries, index);
            return Some(Popped::Due(index));
        }
        if bucket.level > 0 {
            self.unlink(entries, index);
            self.link(entries, index);
        } else if let Some(level) = &mut self.levels[0] {
            level.earliest[bucket.digit] = level.earliest[bucket.digit].min(due);
        }
        Some(Popped::None)
    }

    fn start_emptying(&mut self, bucket: Bucket) {
        self.emptied = Some(bucket);
        if let Some(level) = &mut self.levels[bucket.level] {
            self.cursor = level.first[bucket.digit];
            level.earliest[bucket.digit] = NEVER;
        }
    }
}

/// What [`Wheel::pop`] has done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped {
    /// It has removed this timer, which is due.
    Due(u32),
    None,
}
