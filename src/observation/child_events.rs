//! The last events of a process and of the incarnations before it.

use tokio::time::Instant;

use crate::base::{Pid, TimeOfDay};
use crate::observation::Clock;
use crate::observe::ChangeKind;
use crate::observe::past_events::{KEPT, PastEvent, PastEvents};
use crate::process::{AnyProcess, ChildFacts};
use crate::restart::{Incarnation, KeptEvents};
use crate::runtime::Runtime;

/// An event in the life of a child, in [`ProcessDetail::events`](crate::ProcessDetail::events).
/// [`Runtime::events_of`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildEvent {
    /// When it happened, by the clock of the system.
    pub time: TimeOfDay,
    /// The process; `None` if a start failed.
    pub pid: Option<Pid>,
    /// What happened. Of an [`Ended`](ChangeKind::Ended), `for_good` is false.
    pub kind: ChangeKind,
}

impl Runtime {
    /// Returns the last events of a process, oldest first, whether or not there was an observation
    /// when they happened. It waits for nothing.
    ///
    /// Of a live child, these are the starts and the ends of its last eight incarnations, as the
    /// [history](crate::ChildInfo::history) has them, its own start, and of each of these processes
    /// the last 16 events of other kinds. Of a process that has ended, these are only the events of
    /// other kinds: the history of its child has its start and its end.
    ///
    /// The other kinds are [`Health`](ChangeKind::Health), [`SlowHandler`](ChangeKind::SlowHandler),
    /// [`Deadlock`](ChangeKind::Deadlock), [`ShutdownFailed`](ChangeKind::ShutdownFailed) and
    /// [`LimitReached`](ChangeKind::LimitReached). Those of a live child, and of the incarnations in
    /// its history, are always kept; those of processes that have ended, and are in no history of a
    /// live child, as long as there are no 4,096 later ones with such an event. A child without such
    /// an event costs nothing. OTP has no counterpart.
    ///
    /// ```
    /// use regrow::{ChildSpec, Health, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending()).named("job");
    /// let tree = Supervisor::one_for_one().child(job).start(&rt).await?;
    /// let job = rt.whereis("job").unwrap();
    /// rt.set_health(job, Health::Degraded("slow".into()));
    /// let events = rt.events_of(job);
    /// let kinds: Vec<&str> = events.iter().map(|event| event.kind.name()).collect();
    /// assert_eq!(kinds, ["starting", "health"]);
    /// # drop(tree);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn events_of(&self, pid: Pid) -> Vec<ChildEvent> {
        let mut events = Events { runtime: self, clock: Clock::read(), all: Vec::new() };
        if let Some(facts) = self.kernel.find(pid).and_then(|process| facts_of(&*process)) {
            facts.history.iter().for_each(|past| events.add_past(past));
            let attempt = facts.history.last().map_or(0, |last| last.attempt + 1);
            events.add(facts.started, Some(pid), ChangeKind::Starting { attempt });
        }
        events.add_kept(pid);
        // Events of one moment stay in this order.
        events.all.sort_by_key(|(at, _)| *at);
        events.all.into_iter().map(|(_, event)| event).collect()
    }
}

/// The events of one child that are gathered.
struct Events<'a> {
    runtime: &'a Runtime,
    clock: Clock,
    all: Vec<(Instant, ChildEvent)>,
}

impl Events<'_> {
    fn add(&mut self, at: Instant, pid: Option<Pid>, kind: ChangeKind) {
        self.all.push((at, ChildEvent { time: self.clock.time_at(at), pid, kind }));
    }

    /// Adds the events of a process that are in no history.
    fn add_kept(&mut self, pid: Pid) {
        let kept = self.runtime.kernel.past_events(pid);
        self.add_all(pid, kept.iter().flat_map(|kept| kept.iter()));
    }

    fn add_all<'e>(&mut self, pid: Pid, kept: impl IntoIterator<Item = &'e PastEvent>) {
        for PastEvent { at, kind } in kept {
            self.add(*at, Some(pid), kind.clone());
        }
    }

    /// Adds the last events of a process that has ended. The history of its child has those until its end.
    /// The kernel has the same and those after it, or only the latter, if others made the process give up
    /// its room meanwhile.
    fn add_ended(&mut self, pid: Pid, of_history: &KeptEvents) {
        let of_history = of_history.0.as_deref().and_then(|kept| kept.downcast_ref::<PastEvents>());
        let of_kernel = self.runtime.kernel.past_events(pid);
        let of_history = || of_history.into_iter().flat_map(PastEvents::iter);
        let of_kernel = of_kernel.iter().flat_map(|kept| kept.iter());
        let later = of_kernel.filter(|event| of_history().all(|known| known != *event));
        let all: Vec<&PastEvent> = of_history().chain(later).collect();
        self.add_all(pid, all[all.len().saturating_sub(KEPT)..].iter().copied());
    }

    /// Adds the start of an incarnation that has ended, the events of its process, and its end.
    fn add_past(&mut self, past: &Incarnation) {
        let Incarnation { pid, started, ended, reason, attempt, stopped, events, .. } = past;
        self.add(*started, *pid, ChangeKind::Starting { attempt: *attempt });
        let (reason, stopped) = (reason.clone(), *stopped);
        let uptime = ended.saturating_duration_since(*started);
        let kind = match pid {
            Some(pid) => {
                self.add_ended(*pid, events);
                ChangeKind::Ended { reason, uptime, stopped, for_good: false }
            }
            None => ChangeKind::StartFailed { reason },
        };
        self.add(*ended, *pid, kind);
    }
}

/// Reads what the record of a child says of its life.
fn facts_of(process: &dyn AnyProcess) -> Option<ChildFacts> {
    process.with(|locked| locked.core().relations()?.child.clone())
}

#[cfg(test)]
mod tests {
    use crate::child::ChildSpec;
    use crate::exit::reason::ExitReason;
    use crate::observe::change::ChangeKind;
    use crate::observe::health::Health;
    use crate::runtime::Runtime;
    use crate::supervisor::Supervisor;
    use std::time::Duration;

    /// Others have made the process give up its room in the kernel, and then an event is kept again.
    #[tokio::test(start_paused = true)]
    async fn an_event_after_the_end_does_not_hide_those_of_the_history() {
        let rt = Runtime::new();
        let job = ChildSpec::task("job", |_| std::future::pending()).named("job");
        let tree = Supervisor::one_for_one().child(job).start(&rt).await.expect("it starts");
        let first = rt.whereis("job").expect("it runs");
        rt.set_health(first, Health::Starting);
        rt.exit(first, ExitReason::crashed("no luck"));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let second = rt.whereis("job").expect("it runs again");
        let kinds = || {
            let events = rt.events_of(second).into_iter();
            let of_first = events.filter(|event| event.pid == Some(first));
            of_first.map(|event| event.kind.name()).collect::<Vec<_>>()
        };
        assert_eq!(kinds(), ["starting", "health", "ended"]);
        let stopped = || ChangeKind::Stopped;
        rt.kernel.keep_event(first, stopped());
        assert_eq!(kinds(), ["starting", "health", "ended", "stopped"]);
        // As many other processes as can be kept.
        for n in 1..=4_096 {
            rt.kernel.keep_event(crate::base::Pid::from_raw((1 << 40) + n), stopped());
        }
        assert_eq!(kinds(), ["starting", "health", "ended"]);
        rt.kernel.keep_event(first, ChangeKind::GivenUp);
        assert_eq!(kinds(), ["starting", "health", "ended", "given_up"]);
        tree.stop().await.expect("it stops");
    }
}
