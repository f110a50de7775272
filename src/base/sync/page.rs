//! A page of a [table of processes](crate::base::sync::PidTable): the entries of neighbouring pids.

/// The number of slots of a page.
pub(super) const SLOTS: u64 = u64::BITS as u64;

/// The capacity of a page that gets its first entry. The next step is room for all slots.
const FIRST_CAPACITY: usize = 8;

/// Up to 64 entries, each in a slot. The entries are stored without gaps, in the order of their slots,
/// so that a page with few entries needs little memory.
pub(super) struct Page<V> {
    /// One bit for each slot that has an entry.
    occupied: u64,
    values: Vec<V>,
}

impl<V> Page<V> {
    pub(super) const fn new() -> Self {
        Page { occupied: 0, values: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    #[inline]
    fn has(&self, slot: u32) -> bool {
        self.occupied >> slot & 1 != 0
    }

    /// The number of entries in the slots below this one.
    #[inline]
    fn below(&self, slot: u32) -> usize {
        (self.occupied & ((1 << slot) - 1)).count_ones() as usize
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&V> {
        if self.has(slot) { self.values.get(self.below(slot)) } else { None }
    }

    /// Puts an entry into a slot. Returns the entry that was there before.
    pub(super) fn insert(&mut self, slot: u32, value: V) -> Option<V> {
        let at = self.below(slot);
        if self.has(slot) {
            return Some(std::mem::replace(&mut self.values[at], value));
        }
        if self.values.len() == self.values.capacity() {
            let capacity = if self.is_empty() { FIRST_CAPACITY } else { SLOTS as usize };
            self.values.reserve_exact(capacity - self.values.len());
        }
        self.occupied |= 1 << slot;
        self.values.insert(at, value);
        None
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<V> {
        if !self.has(slot) {
            return None;
        }
        let at = self.below(slot);
        self.occupied &= !(1 << slot);
        Some(self.values.remove(at))
    }

    /// Moves the entries to a smaller allocation, if at least half of the room is free. The larger one is
    /// not shrunk in place: what an allocator cuts off is too small for the next page.
    pub(super) fn shrink(&mut self) {
        if self.values.len() <= self.values.capacity() / 2 {
            let mut values = Vec::with_capacity(self.values.len());
            values.append(&mut self.values);
            self.values = values;
        }
    }

    #[cfg(all(test, not(any(regrow_loom, regrow_shuttle))))]
    pub(super) fn capacity(&self) -> usize {
        self.values.capacity()
    }

    /// The entries with their slots, in the order of the slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        let slots = (0..u64::BITS).filter(|slot| self.occupied >> slot & 1 != 0);
        slots.zip(&self.values)
    }
}
