//! Reads a published state with all its children, for a picture.

use std::hint::black_box;
use std::sync::Arc;

use crate::process::AnyProcess;
use crate::supervisor::change_source::ChangeSource;
use crate::supervisor::published_state::{
    ListedChildren, PublishedCell, PublishedChild, PublishedState,
};

/// How many children are read before the first of them is copied.
const TOUCHED: usize = 32;

impl PublishedCell {
    /// Reads the state without its children, and the number of the last change that the state and
    /// the children include. Adds the children to the list, because a copy of their map would
    /// allocate many small parts.
    pub(crate) fn read_with_last_change(
        &self,
        children: &mut ListedChildren,
    ) -> (PublishedState, u64) {
        let last = || self.source().map_or(0, ChangeSource::last_change);
        self.change(|state| {
            children.reserve(state.children.len());
            let mut ahead = state.children.values();
            for (at, (key, child)) in state.children.iter().enumerate() {
                if at.is_multiple_of(TOUCHED) {
                    ahead.by_ref().take(TOUCHED).for_each(PublishedChild::touch);
                }
                children.push((key, child.clone()));
            }
            (state.without_children(), last())
        })
    }
}

impl PublishedChild {
    /// Reads the memory that a copy of the child is about to change: its reference counts, and the
    /// lock of its process. The processor loads these reads for many children at once. Without
    /// them, it would wait for the memory of each child in turn.
    fn touch(&self) {
        let read =
            |process: &Arc<dyn AnyProcess>| (Arc::strong_count(process), process.state().touch());
        black_box((self.process.as_ref().map(read), self.id.len()));
    }
}
