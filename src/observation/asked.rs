//! The requests to dynamic supervisors while a picture is taken.
//!
//! A dynamic supervisor that is busy answers late. So the supervisors that a picture visits next are
//! asked at once with the first one, [`AT_ONCE`] at most, and the picture waits for all of them in
//! the same time. That time has a limit for the whole picture; one supervisor that does not answer uses
//! half of what is left, so that those which are asked later still have time.
//!
//! A supervisor with very many children answers in parts. Each part shows that it is not stuck: the
//! limit holds for the time after the last part, and [`FOR_PART`] of it is not counted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::base::Pid;
use crate::base::random::MapHasher;
use crate::kernel::Kernel;
use crate::runtime::until;

/// How long a picture waits for the answers of all dynamic supervisors together.
const LIMIT: Duration = Duration::from_millis(250);

/// How much more time a supervisor has for each part of its answer.
const FOR_PART: Duration = Duration::from_millis(10);

/// How many dynamic supervisors are asked at once.
pub(super) const AT_ONCE: usize = 64;

/// The supervisors that were asked, and their answers.
pub(super) struct Asked<'a, A> {
    /// How long the picture may still wait.
    wait_left: Duration,
    asked: FuturesUnordered<BoxFuture<'a, (Pid, Option<A>)>>,
    /// The supervisors that were asked and have not been visited.
    answers: HashMap<Pid, Answer<A>, MapHasher>,
}

/// The answer of a supervisor that was asked.
struct Answer<A> {
    /// The number of parts that have arrived, before the last one.
    parts: Arc<AtomicUsize>,
    /// `None` before it has come. The answer is `None` of a supervisor that has ended.
    whole: Option<Option<A>>,
}

/// Counts the parts of one answer. Nothing keeps it from the moment on when the picture waits no longer.
#[derive(Debug, Clone)]
pub(super) struct PartCount(Weak<AtomicUsize>);

impl PartCount {
    /// Notes that a part has arrived. Returns whether the picture still waits for the others.
    pub(super) fn add(&self) -> bool {
        self.0.upgrade().is_some_and(|parts| {
            parts.fetch_add(1, Ordering::Relaxed);
            true
        })
    }
}

impl<'a, A> Asked<'a, A> {
    pub(super) fn new() -> Self {
        Asked { wait_left: LIMIT, asked: FuturesUnordered::new(), answers: HashMap::default() }
    }

    pub(super) fn is_asked(&self, pid: Pid) -> bool {
        self.answers.contains_key(&pid)
    }

    /// Whether one more supervisor may be asked in advance.
    pub(super) fn has_room(&self) -> bool {
        self.answers.len() < AT_ONCE
    }

    /// Asks a supervisor. The request is sent at the next wait. A supervisor that was asked, and whose
    /// answer has not been taken, is not asked again.
    pub(super) fn ask<F>(&mut self, pid: Pid, request: impl FnOnce(PartCount) -> F)
    where
        F: Future<Output = Option<A>> + Send + 'a,
    {
        let Entry::Vacant(free) = self.answers.entry(pid) else { return };
        let parts = Arc::new(AtomicUsize::new(0));
        let request = request(PartCount(Arc::downgrade(&parts)));
        free.insert(Answer { parts, whole: None });
        self.asked.push(Box::pin(async move { (pid, request.await) }));
    }

    /// Waits for the answer of a supervisor that was asked; `None` if it does not answer in time.
    /// The answers of others that come meanwhile are kept.
    pub(super) async fn answer(&mut self, kernel: &Arc<Kernel>, pid: Pid) -> Option<A> {
        while let Some(Answer { whole: None, parts }) = self.answers.get(&pid) {
            let (began, seen) = (Instant::now(), parts.load(Ordering::Relaxed));
            let due = began + self.wait_left / 2;
            let is_part = until(kernel, Some(due), self.arrives(pid, seen)).await == Some(true);
            let free = if is_part { FOR_PART } else { Duration::ZERO };
            self.wait_left = self.wait_left.saturating_sub(began.elapsed().saturating_sub(free));
            if !is_part {
                break;
            }
        }
        self.answers.remove(&pid)?.whole?
    }

    /// Resolves with `true` when this supervisor has answered more parts than `seen`, and with `false` when
    /// its answer is complete.
    fn arrives(&mut self, pid: Pid, seen: usize) -> impl Future<Output = bool> + Unpin {
        let Asked { asked, answers, .. } = self;
        poll_fn(move |cx| {
            while let Poll::Ready(arrived) = asked.poll_next_unpin(cx) {
                let Some((of, whole)) = arrived else { return Poll::Ready(false) };
                // A supervisor that was given up is not asked again.
                if let Some(answer) = answers.get_mut(&of) {
                    answer.whole = Some(whole);
                }
                if of == pid {
                    return Poll::Ready(false);
                }
            }
            let parts = answers.get(&pid).map_or(0, |answer| answer.parts.load(Ordering::Relaxed));
            if parts > seen { Poll::Ready(true) } else { Poll::Pending }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, Asked};
    use crate::base::pid::Pid;
    use crate::runtime::Runtime;
    use std::time::Duration;

    const BUSY: Duration = Duration::from_millis(100);

    async fn late(answer: u64, after: Duration) -> Option<u64> {
        tokio::time::sleep(after).await;
        Some(answer)
    }

    #[tokio::test(start_paused = true)]
    async fn supervisors_that_are_busy_at_the_same_time_all_answer() {
        let (rt, mut asked) = (Runtime::new(), Asked::new());
        let all = 1..=AT_ONCE as u64;
        for pid in all.clone() {
            assert!(asked.has_room());
            asked.ask(Pid::from_raw(pid), |_| late(pid, BUSY));
        }
        assert!(!asked.has_room());
        for pid in all {
            assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(pid)).await, Some(pid));
        }
        assert!(asked.has_room() && asked.asked.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn supervisors_that_never_answer_leave_time_for_later_ones_within_the_limit() {
        let (rt, mut asked) = (Runtime::new(), Asked::new());
        let began = tokio::time::Instant::now();
        for pid in 1..20 {
            asked.ask(Pid::from_raw(pid), |_| std::future::pending());
            assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(pid)).await, None);
        }
        asked.ask(Pid::from_raw(20), |_| async { Some(20) });
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(20)).await, Some(20));
        assert!(began.elapsed() <= super::LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_supervisor_that_was_asked_is_not_asked_again_and_its_answer_is_kept() {
        let (rt, mut asked) = (Runtime::new(), Asked::new());
        asked.ask(Pid::from_raw(1), |_| async { Some(1) });
        asked.ask(Pid::from_raw(2), |_| late(2, BUSY));
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(2)).await, Some(2));
        asked.ask(Pid::from_raw(1), |_| async { panic!("asked again") });
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(1)).await, Some(1));
        assert!(asked.asked.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_too_late_is_not_taken_for_another() {
        let (rt, mut asked) = (Runtime::new(), Asked::new());
        asked.ask(Pid::from_raw(1), |_| late(1, 2 * BUSY));
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(1)).await, None);
        asked.ask(Pid::from_raw(2), |_| async { None });
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(2)).await, None);
        tokio::time::sleep(BUSY).await;
        asked.ask(Pid::from_raw(3), |_| async { Some(3) });
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(3)).await, Some(3));
    }

    /// Answers in parts, each after a time of `BUSY`.
    async fn in_parts(count: super::PartCount, parts: u64) -> Option<u64> {
        for part in 1..=parts {
            tokio::time::sleep(BUSY).await;
            if part < parts && !count.add() {
                return None;
            }
        }
        Some(parts)
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_holds_for_the_time_after_the_last_part() {
        let (rt, mut asked) = (Runtime::new(), Asked::new());
        // In one answer, none of these would be in time.
        asked.ask(Pid::from_raw(1), |count| in_parts(count, 2));
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(1)).await, None);
        let short = super::FOR_PART;
        let mut asked = Asked::new();
        asked.ask(Pid::from_raw(1), |count| async move {
            for _ in 0..100 {
                tokio::time::sleep(short).await;
                assert!(count.add());
            }
            Some(100)
        });
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(1)).await, Some(100));
        // The parts have used up nothing of the time for others.
        asked.ask(Pid::from_raw(2), |_| late(2, BUSY));
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(2)).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_supervisor_that_is_given_up_is_asked_for_no_further_part() {
        let (rt, mut asked) = (Runtime::new(), Asked::new());
        let (told, asks) = tokio::sync::oneshot::channel();
        asked.ask(Pid::from_raw(1), |count| async move {
            assert!(count.add());
            tokio::time::sleep(2 * BUSY).await;
            told.send(count.add()).expect("the test waits");
            None
        });
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(1)).await, None);
        tokio::time::sleep(BUSY).await;
        asked.ask(Pid::from_raw(2), |_| async { Some(2) });
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(2)).await, Some(2));
        assert_eq!(asks.await, Ok(false));
    }
}
