//! The slot of a call, which holds the answer until the caller takes it.
//!
//! # Guarantees
//!
//! Each call gets exactly one result: the answer, or the true reason why there is none. This holds
//! at whatever moment the server ends.
//!
//! # Steps
//!
//! A slot has two owners: the caller, and an answering side. The answering side is the
//! [`Reply`](crate::Reply), or a list of unanswered callers.
//!
//! 1. The answering side stores the answer, or marks the reply as dropped.
//! 2. The answering side releases the slot.
//! 3. The answering side wakes the caller.
//! 4. The caller takes the answer. If the reply was dropped, the caller asks the record of the
//!    server, under the lock of the server:
//!    - If the server has ended, the record has the reason.
//!    - Otherwise the caller adds a new slot to the list of unanswered callers in the record. The
//!      server resolves that list between two handlers, with `NoReply`; or its teardown resolves
//!      it, with the reason.
//!
//! # Invariants
//!
//! 1. The answering side releases the slot before it wakes the caller. So a caller that owns the
//!    slot alone takes the answer without a lock.
//! 2. The check for the end and the entry in the list are one step under the lock of the server,
//!    and teardown takes the list in the step that makes the process *ended*. So no caller is added
//!    to a list that will not be resolved.
//! 3. A call that a successor of its server has taken over names the successor in its slot, and the
//!    caller asks the record of the successor in step 4. A slot names it before the successor can
//!    drop the reply.
//! 4. The waker in a slot is that of the caller's last poll. Only the poll that makes the call may
//!    skip the registration, because the slot is made with the waker of that poll.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use crate::base::sync::Mutex;
use crate::base::{Pid, ignore_panic, poll_budget, wake};
use crate::call::taken_over::{HandedOn, TakenOver};
use crate::call::unanswered_list::add_unanswered;
use crate::exit::ExitReason;
use crate::process::core::Unanswered;
use crate::process::{AnyProcess, CallLimit};

/// The result of a call. `Lost` is not yet converted to a [`CallError`](crate::CallError).
pub(crate) type Answer<T> = Result<T, Lost>;

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The server dropped the reply and lives.
    NoReply,
    Exited(ExitReason),
    /// The request was evicted from a full mailbox.
    Overloaded,
    /// The caller still waits, up to this limit. Each result of the call replaces this one, so no
    /// caller takes it. Only a call that is made while deadlines are propagated has this entry, so
    /// that the slot of every other call has no field for it.
    Pending(Arc<CallLimit>),
    /// The caller still waits, and this server has taken the call over. As with `Pending`, each
    /// result of the call replaces this one; but if the reply is dropped, it stays, and the caller
    /// asks the record of this server.
    HandedOn(Box<HandedOn>),
}

impl<T: Send> TakenOver for ReplySlot<T> {
    fn hand_on(&self, to: &Arc<dyn AnyProcess>) {
        let mut content = self.content.lock();
        if content.waker.is_none() {
            return;
        }
        let before = content.answer.take();
        let limit = before.as_ref().and_then(limit_of);
        let handed_on = HandedOn { server: to.clone(), limit };
        content.answer = Some(Err(Lost::HandedOn(Box::new(handed_on))));
        drop(content);
        drop(before);
    }
}

/// The limit that is stored in the place of an answer.
fn limit_of<T>(answer: &Answer<T>) -> Option<Arc<CallLimit>> {
    match answer {
        Err(Lost::Pending(limit)) => Some(limit.clone()),
        Err(Lost::HandedOn(handed_on)) => handed_on.limit.clone(),
        _ => None,
    }
}

/// The content of a slot: a waker while the caller waits, then an answer. If both fields are empty,
/// the reply was dropped outside its server. Beside the waker there may be [`Lost::Pending`] or
/// [`Lost::HandedOn`]; if the latter is there without a waker, the reply was dropped, too.
///
/// The content is two fields and no enum, because the answer is copied out of the slot just after
/// it was stored. A processor that copies an enum as a whole waits until the stores of the enum's
/// parts are complete. With an enum, each call would contain two such copies.
struct Content<T> {
    answer: Option<Answer<T>>,
    /// The waker of the caller.
    waker: Option<Waker>,
}

/// One slot. The caller and the answering side own it together.
pub(crate) struct ReplySlot<T> {
    /// The process that made the call, or [`Pid::OUTSIDE`].
    caller: Pid,
    content: Mutex<Content<T>>,
}

impl<T> ReplySlot<T> {
    /// Creates an empty slot, and the caller's side of it.
    #[inline]
    pub(crate) fn new(caller: Pid, waker: Waker) -> (Arc<Self>, AwaitedReply<T>) {
        let content = Mutex::new(Content { answer: None, waker: Some(waker) });
        let slot = Arc::new(ReplySlot { caller, content });
        (slot.clone(), AwaitedReply { slot: Some(slot), is_new: true })
    }

    /// Returns the process that made the call, if a process made it.
    pub(crate) fn caller(&self) -> Option<Pid> {
        Some(self.caller).filter(|&caller| caller != Pid::OUTSIDE)
    }

    /// Returns the limit of the call, if it was [given one](AwaitedReply::set_limit) and has no
    /// result yet.
    pub(crate) fn limit(&self) -> Option<Arc<CallLimit>> {
        self.content.lock().answer.as_ref().and_then(limit_of)
    }

    /// Whether the other owner still owns the slot.
    #[inline]
    pub(crate) fn is_shared(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }

    #[inline]
    pub(crate) fn answer(self: Arc<Self>, answer: Answer<T>) {
        let mut content = self.content.lock();
        if content.answer.is_some() {
            drop(content);
            return self.answer_pending(answer);
        }
        content.answer = Some(answer);
        let waker = content.waker.take();
        drop(content);
        // Invariant 1.
        drop(self);
        wake(waker);
    }

    /// Marks the reply as dropped. The caller asks the server's record for the reason; if another
    /// server has taken the call over, the record of that server.
    pub(crate) fn mark_dropped(self: Arc<Self>) {
        let mut content = self.content.lock();
        let is_handed_on = matches!(content.answer, Some(Err(Lost::HandedOn(_))));
        let before = if is_handed_on { None } else { content.answer.take() };
        let waker = content.waker.take();
        drop(content);
        drop(before);
        // Invariant 1.
        drop(self);
        wake(waker);
    }

    /// Returns the answer, or `None` if the reply was dropped. If neither has happened yet,
    /// registers the waker.
    fn poll_content(&self, waker: &Waker) -> Poll<Option<Answer<T>>> {
        let waker = waker.clone();
        let mut content = self.content.lock();
        if content.waker.is_none() {
            return Poll::Ready(content.answer.take());
        }
        let old = content.waker.replace(waker);
        drop(content);
        drop(old);
        Poll::Pending
    }

    /// Stores an answer in the place of a limit or a server. The record of a server that is dropped
    /// may run code of the user, so it is dropped after unlock.
    #[cold]
    #[inline(never)]
    fn answer_pending(self: Arc<Self>, answer: Answer<T>) {
        let mut content = self.content.lock();
        let pending = content.answer.replace(answer);
        let waker = content.waker.take();
        drop(content);
        // Invariant 1.
        drop(self);
        wake(waker);
        ignore_panic(|| drop(pending));
    }
}

impl<T: Send> Unanswered for ReplySlot<T> {
    fn resolve(self: Arc<Self>, ended: Option<&ExitReason>) {
        let lost = ended.map_or(Lost::NoReply, |reason| Lost::Exited(reason.clone()));
        self.answer(Err(lost));
    }
}

/// The caller's side of a slot. A caller that stops waiting drops it.
pub(crate) struct AwaitedReply<T> {
    slot: Option<Arc<ReplySlot<T>>>,
    /// True until the first poll, if the task that makes the call also makes the first poll. In
    /// that poll the waker in the slot is the current one. Stays true if the first poll finds the
    /// answer but has no budget left.
    is_new: bool,
}

impl<T: Send + 'static> AwaitedReply<T> {
    /// Returns a function that says whether the answer is still awaited. The function keeps neither
    /// the answer nor the caller alive.
    pub(crate) fn is_due(&self) -> impl Fn() -> bool + Send + 'static {
        let slot = self.slot.as_ref().map(Arc::downgrade);
        move || slot.as_ref().is_some_and(|slot| slot.strong_count() > 1)
    }

    /// Stores the limit of the call for its handler. Call this before the request is sent.
    pub(crate) fn set_limit(&self, limit: Arc<CallLimit>) {
        if let Some(slot) = &self.slot {
            slot.content.lock().answer = Some(Err(Lost::Pending(limit)));
        }
    }

    /// Returns the slot, for a successor of the server that takes the call over. The slot counts as
    /// owned by the caller and the reply only.
    pub(crate) fn for_successor(&self) -> Option<Weak<dyn TakenOver>> {
        let slot = Arc::downgrade(self.slot.as_ref()?);
        Some(slot)
    }

    /// Allows polls by a task other than the one that made the call.
    pub(crate) fn later(self) -> Self {
        AwaitedReply { is_new: false, ..self }
    }

    #[inline(always)]
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        server: &dyn AnyProcess,
    ) -> Poll<Answer<T>> {
        let slot = self.slot.take().expect("an answer is handed out once");
        if std::mem::take(&mut self.is_new) {
            let is_shared = slot.is_shared();
            // A caller whose answer is there in the first poll has not waited, so the poll consumes
            // budget.
            if is_shared || poll_budget(cx).is_pending() {
                self.is_new = !is_shared;
                self.slot = Some(slot);
                return Poll::Pending;
            }
        }
        // Invariant 1.
        let answer = match Arc::try_unwrap(slot) {
            Ok(slot) => slot.content.into_inner().answer,
            Err(slot) => return self.poll_shared(slot, cx.waker(), server),
        };
        match answer {
            Some(Ok(value)) => Poll::Ready(Ok(value)),
            lost => self.resolve_lost(lost, cx.waker(), server),
        }
    }

    /// Polls a slot that the answering side still owns.
    #[inline(never)]
    fn poll_shared(
        &mut self,
        slot: Arc<ReplySlot<T>>,
        waker: &Waker,
        server: &dyn AnyProcess,
    ) -> Poll<Answer<T>> {
        match slot.poll_content(waker) {
            Poll::Ready(Some(Ok(value))) => Poll::Ready(Ok(value)),
            Poll::Ready(lost) => self.resolve_lost(lost, waker, server),
            Poll::Pending => {
                self.slot = Some(slot);
                Poll::Pending
            }
        }
    }

    /// Returns why there is no answer. If the reply was dropped, asks the record of the server.
    #[cold]
    #[inline(never)]
    fn resolve_lost(
        &mut self,
        lost: Option<Answer<T>>,
        waker: &Waker,
        server: &dyn AnyProcess,
    ) -> Poll<Answer<T>> {
        match lost {
            Some(Err(Lost::HandedOn(handed_on))) => self.ask_server(waker, &*handed_on.server),
            Some(answer) => Poll::Ready(answer),
            None => self.ask_server(waker, server),
        }
    }

    /// Carries out step 4 for a reply that was dropped.
    fn ask_server(&mut self, waker: &Waker, server: &dyn AnyProcess) -> Poll<Answer<T>> {
        let (slot, awaited) = ReplySlot::new(Pid::OUTSIDE, waker.clone());
        match add_unanswered(server, vec![slot]) {
            Ok(()) => {
                // Invariant 4: the next poll registers its own waker.
                *self = awaited.later();
                Poll::Pending
            }
            Err((_, reason)) => Poll::Ready(Err(Lost::Exited(reason))),
        }
    }
}
