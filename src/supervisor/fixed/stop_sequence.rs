//! The stop of several children, one after the other, in which the end of a child begins the stop of
//! the next one.
//!
//! **Guarantee.** The stops are those of [`stop`](crate::supervisor::stop), in the same order: a child
//! is asked to stop when the one before has ended, its shutdown time begins then, and what readers
//! see is published then.
//!
//! **Why.** The supervisor would be woken and polled for each child, only to ask the next one. Here the
//! waker that the record of a child holds is that of the sequence. The teardown of the child wakes it
//! last, when its end is announced, and the waker asks the next child. The supervisor waits for the
//! whole sequence with one deadline.
//!
//! ```text
//!   supervisor       asks the first member, waits ............ takes over the member in progress,
//!                                                              and records the ends
//!   member 1         ends --> asks member 2                                   ^
//!   member 2         ends --> asks member 3                                   |
//!   member 3         ends otherwise than asked, or is the last, or is late ---+
//! ```
//!
//! A sequence of more than a millisecond is *slow*. Then the supervisor is woken after each end, and
//! records it, while the sequence goes on: history and snapshots have the reason of each child that has
//! stopped, however long the others take.
//!
//! The supervisor takes over, and finishes the stop in progress as any other, when
//! * the member in progress has ended, and it is the last, or its reason is not `Shutdown`: such an end
//!   may be logged, and may decide that the supervisor ends,
//! * the member in progress is late,
//! * the next member is killed at once, or its time ends before the deadline that the supervisor
//!   waits for,
//! * there is an observation, which receives each change in order.
//!
//! **Invariants**
//! 1. The sequence advances in one place at a time: in the supervisor before its wait, and then in
//!    the waker that the record of the member in progress holds. This waker is woken once.
//! 2. The waker makes the next member the member in progress under the lock, and only if the sequence
//!    is not over. Then it asks that member. `is_over` is set once, under the same lock: from then on
//!    the supervisor alone goes on, with the member in progress.
//! 3. The lock is held for a few reads and writes, never while a member is asked.
//!
//! What happens if one side ends in between:
//!
//! | | |
//! |---|---|
//! | the member ends before its waker is in its record | the code that adds the waker finds the end announced, and goes on |
//! | the member ends after the supervisor has taken over for its lateness | the waker finds `is_over`; the supervisor finds the end before it kills |
//! | the supervisor is killed while it waits | the drop of [`Running`] sets `is_over`; the links end the members |
//! | the supervisor records an end while a waker announces the stop of the next member | both are published for different children, in either order |
//! | the supervisor is killed while a waker asks the next member | that member gets the request beside the exit of the link, as if the supervisor had been killed right after it had asked |
//! | tokio shuts down | the members end with `Killed`, so the supervisor takes over, and is dropped |

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::base::PlainMutex;
use crate::base::failpoint::step;
use crate::child::Spec;
use crate::exit::{ExitReason, Shutdown};
use crate::process::{AnyProcess, ChildStop};
use crate::runtime::{end_wait, reason_or_wait, until};
use crate::supervisor::stop::{BegunStop, finish_stop};
use crate::supervisor::{Position, PublishedCell, Report, StopRequest, stop};

/// A sequence that takes longer than this is slow: the supervisor then records each end at once.
const SLOW: Duration = Duration::from_millis(1);

/// The reason and the time of the end of a stopped child.
pub(crate) type StoppedEnd = (ExitReason, Instant);

/// A child that runs and is to be stopped.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) position: Position,
    pub(crate) spec: Arc<Spec>,
    pub(crate) process: Arc<dyn AnyProcess>,
    /// What is noted in the record of the child before the stop, if anything is.
    pub(crate) how: Option<ChildStop>,
}

/// The stops of several children: the sequence in progress, and the ends that the supervisor has to
/// record.
#[derive(Default)]
pub(crate) struct Stops {
    sequence: Option<Running>,
    ended: VecDeque<StoppedEnd>,
}

impl Stops {
    /// Waits for the next end in the order of the members. If no sequence is in progress, begins one
    /// over the given members. Returns `None` if there are none. The shutdown time of the first begins at
    /// `now`.
    pub(crate) async fn next(
        &mut self,
        report: &Report,
        published: &Arc<PublishedCell>,
        members: impl FnOnce() -> Vec<Member>,
        now: Instant,
    ) -> Option<StoppedEnd> {
        if self.ended.is_empty() {
            if self.sequence.is_none() {
                let members = members();
                if let [only] = &members[..] {
                    only.announce(report, published, None, now);
                    return Some(stop(report, only.request(), now).await);
                }
                step!("before a stop");
                self.sequence = StopSequence::begin(report, published, members, now);
            }
            if let Some(running) = &self.sequence {
                let is_over;
                (self.ended, is_over) = running.0.ends().await;
                if is_over {
                    self.sequence = None;
                }
            }
        }
        self.ended.pop_front()
    }
}

/// A sequence in progress. Dropping it ends the sequence.
struct Running(Arc<StopSequence>);

/// A sequence of stops.
struct StopSequence {
    report: Report,
    published: Arc<PublishedCell>,
    members: Vec<Member>,
    /// The number under which the record of the member in progress holds the waker.
    waiter: u64,
    state: PlainMutex<State>,
}

struct State {
    /// The index of the member in progress.
    at: usize,
    begun: BegunStop,
    /// The deadline that the supervisor waits for.
    awaited_until: Option<Instant>,
    /// The ends that the supervisor has not taken yet, all with `Shutdown`.
    ended: VecDeque<StoppedEnd>,
    /// The supervisor is woken after each end, because the sequence takes long.
    is_slow: bool,
    /// Invariant 2.
    is_over: bool,
    supervisor: Option<Waker>,
}

impl Member {
    fn request(&self) -> StopRequest<'_> {
        StopRequest::of(&self.spec, &self.process)
    }

    /// Publishes that the stop of this child began at `now`, and notes it in the record of the child.
    /// `before` is the child that has ended before.
    fn announce(
        &self,
        report: &Report,
        published: &PublishedCell,
        before: Option<Position>,
        now: Instant,
    ) {
        let due = self.spec.shutdown.deadline(now);
        published.begin_stop(before, self.position, self.process.pid(), (now, due));
        if let Some(how) = self.how {
            report.note_stop(&*self.process, how);
        }
    }
}

impl StopSequence {
    /// Asks the first member. Returns `None` if there is none.
    fn begin(
        report: &Report,
        published: &Arc<PublishedCell>,
        members: Vec<Member>,
        now: Instant,
    ) -> Option<Running> {
        let first = members.first()?;
        first.announce(report, published, None, now);
        let begun = first.request().mute(report, now);
        first.request().ask(report);
        let state = State {
            at: 0,
            begun,
            awaited_until: first.request().due(now),
            ended: VecDeque::with_capacity(members.len()),
            is_slow: false,
            is_over: false,
            supervisor: None,
        };
        let sequence = Arc::new(StopSequence {
            report: report.clone(),
            published: published.clone(),
            members,
            waiter: report.runtime.kernel.fresh_id(),
            state: PlainMutex::new(state),
        });
        sequence.advance(&Waker::from(sequence.clone()));
        Some(Running(sequence))
    }

    /// Waits until the sequence is over, and finishes the stop in progress. If that takes long, returns
    /// the ends until now. Also returns whether the sequence is over.
    async fn ends(&self) -> (VecDeque<StoppedEnd>, bool) {
        let kernel = &self.report.runtime.kernel;
        loop {
            let (due, is_slow) = {
                let state = self.state.lock();
                (state.awaited_until, state.is_slow)
            };
            let waited = if is_slow {
                until(kernel, due, Progress(self)).await
            } else {
                let soon = Instant::now() + SLOW;
                let soon = due.map_or(soon, |due| due.min(soon));
                timeout_at(soon, Progress(self)).await.ok()
            };
            if waited.is_none() && !self.is_late() {
                continue;
            }
            let (at, begun, ended, is_over) = {
                let mut state = self.state.lock();
                let ended = std::mem::take(&mut state.ended);
                (state.at, state.begun, ended, state.is_over)
            };
            return (self.finish(at, begun, ended, is_over).await, is_over);
        }
    }

    /// If the sequence is over, finishes the stop in progress, and adds its end.
    async fn finish(
        &self,
        at: usize,
        begun: BegunStop,
        mut ended: VecDeque<StoppedEnd>,
        is_over: bool,
    ) -> VecDeque<StoppedEnd> {
        if is_over {
            let member = &self.members[at];
            ended.push_back(finish_stop(&self.report, member.request(), begun).await);
        }
        ended
    }

    /// Whether the deadline of the member in progress has passed; the sequence is over then. Otherwise
    /// the supervisor waits for the deadline of that member from now on, and is woken after each end.
    fn is_late(&self) -> bool {
        let mut state = self.state.lock();
        state.is_slow = true;
        let due = self.members[state.at].request().due(state.begun.began);
        let is_late = state.awaited_until == due && due.is_some_and(|due| due <= Instant::now());
        state.is_over |= is_late;
        state.awaited_until = due;
        is_late
    }

    /// Asks one member after the other, until one has not ended yet: its end wakes `waker`. Invariant
    /// 1.
    fn advance(&self, waker: &Waker) {
        loop {
            let (at, begun, waited) = {
                let state = self.state.lock();
                if state.is_over {
                    return;
                }
                (state.at, state.begun, state.awaited_until)
            };
            let member = &self.members[at];
            let Some(reason) = reason_or_wait(&*member.process, self.waiter, waker) else { return };
            let now = Instant::now();
            let next = self.members.get(at + 1).filter(|_| reason == ExitReason::Shutdown);
            let Some(next) = next.filter(|next| self.may_ask(next, now, waited)) else {
                return self.end();
            };
            let next_begun = next.request().mute(&self.report, now);
            crate::base::failpoint::point!("stop sequence between link and step");
            let supervisor = {
                // Invariant 2.
                let mut state = self.state.lock();
                if state.is_over {
                    return;
                }
                state.ended.push_back((reason.clone(), now));
                (state.at, state.begun) = (at + 1, next_begun);
                if state.is_slow { state.supervisor.take() } else { None }
            };
            crate::base::failpoint::point!("stop sequence between step and request");
            member.request().end_stop(&self.report, begun, &reason, (now, None));
            next.announce(&self.report, &self.published, Some(member.position), now);
            next.request().ask(&self.report);
            supervisor.into_iter().for_each(Waker::wake);
        }
    }

    /// Whether the end of a member may begin the stop of the next one.
    fn may_ask(&self, next: &Member, now: Instant, waited: Option<Instant>) -> bool {
        let is_in_time = match (waited, next.request().due(now)) {
            (None, due) => due.is_none(),
            (Some(waited), due) => due.is_none_or(|due| due >= waited),
        };
        next.spec.shutdown != Shutdown::BrutalKill
            && is_in_time
            && !self.report.source.is_observed()
    }

    /// Ends the sequence, and wakes the supervisor.
    fn end(&self) {
        let supervisor = {
            let mut state = self.state.lock();
            state.is_over = true;
            state.supervisor.take()
        };
        supervisor.into_iter().for_each(Waker::wake);
    }
}

/// Called by the teardown of the member in progress.
impl Wake for StopSequence {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        self.advance(&waker);
    }
}

/// Waits until the sequence is over or, if it is slow, until there is an end to be recorded.
struct Progress<'a>(&'a StopSequence);

impl Future for Progress<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.state.lock();
        if state.is_over || (state.is_slow && !state.ended.is_empty()) {
            return Poll::Ready(());
        }
        if !state.supervisor.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.supervisor = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let at = {
            let mut state = self.0.state.lock();
            state.is_over = true;
            state.at
        };
        end_wait(&*self.0.members[at].process, self.0.waiter);
    }
}
