//! The holder of a name that a handle by name has found, so that it need not look the name up for each
//! request.
//!
//! **Guarantee.** A request goes to a process that held the name at a moment between the start of the
//! request and its send, as if each request looked the name up. So a request that starts after a
//! change of the name has returned goes to the new holder.
//!
//! A process that holds a name loses it in one of two ways:
//!
//! * It ends. Its teardown frees the name, or leaves it to a successor, after the process has left the
//!   stage *live*, which raises [`EXIT_PENDING`](crate::process::flag::EXIT_PENDING).
//! * The name is unregistered. This sets [`unregistered`](crate::process::Head::unregistered) of the process,
//!   under the lock of the name's entry, before the entry changes.
//!
//! **Invariants**
//! 1. A process is remembered only after the entry of the name was found to name the process.
//! 2. Both flags are never cleared. So if both are clear, the process has lost no name since the
//!    look-up, and holds the name. Otherwise the name is looked up, also if the process has lost
//!    another name, or has got the name back.
//!
//! A handle remembers one process and never forgets it, since requests borrow it without a lock. After
//! the loss of the name, the handle looks the name up for each request, and keeps the memory of that
//! one record, as a direct handle does.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use crate::base::sync::atomic::Ordering;
use crate::mailbox::{Item, Process};

/// The first holder of a name that a handle has found, if there is one.
pub(crate) struct KnownHolder<M>(OnceLock<Arc<Process<M>>>);

impl<M> Default for KnownHolder<M> {
    fn default() -> Self {
        KnownHolder(OnceLock::new())
    }
}

/// A copy remembers the same process, unless that has lost the name.
impl<M: Item> Clone for KnownHolder<M> {
    fn clone(&self) -> Self {
        KnownHolder(self.current().cloned().map_or_else(OnceLock::new, OnceLock::from))
    }
}

impl<M: Item> KnownHolder<M> {
    /// Returns the remembered process, if it still holds the name (invariant 2).
    #[inline]
    pub(crate) fn current(&self) -> Option<&Arc<Process<M>>> {
        self.0.get().filter(|process| has_kept_names(process))
    }

    /// Whether a look-up can't be remembered any more.
    #[inline]
    pub(crate) fn is_taken(&self) -> bool {
        self.0.get().is_some()
    }

    /// Remembers the process that the look-up of the name has found (invariant 1), unless the handle
    /// remembers another one.
    pub(crate) fn remember(&self, found: Arc<Process<M>>) -> Cow<'_, Arc<Process<M>>> {
        if !has_kept_names(&found) || self.0.get().is_some() {
            return Cow::Owned(found);
        }
        match self.0.set(found) {
            Ok(()) => Cow::Borrowed(self.0.get().expect("a cell that was set stays set")),
            Err(found) => Cow::Owned(found),
        }
    }
}

/// Whether the process has lost no name.
#[inline]
fn has_kept_names<M: Item>(process: &Process<M>) -> bool {
    !process.is_exit_pending() && !process.head.unregistered.load(Ordering::Acquire)
}
