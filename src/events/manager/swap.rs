//! The replacement of a handler by another one.
//!
//! **Steps**
//! 1. Check that no other handler has the id of the new handler.
//! 2. Remove the old handler from the list, run its `terminate`, and notify its owner.
//! 3. Run the `init` of the new handler with the output of `terminate`.
//! 4. Insert the new handler into the list at the place of the old one.
//!
//! The manager handles nothing between the steps.

use crate::events::manager::context::{Init, SwapTo};
use crate::events::manager::handler_list::HandlerList;
use crate::events::manager::owner::Ownership;
use crate::events::manager::request::NewHandler;
use crate::events::{HandlerEnd, HandlerError, HandlerId, HandlerOwner, Removal};
use crate::exit::Result;

impl<E: Send + Sync + 'static> HandlerList<E> {
    /// Replaces a handler, at its place in the list. If there is no handler with this id, adds the new
    /// one at the end. After an error other than `InitFailed`, nothing has changed.
    pub(super) async fn swap(
        &mut self,
        id: HandlerId,
        to: SwapTo<E>,
        owner: Option<HandlerOwner>,
    ) -> Result<(), HandlerError> {
        if let Some(refusal) = self.refusal(&id, &to.id, owner.as_ref()) {
            self.discard_swap(Some(to));
            return Err(refusal);
        }
        let SwapTo { arg, id: new_id, init } = to;
        let index = self.position(&id);
        let (output, owner) = match index.map(|index| self.list.remove(index)) {
            None => {
                self.discard(arg);
                (Err(HandlerError::NotFound(id)), owner)
            }
            Some(entry) => {
                let owner = owner.or_else(|| entry.owner.as_ref().map(Ownership::owner));
                let pid = owner.as_ref().and_then(|owner| owner.pid);
                let end = HandlerEnd::Swapped { by: new_id.clone(), owner: pid };
                let output = self.end(entry, Removal::Swapped(arg), end).await;
                let output = output.map_err(|reason| HandlerError::Failed { handler: id, reason });
                (output, owner)
            }
        };
        // `init` makes the arguments with user code. `HandlerList::init` catches a panic of this
        // code together with the panics of the handler's `init`.
        let init: Init<E> = Box::new(move |ctx| Box::pin(async move { init(output)(ctx).await }));
        let new = NewHandler { id: new_id.clone(), init, owner: owner.clone() };
        match self.init(new).await {
            Ok(entry) => {
                let index = index.unwrap_or(self.list.len());
                self.list.insert(index, entry);
                Ok(())
            }
            Err(error) => {
                if let (Some(owner), HandlerError::InitFailed { reason, .. }) = (owner, &error) {
                    owner.notify(new_id, HandlerEnd::Failed(reason.clone()));
                }
                Err(error)
            }
        }
    }

    /// Drops a swap that a handler has requested, and that does not take place.
    pub(super) fn discard_swap(&self, swap: Option<SwapTo<E>>) {
        if let Some(SwapTo { arg, id: _, init }) = swap {
            // Two drops, because a second panic while the first one unwinds would abort the program.
            self.discard(arg);
            self.discard(init);
        }
    }

    /// Returns why no handler of this new id can replace the one with the old id.
    fn refusal(
        &self,
        old: &HandlerId,
        new: &HandlerId,
        owner: Option<&HandlerOwner>,
    ) -> Option<HandlerError> {
        if new != old && self.position(new).is_some() {
            return Some(HandlerError::AlreadyAdded(new.clone()));
        }
        let has_no_process = owner.is_some_and(|owner| owner.pid.is_none());
        has_no_process.then(|| HandlerError::NoOwner(new.clone()))
    }
}
