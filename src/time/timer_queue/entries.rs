//! The memory of the pending timers of one shard.
//!
//! An entry is found by its index, which does not change while the timer is pending. Entries are in
//! chunks: so no entry is ever moved, which with a million timers would take milliseconds, and a
//! chunk without timers is freed.
//!
//! **Bound.** A shard keeps the chunks that hold a timer, one chunk without a timer, and 44 bytes for
//! each chunk there has been since the shard last had no timer.

use crate::time::timer_queue::timer::{NONE, Plan};

/// The number of entries in a chunk, as a power of two.
const CHUNK_BITS: u32 = 6;
const CHUNK: u32 = 1 << CHUNK_BITS;

/// The number of chunks whose bookkeeping is kept when there is no timer.
const FEW_CHUNKS: usize = 64;

/// The neighbours of an entry in a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
    pub(super) before: u32,
    pub(super) next: u32,
}

impl Links {
    pub(super) const NONE: Links = Links { before: NONE, next: NONE };
}

/// One pending timer.
#[derive(Debug)]
pub(super) struct Entry {
    /// The number of the timer; 0 if the entry is free.
    pub(super) id: u64,
    /// When the timer is due.
    pub(super) due: u64,
    /// The other timers in the same bucket of the wheel. In a free entry, `next` is the next free
    /// one of the chunk.
    pub(super) in_bucket: Links,
    /// The other timers of the same target.
    pub(super) of_target: Links,
    /// The list of the target's timers.
    pub(super) target: u32,
    /// The bucket of the wheel.
    pub(super) bucket: u16,
    /// `None` if the entry is free.
    pub(super) plan: Option<Plan>,
}

#[derive(Debug)]
struct Chunk {
    entries: Vec<Entry>,
    /// The place of the first free entry in this chunk, apart from the places that were never used.
    free: u32,
    used: u32,
}

impl Chunk {
    const EMPTY: Chunk = Chunk { entries: Vec::new(), free: NONE, used: 0 };
}

#[derive(Debug, Default)]
pub(super) struct Entries {
    chunks: Vec<Chunk>,
    /// The chunks with room, each once.
    open: Vec<u32>,
    /// The chunk that has memory, but no timer.
    spare: Option<u32>,
    used: usize,
}

impl Entries {
    /// The number of entries in use.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    #[inline]
    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        let number = self.open.last().copied().unwrap_or_else(|| self.add_chunk());
        let chunk = &mut self.chunks[number as usize];
        let place = chunk.free;
        let place = match chunk.entries.get_mut(place as usize) {
            Some(free) => {
                chunk.free = free.in_bucket.next;
                *free = entry;
                place
            }
            None => {
                if chunk.entries.capacity() == 0 {
                    chunk.entries.reserve_exact(CHUNK as usize);
                }
                chunk.entries.push(entry);
                u32::try_from(chunk.entries.len() - 1).unwrap_or(NONE)
            }
        };
        if chunk.used == 0 {
            self.spare.take_if(|spare| *spare == number);
        }
        chunk.used += 1;
        if chunk.used == CHUNK {
            self.open.pop();
        }
        self.used += 1;
        number << CHUNK_BITS | place
    }

    #[cold]
    fn add_chunk(&mut self) -> u32 {
        let number = u32::try_from(self.chunks.len()).unwrap_or(NONE);
        assert!(number < NONE >> CHUNK_BITS, "a shard has room for four billion timers");
        self.chunks.push(Chunk::EMPTY);
        self.open.push(number);
        number
    }

    /// Frees an entry that is in use, and returns the timer's plan.
    #[inline]
    pub(super) fn remove(&mut self, index: u32) -> Option<Plan> {
        let (number, place) = (index >> CHUNK_BITS, index & (CHUNK - 1));
        let chunk = &mut self.chunks[number as usize];
        let entry = &mut chunk.entries[place as usize];
        let plan = entry.plan.take();
        entry.id = 0;
        entry.in_bucket.next = chunk.free;
        chunk.free = place;
        if chunk.used == CHUNK {
            self.open.push(number);
        }
        chunk.used -= 1;
        self.used -= 1;
        if chunk.used == 0 {
            self.free_chunk(number);
        }
        plan
    }

    /// Frees the memory of a chunk without timers, unless it becomes the spare one.
    fn free_chunk(&mut self, number: u32) {
        let chunk = &mut self.chunks[number as usize];
        if self.spare.is_some() {
            *chunk = Chunk::EMPTY;
        } else {
            self.spare = Some(number);
            chunk.entries.clear();
            chunk.free = NONE;
        }
        if self.used == 0 && self.chunks.len() > FEW_CHUNKS {
            *self = Entries::default();
        }
    }

    /// The entry of a timer that is in use and has this number.
    #[inline]
    pub(super) fn find(&self, index: u32, id: u64) -> Option<&Entry> {
        let chunk = self.chunks.get((index >> CHUNK_BITS) as usize)?;
        let entry = chunk.entries.get((index & (CHUNK - 1)) as usize)?;
        (entry.id == id).then_some(entry)
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> &Entry {
        &self.chunks[(index >> CHUNK_BITS) as usize].entries[(index & (CHUNK - 1)) as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> &mut Entry {
        &mut self.chunks[(index >> CHUNK_BITS) as usize].entries[(index & (CHUNK - 1)) as usize]
    }

    /// Takes the plans of all timers out, and forgets the timers.
    pub(super) fn take_all(&mut self) -> Vec<Plan> {
        let all = std::mem::take(self);
        all.chunks.into_iter().flat_map(|chunk| chunk.entries).filter_map(|e| e.plan).collect()
    }

    /// The number of chunks that have memory.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.chunks.iter().filter(|chunk| chunk.entries.capacity() > 0).count()
    }
}
