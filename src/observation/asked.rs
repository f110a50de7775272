//! The requests to dynamic supervisors while a picture is taken.
//!
//! A dynamic supervisor that is busy answers late. So the supervisors that a picture visits next are
//! asked at once with the first one, [`AT_ONCE`] at most, and the picture waits for all of them in
//! the same time. That time has a limit for the whole picture; one supervisor that does not answer uses
//! half of what is left, so that those which are asked later still have time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::pin;
use std::sync::Arc;
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

/// How many dynamic supervisors are asked at once.
pub(super) const AT_ONCE: usize = 64;

/// The supervisors that were asked, and their answers.
pub(super) struct Asked<'a, A> {
    /// How long the picture may still wait.
    wait_left: Duration,
    asked: FuturesUnordered<BoxFuture<'a, (Pid, Option<A>)>>,
    /// The answer of each supervisor that was asked and has not been visited; `None` before it has
    /// come.
    answers: HashMap<Pid, Option<Answer<A>>, MapHasher>,
}

/// An answer; `None` of a supervisor that has ended.
type Answer<A> = Option<A>;

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

    /// Asks a supervisor. `request` is sent at the next wait. A supervisor that was asked, and whose
    /// answer has not been taken, is not asked again.
    pub(super) fn ask(&mut self, pid: Pid, request: impl Future<Output = Option<A>> + Send + 'a) {
        let Entry::Vacant(free) = self.answers.entry(pid) else { return };
        free.insert(None);
        self.asked.push(Box::pin(async move { (pid, request.await) }));
    }

    /// Waits for the answer of a supervisor that was asked; `None` if it does not answer in time.
    /// The answers of others that come meanwhile are kept.
    pub(super) async fn answer(&mut self, kernel: &Arc<Kernel>, pid: Pid) -> Option<A> {
        let began = Instant::now();
        let Asked { asked, answers, wait_left } = self;
        let arrives = pin!(async {
            while let Some(None) = answers.get(&pid)
                && let Some((of, answer)) = asked.next().await
            {
                // A supervisor that was given up is not asked again.
                if let Some(kept) = answers.get_mut(&of) {
                    *kept = Some(answer);
                }
            }
        });
        until(kernel, Some(began + *wait_left / 2), arrives).await;
        *wait_left = wait_left.saturating_sub(began.elapsed());
        self.answers.remove(&pid)??
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
            asked.ask(Pid::from_raw(pid), late(pid, BUSY));
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
            asked.ask(Pid::from_raw(pid), std::future::pending());
            assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(pid)).await, None);
        }
        asked.ask(Pid::from_raw(20), async { Some(20) });
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(20)).await, Some(20));
        assert!(began.elapsed() <= super::LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_supervisor_that_was_asked_is_not_asked_again_and_its_answer_is_kept() {
        let (rt, mut asked) = (Runtime::new(), Asked::new());
        asked.ask(Pid::from_raw(1), async { Some(1) });
        asked.ask(Pid::from_raw(2), late(2, BUSY));
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(2)).await, Some(2));
        asked.ask(Pid::from_raw(1), async { panic!("asked again") });
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(1)).await, Some(1));
        assert!(asked.asked.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_too_late_is_not_taken_for_another() {
        let (rt, mut asked) = (Runtime::new(), Asked::new());
        asked.ask(Pid::from_raw(1), late(1, 2 * BUSY));
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(1)).await, None);
        asked.ask(Pid::from_raw(2), async { None });
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(2)).await, None);
        tokio::time::sleep(BUSY).await;
        asked.ask(Pid::from_raw(3), async { Some(3) });
        assert_eq!(asked.answer(&rt.kernel, Pid::from_raw(3)).await, Some(3));
    }
}
