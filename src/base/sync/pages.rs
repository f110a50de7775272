//! The pages of one shard of a [table of processes](crate::base::sync::PidTable).
//!
//! Invariants:
//! 1. No page among the older ones is empty. After a removal an older page has room for at most twice its
//!    entries. So a table needs memory for the processes that live, and not for the pids that were
//!    handed out.
//! 2. The newest page keeps its memory, so that a process that ends soon after its start allocates
//!    nothing here.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::base::sync::page::Page;
use crate::base::sync::table::Hasher;

/// The place of a pid in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) shard: usize,
    pub(super) page: u64,
    pub(super) slot: u32,
}

/// The pages of a shard.
pub(super) struct Pages<V> {
    hasher: Hasher,
    /// The number of entries.
    pub(super) len: usize,
    /// The number of insertions so far.
    pub(super) inserted: u64,
    /// The page with the highest number so far. Most processes are started in this page.
    newest: (u64, Page<V>),
    /// The other pages, by their numbers.
    pub(super) older: HashTable<(u64, Page<V>)>,
}

impl<V> Pages<V> {
    pub(super) fn new(hasher: Hasher) -> Self {
        Pages { hasher, len: 0, inserted: 0, newest: (0, Page::new()), older: HashTable::new() }
    }

    #[inline]
    pub(super) fn get(&self, at: At) -> Option<&V> {
        let (newest, page) = &self.newest;
        if *newest == at.page {
            return page.get(at.slot);
        }
        let hash = self.hasher.hash_one(at.page);
        self.older.find(hash, |(page, _)| *page == at.page)?.1.get(at.slot)
    }

    pub(super) fn insert(&mut self, at: At, value: V) -> Option<V> {
        if self.newest.0 < at.page {
            self.begin_page(at.page);
        }
        let before = if self.newest.0 == at.page {
            self.newest.1.insert(at.slot, value)
        } else {
            self.older_page(at.page).insert(at.slot, value)
        };
        self.len += usize::from(before.is_none());
        self.inserted += u64::from(before.is_none());
        before
    }

    /// Makes this page the newest one. If the page that was the newest has no entries, its memory is
    /// used again.
    fn begin_page(&mut self, page: u64) {
        if self.newest.1.is_empty() {
            self.newest.0 = page;
            return;
        }
        let (number, mut full) = std::mem::replace(&mut self.newest, (page, Page::new()));
        full.shrink();
        *self.older_page(number) = full;
    }

    /// Returns the older page with this number, which is empty if there was none.
    fn older_page(&mut self, page: u64) -> &mut Page<V> {
        let rehash = |(page, _): &(u64, Page<V>)| self.hasher.hash_one(page);
        let hash = self.hasher.hash_one(page);
        let entry = self.older.entry(hash, |(held, _)| *held == page, rehash);
        &mut entry.or_insert_with(|| (page, Page::new())).into_mut().1
    }

    pub(super) fn remove(&mut self, at: At) -> Option<V> {
        let removed = if self.newest.0 == at.page {
            self.newest.1.remove(at.slot)
        } else {
            self.remove_older(at)
        };
        self.len -= usize::from(removed.is_some());
        removed
    }

    fn remove_older(&mut self, at: At) -> Option<V> {
        let hash = self.hasher.hash_one(at.page);
        let found = self.older.find_entry(hash, |(page, _)| *page == at.page);
        let mut entry = found.ok()?;
        let (_, page) = entry.get_mut();
        let removed = page.remove(at.slot);
        if page.is_empty() {
            entry.remove();
        } else {
            page.shrink();
        }
        removed
    }

    /// All entries, with the numbers of their pages and slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u32, &V)> {
        let pages = self.older.iter().chain([&self.newest]);
        pages.flat_map(|(number, page)| page.iter().map(|(slot, value)| (*number, slot, value)))
    }
}
