//! Where the answer of one call is put: a slot that two hold, the caller and whoever owes it
//! the answer.
//!
//! Whoever owes it puts something in, lets go of the slot, and only then wakes the caller. So
//! a caller that holds the slot alone need not lock it: what is in there is its own.
//!
//! What happens when the server ends between any two steps: a reply that is dropped unsent
//! says so in the slot, and the caller then asks the server's record for the truth. Where
//! that has ended, it gives its reason. If not, the server is to settle it: the caller puts a
//! slot on the server's list, under the server's lock, and the server goes through that list
//! between two handlers, or its teardown does, in the step that makes it *ended*. So the
//! caller always hears the truth, and once.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::base::catch::{ignore_panic, wake};
use crate::base::coop::poll_budget;
use crate::base::sync::Mutex;
use crate::base::sync::atomic::Ordering;
use crate::exit::reason::ExitReason;
use crate::process::core::Unanswered;
use crate::process::{AnyProcess, Stage, flag};

/// What a caller waits for.
pub(crate) type Answer<T> = Result<T, Lost>;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    NoReply,
    Exited(ExitReason),
    /// The question was evicted from a full mailbox.
    Overloaded,
}

/// What is in a slot. If it is neither, its reply was dropped, elsewhere than in its server.
///
/// Two fields, and no enum: the answer is copied out of there twice, and what is copied whole
/// just after its parts were waits for them.
struct Content<T> {
    answer: Option<Answer<T>>,
    /// Who waits for it.
    waker: Option<Waker>,
}

/// Held by the caller and by one other: a reply, or the list of those that a server owes.
pub(crate) struct ReplySlot<T>(Mutex<Content<T>>);

impl<T> ReplySlot<T> {
    /// A slot to be filled, and its caller's end.
    #[inline]
    pub(crate) fn new(waker: Waker) -> (Arc<Self>, AwaitedReply<T>) {
        let content = Content { answer: None, waker: Some(waker) };
        let slot = Arc::new(ReplySlot(Mutex::new(content)));
        (slot.clone(), AwaitedReply { slot: Some(slot), is_new: true })
    }

    /// Whether the other one still holds it, too.
    #[inline]
    pub(crate) fn is_shared(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }

    #[inline]
    pub(crate) fn answer(self: Arc<Self>, answer: Answer<T>) {
        self.fill(Some(answer));
    }

    /// Nobody will answer, and the caller is to find out why.
    pub(crate) fn mark_dropped(self: Arc<Self>) {
        self.fill(None);
    }

    /// What is in there, or pending, and then this waker is woken when there is.
    fn poll_content(&self, waker: &Waker) -> Poll<Option<Answer<T>>> {
        let waker = waker.clone();
        let mut content = self.0.lock();
        if content.waker.is_none() {
            return Poll::Ready(content.answer.take());
        }
        let old = content.waker.replace(waker);
        drop(content);
        drop(old);
        Poll::Pending
    }

    #[inline]
    fn fill(self: Arc<Self>, answer: Option<Answer<T>>) {
        let mut content = self.0.lock();
        content.answer = answer;
        let waker = content.waker.take();
        drop(content);
        drop(self);
        wake(waker);
    }
}

impl<T: Send> Unanswered for ReplySlot<T> {
    fn resolve(self: Arc<Self>, ended: Option<&ExitReason>) {
        let lost = ended.map_or(Lost::NoReply, |reason| Lost::Exited(reason.clone()));
        self.answer(Err(lost));
    }
}

/// The caller's end of a slot. Dropped, it is a caller that has stopped waiting.
pub(crate) struct AwaitedReply<T> {
    slot: Option<Arc<ReplySlot<T>>>,
    /// The waker in there is that of the poll which goes on.
    is_new: bool,
}

impl<T: Send + 'static> AwaitedReply<T> {
    /// What says whether the answer is still due. It keeps neither the answer nor its caller.
    pub(crate) fn is_due(&self) -> impl Fn() -> bool + Send + 'static {
        let slot = self.slot.as_ref().map(Arc::downgrade);
        move || slot.as_ref().is_some_and(|slot| slot.strong_count() > 1)
    }

    /// It may be polled by another than whoever made it.
    pub(crate) fn later(self) -> Self {
        AwaitedReply { is_new: false, ..self }
    }

    #[inline]
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        server: &dyn AnyProcess,
    ) -> Poll<Answer<T>> {
        let slot = self.slot.take().expect("an answer is handed out once");
        if std::mem::take(&mut self.is_new) {
            let is_shared = slot.is_shared();
            // Answered in the poll that asks: the caller has not waited, so it takes its turn.
            if is_shared || poll_budget(cx).is_pending() {
                self.is_new = !is_shared;
                self.slot = Some(slot);
                return Poll::Pending;
            }
        }
        let answer = match Arc::try_unwrap(slot) {
            Ok(slot) => slot.0.into_inner().answer,
            Err(slot) => match slot.poll_content(cx.waker()) {
                Poll::Ready(answer) => answer,
                Poll::Pending => {
                    self.slot = Some(slot);
                    return Poll::Pending;
                }
            },
        };
        match answer {
            Some(answer) => Poll::Ready(answer),
            None => self.ask_server(cx.waker(), server),
        }
    }

    /// Its reply was dropped: the server has ended, or is to settle it.
    #[cold]
    #[inline(never)]
    fn ask_server(&mut self, waker: &Waker, server: &dyn AnyProcess) -> Poll<Answer<T>> {
        let (slot, awaited) = ReplySlot::new(waker.clone());
        match add_unanswered(server, vec![slot]) {
            Ok(()) => {
                *self = awaited;
                Poll::Pending
            }
            Err((_, reason)) => Poll::Ready(Err(Lost::Exited(reason))),
        }
    }
}

/// The server is to settle these, between two handlers or at its end. If it has ended, they are
/// given back, and the reason.
pub(crate) fn add_unanswered(
    server: &dyn AnyProcess,
    callers: Vec<Arc<dyn Unanswered>>,
) -> Result<(), (Vec<Arc<dyn Unanswered>>, ExitReason)> {
    server.with(|locked| {
        let core = locked.core();
        if let (Stage::Ended, Some(reason)) = (core.stage, &core.reason) {
            return Err((callers, reason.clone()));
        }
        core.registrations_mut().unanswered.extend(callers);
        server.raise(flag::UNANSWERED);
        core.notify();
        // It may be in a handler, or a test's stand-in for a server.
        core.wake_task();
        Ok(())
    })
}

/// The server lives, and nobody will answer these callers.
pub(crate) fn resolve_handed_over(server: &dyn AnyProcess) {
    server.flags().fetch_and(!flag::UNANSWERED, Ordering::AcqRel);
    let callers = server.with(|locked| {
        let registrations = locked.core().registrations();
        registrations
            .map(|registrations| std::mem::take(&mut registrations.unanswered))
            .unwrap_or_default()
    });
    resolve_all(callers, None);
}

/// Each hears it, whatever waking another does.
pub(crate) fn resolve_all(callers: Vec<Arc<dyn Unanswered>>, ended: Option<&ExitReason>) {
    for caller in callers {
        ignore_panic(|| caller.resolve(ended));
    }
}
