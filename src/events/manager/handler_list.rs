//! The handlers of one manager.
//!
//! **Guarantees**
//! 1. `terminate` of a handler runs once, unless the manager is killed.
//! 2. A handler that fails is removed alone: the next handler gets the same event.
//!
//! **Invariant.** A handler is taken out of the list before its `terminate` runs, and its owner is
//! notified afterwards. So a notified owner finds no handler with that id, unless a new one was added.

use crate::base::{MonitorRef, PAGE, Pid, excerpt, ignore_panic};
use crate::events::manager::any_handler::{DynHandler, Init, Value, guarded};
use crate::events::manager::owner::Ownership;
use crate::events::manager::request::{NewHandler, SwapTo};
use crate::events::{
    EventManager, HandlerContext, HandlerEnd, HandlerError, HandlerId, HandlerInfo, HandlerOwner,
    Removal,
};
use crate::exit::{ExitReason, Result};
use crate::message::Received;
use crate::observe::{LifecycleEvent, LogLevel};
use crate::runtime::Runtime;
use crate::server::ServerRef;

pub(super) struct HandlerList<E: Send + Sync + 'static> {
    manager: ServerRef<EventManager<E>>,
    pid: Pid,
    runtime: Runtime,
    list: Vec<Entry<E>>,
    /// How many handlers have failed.
    failed: u64,
}

struct Entry<E: Send + Sync + 'static> {
    handler: DynHandler<E>,
    ctx: HandlerContext<E>,
    owner: Option<Ownership>,
}

/// What all handlers get.
pub(super) enum Input<'a, E> {
    Event(&'a E),
    Info(&'a Received),
}

impl<E: Send + Sync + 'static> HandlerList<E> {
    pub(super) fn new(manager: ServerRef<EventManager<E>>, pid: Pid, runtime: Runtime) -> Self {
        HandlerList { manager, pid, runtime, list: Vec::new(), failed: 0 }
    }

    fn position(&self, id: &HandlerId) -> Option<usize> {
        self.list.iter().position(|entry| entry.ctx.id() == id)
    }

    /// Adds a handler at the end of the list.
    pub(super) async fn add(&mut self, new: NewHandler<E>) -> Result<(), HandlerError> {
        if self.position(&new.id).is_some() {
            return Err(HandlerError::AlreadyAdded(new.id));
        }
        let entry = self.init(new).await?;
        self.list.push(entry);
        Ok(())
    }

    /// Runs the `init` of a handler.
    async fn init(&mut self, new: NewHandler<E>) -> Result<Entry<E>, HandlerError> {
        let NewHandler { id, init, owner } = new;
        let begin = |owner| Ownership::begin(owner, &self.runtime, self.pid);
        let mut owner = match owner {
            Some(owner) => Some(begin(owner).ok_or_else(|| HandlerError::NoOwner(id.clone()))?),
            None => None,
        };
        let mut ctx = HandlerContext::new(&self.manager, self.pid, id.clone());
        match guarded(init(&mut ctx)).await {
            Ok(handler) => {
                owner.iter_mut().for_each(|owner| owner.arm(id.clone()));
                Ok(Entry { handler, ctx, owner })
            }
            Err(reason) => {
                // The owner is not armed, so it gets no message.
                owner.into_iter().for_each(|it| it.finish(&self.runtime, HandlerEnd::Removed));
                Err(HandlerError::InitFailed { handler: id, reason })
            }
        }
    }

    /// Runs a callback of each handler, in the order in which they were added.
    pub(super) async fn dispatch(&mut self, input: Input<'_, E>) {
        let mut index = 0;
        while let Some(Entry { handler, ctx, .. }) = self.list.get_mut(index) {
            let callback = match input {
                Input::Event(event) => handler.event(event, ctx),
                Input::Info(info) => handler.info(info, ctx),
            };
            let handled = guarded(callback).await;
            if self.finish_callback(index, handled).await.is_ok() {
                index += 1;
            }
        }
    }

    /// Runs the `handle_call` of one handler.
    pub(super) async fn call(&mut self, id: HandlerId, call: Value) -> Result<(), HandlerError> {
        let Some(index) = self.position(&id) else {
            // The call is dropped by the caller of this function, when the error was sent.
            return Err(HandlerError::NotFound(id));
        };
        let Entry { handler, ctx, .. } = &mut self.list[index];
        let handled = guarded(handler.call(call, ctx)).await;
        match self.finish_callback(index, handled).await {
            Err(Some(reason)) => Err(HandlerError::Failed { handler: id, reason }),
            _ => Ok(()),
        }
    }

    /// Acts on the result of a callback of the handler at this index. Returns an error if there is no
    /// handler at the index any more, with the reason if the handler has failed.
    async fn finish_callback(
        &mut self,
        index: usize,
        handled: Result,
    ) -> Result<(), Option<ExitReason>> {
        let swap = self.list[index].ctx.take_swap();
        let Err(reason) = handled else { return Ok(()) };
        if !reason.is_clean() {
            let entry = self.list.remove(index);
            self.report(entry.ctx.id(), &reason);
            let (why, end) = (Removal::Failed(reason.clone()), HandlerEnd::Failed(reason.clone()));
            let _ = self.end(entry, why, end).await;
            return Err(Some(reason));
        }
        let Some(to) = swap else {
            let entry = self.list.remove(index);
            let _ = self.end(entry, Removal::OwnRequest, HandlerEnd::Removed).await;
            return Err(None);
        };
        let id = self.list[index].ctx.id().clone();
        self.swap(id, to, None).await.map_err(|error| {
            if let HandlerError::InitFailed { handler, reason } = error {
                self.report(&handler, &reason);
            }
            None
        })
    }

    /// Removes a handler, and returns the output of its `terminate`.
    pub(super) async fn delete(
        &mut self,
        id: HandlerId,
        arg: Value,
    ) -> Result<Value, HandlerError> {
        let index = self.position(&id).ok_or_else(|| HandlerError::NotFound(id.clone()))?;
        let entry = self.list.remove(index);
        let output = self.end(entry, Removal::Deleted(arg), HandlerEnd::Removed).await;
        output.map_err(|reason| HandlerError::Failed { handler: id, reason })
    }

    /// Replaces a handler, at its place in the list. If there is no handler with this id, adds the new
    /// one at the end.
    pub(super) async fn swap(
        &mut self,
        id: HandlerId,
        to: SwapTo<E>,
        owner: Option<HandlerOwner>,
    ) -> Result<(), HandlerError> {
        let SwapTo { arg, id: new_id, init } = to;
        if new_id != id && self.position(&new_id).is_some() {
            return Err(HandlerError::AlreadyAdded(new_id));
        }
        if owner.as_ref().is_some_and(|owner| owner.pid.is_none()) {
            return Err(HandlerError::NoOwner(new_id));
        }
        let index = self.position(&id);
        let (output, owner) = match index.map(|index| self.list.remove(index)) {
            None => (Err(HandlerError::NotFound(id)), owner),
            Some(entry) => {
                let owner = owner.or_else(|| entry.owner.as_ref().map(Ownership::owner));
                let pid = owner.as_ref().and_then(|owner| owner.pid);
                let end = HandlerEnd::Swapped { by: new_id.clone(), owner: pid };
                let output = self.end(entry, Removal::Swapped(arg), end).await;
                let output = output.map_err(|reason| HandlerError::Failed { handler: id, reason });
                (output, owner)
            }
        };
        // `init` makes the arguments, by code of the user. A panic is caught with those of the handler.
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

    /// Removes the handler whose owner has ended. Returns false if the monitor is of no owner.
    pub(super) async fn owner_ended(&mut self, monitor: MonitorRef, reason: &ExitReason) -> bool {
        let owned =
            |entry: &Entry<E>| entry.owner.as_ref().is_some_and(|owner| owner.monitor == monitor);
        let Some(index) = self.list.iter().position(owned) else { return false };
        let entry = self.list.remove(index);
        let _ = self.end(entry, Removal::OwnerEnded(reason.clone()), HandlerEnd::Removed).await;
        true
    }

    /// Removes all handlers, in the order in which they were added.
    pub(super) async fn stop(&mut self, reason: &ExitReason) {
        while !self.list.is_empty() {
            let entry = self.list.remove(0);
            let why = Removal::ManagerStopped(reason.clone());
            let _ = self.end(entry, why, HandlerEnd::Shutdown).await;
        }
    }

    /// Runs `terminate` of a handler that was taken out of the list, and notifies its owner.
    async fn end(
        &mut self,
        entry: Entry<E>,
        why: Removal<Value>,
        end: HandlerEnd,
    ) -> Result<Value> {
        let Entry { handler, ctx, owner } = entry;
        let output = guarded(handler.end(why)).await;
        if let Err(reason) = &output {
            self.report(ctx.id(), reason);
        }
        if let Some(owner) = owner {
            owner.finish(&self.runtime, end);
        }
        output
    }

    /// Reports the failure of a handler.
    fn report(&mut self, id: &HandlerId, reason: &ExitReason) {
        self.failed += 1;
        let (kernel, pid) = (&self.runtime.kernel, self.pid);
        let handler = id.to_string();
        if kernel.wants_log(LogLevel::Error) {
            let reason = format!("{:#}", excerpt(reason, PAGE));
            ignore_panic(|| {
                tracing::error!(
                    target: "regrow::events", %pid, handler, reason, "event handler removed"
                );
            });
        }
        kernel.events.publish(|| LifecycleEvent::HandlerFailed {
            manager: pid,
            handler: handler.into(),
            reason: reason.clone(),
        });
    }

    pub(super) fn infos(&self) -> Vec<HandlerInfo> {
        let info = |entry: &Entry<E>| HandlerInfo {
            id: entry.ctx.id().clone(),
            owner: entry.owner.as_ref().map(|owner| owner.pid),
        };
        self.list.iter().map(info).collect()
    }

    /// The handlers in one line, for the status of the manager.
    pub(super) fn status(&self) -> String {
        let handlers = self.list.iter().map(|entry| match entry.handler.status() {
            Some(status) => format!("{}: {status}", entry.ctx.id()),
            None => entry.ctx.id().to_string(),
        });
        let handlers: Vec<_> = handlers.collect();
        format!("{} handlers [{}], {} failed", handlers.len(), handlers.join(", "), self.failed)
    }
}
