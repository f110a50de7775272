//! The handlers of one manager.
//!
//! **Guarantees**
//! 1. `terminate` of a handler runs once, unless the manager is killed.
//! 2. A handler that fails is removed alone: the next handler gets the same event.
//! 3. A handler gets each event once. After its callback `dispatch` steps to the next handler, or
//!    the handler has been removed. A handler that has replaced it does not get this event.
//! 4. A destructor that panics, of an event or of any value in a request, ends neither the manager
//!    nor a handler.
//!
//! **Invariant.** A handler is taken out of the list before its `terminate` runs, and its owner is
//! notified afterwards. So a notified owner finds no handler with that id, unless a new one was added.

use crate::base::{MonitorRef, PAGE, Pid, consume_budget, excerpt, ignore_panic};
use crate::call::Reply;
use crate::events::manager::context::{DynHandler, Value, guarded};
use crate::events::manager::owner::Ownership;
use crate::events::manager::request::NewHandler;
use crate::events::{
    EventManager, HandlerContext, HandlerEnd, HandlerError, HandlerId, HandlerInfo, Removal,
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
    pub(super) list: Vec<Entry<E>>,
    /// How many handlers have failed.
    failed: u64,
}

pub(super) struct Entry<E: Send + Sync + 'static> {
    handler: DynHandler<E>,
    ctx: HandlerContext<E>,
    pub(super) owner: Option<Ownership>,
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

    pub(super) fn position(&self, id: &HandlerId) -> Option<usize> {
        self.list.iter().position(|entry| entry.ctx.id() == id)
    }

    /// Adds a handler at the end of the list.
    pub(super) async fn add(&mut self, new: NewHandler<E>) -> Result<(), HandlerError> {
        if self.position(&new.id).is_some() {
            let NewHandler { id, init, .. } = new;
            self.discard(init);
            return Err(HandlerError::AlreadyAdded(id));
        }
        let entry = self.init(new).await?;
        self.list.push(entry);
        Ok(())
    }

    /// Runs the `init` of a handler.
    pub(super) async fn init(&mut self, new: NewHandler<E>) -> Result<Entry<E>, HandlerError> {
        let NewHandler { id, init, owner } = new;
        let is_owned = owner.is_some();
        let mut owner = owner.and_then(|owner| Ownership::begin(owner, &self.runtime, self.pid));
        if is_owned && owner.is_none() {
            self.discard(init);
            return Err(HandlerError::NoOwner(id));
        }
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
            consume_budget().await;
        }
    }

    /// Runs the `handle_call` of one handler.
    pub(super) async fn call(&mut self, id: HandlerId, call: Value) -> Result<(), HandlerError> {
        let Some(index) = self.position(&id) else {
            // The reply in the call is dropped before the error is sent. Its caller learns of that
            // only when the callback of the manager has returned, and has the error by then.
            self.discard(call);
            return Err(HandlerError::NotFound(id));
        };
        let Entry { handler, ctx, .. } = &mut self.list[index];
        let handled = guarded(handler.call(call, ctx)).await;
        match self.finish_callback(index, handled).await {
            Err(Some(reason)) => Err(HandlerError::Failed { handler: id, reason }),
            _ => Ok(()),
        }
    }

    /// Acts on the result of a callback of the handler at this index. Returns an error if the
    /// handler was removed and no other one has taken its place. The error has the reason if the
    /// handler has failed.
    async fn finish_callback(
        &mut self,
        index: usize,
        handled: Result,
    ) -> Result<(), Option<ExitReason>> {
        let swap = self.list[index].ctx.take_swap();
        let Err(reason) = handled else {
            self.discard_swap(swap);
            return Ok(());
        };
        if !reason.is_clean() {
            self.discard_swap(swap);
            return Err(Some(self.fail(index, reason).await));
        }
        let Some(to) = swap else {
            let entry = self.list.remove(index);
            self.end_and_discard(entry, Removal::OwnRequest, HandlerEnd::Removed).await;
            return Err(None);
        };
        let id = self.list[index].ctx.id().clone();
        match self.swap(id, to, None).await {
            Ok(()) => Ok(()),
            Err(HandlerError::InitFailed { handler, reason }) => {
                self.report(&handler, &reason);
                Err(None)
            }
            // The swap was refused and has changed nothing, so the handler is still at the index.
            Err(refused) => Err(Some(self.fail(index, refused.into()).await)),
        }
    }

    /// Removes the handler at this index, which has failed. Returns the reason.
    async fn fail(&mut self, index: usize, reason: ExitReason) -> ExitReason {
        let entry = self.list.remove(index);
        self.report(entry.ctx.id(), &reason);
        let (why, end) = (Removal::Failed(reason.clone()), HandlerEnd::Failed(reason.clone()));
        self.end_and_discard(entry, why, end).await;
        reason
    }

    /// Removes a handler, and returns the output of its `terminate`.
    pub(super) async fn delete(
        &mut self,
        id: HandlerId,
        arg: Value,
    ) -> Result<Value, HandlerError> {
        let Some(index) = self.position(&id) else {
            self.discard(arg);
            return Err(HandlerError::NotFound(id));
        };
        let entry = self.list.remove(index);
        let output = self.end(entry, Removal::Deleted(arg), HandlerEnd::Removed).await;
        output.map_err(|reason| HandlerError::Failed { handler: id, reason })
    }

    /// Removes the handler whose owner has ended. Returns false if the monitor is of no owner.
    pub(super) async fn owner_ended(&mut self, monitor: MonitorRef, reason: &ExitReason) -> bool {
        let owned =
            |entry: &Entry<E>| entry.owner.as_ref().is_some_and(|owner| owner.monitor == monitor);
        let Some(index) = self.list.iter().position(owned) else { return false };
        let mut entry = self.list.remove(index);
        entry.owner.iter_mut().for_each(Ownership::disarm);
        let why = Removal::OwnerEnded(reason.clone());
        self.end_and_discard(entry, why, HandlerEnd::Removed).await;
        true
    }

    /// Removes all handlers, in the order in which they were added.
    pub(super) async fn stop(&mut self, reason: &ExitReason) {
        while !self.list.is_empty() {
            let entry = self.list.remove(0);
            let why = Removal::ManagerStopped(reason.clone());
            self.end_and_discard(entry, why, HandlerEnd::Shutdown).await;
        }
    }

    /// Ends a handler as [`end`](Self::end) does, and drops the output of its `terminate`.
    async fn end_and_discard(&mut self, entry: Entry<E>, why: Removal<Value>, end: HandlerEnd) {
        let output = self.end(entry, why, end).await;
        self.discard(output);
    }

    /// Drops a value of a user: an event, a call, an argument, an output, or what makes a handler.
    /// Guarantee 4.
    pub(super) fn discard<T>(&self, value: T) {
        self.runtime.kernel.catch_destructor(self.pid, || drop(value));
    }

    /// Sends an answer with values of a user. If the caller has gone, the values are dropped here:
    /// guarantee 4.
    pub(super) fn answer<T: Send + 'static>(&self, reply: Reply<T>, answer: T) {
        self.runtime.kernel.catch_destructor(self.pid, || reply.send(answer));
    }

    /// Runs `terminate` of a handler that was taken out of the list, and notifies its owner.
    pub(super) async fn end(
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
