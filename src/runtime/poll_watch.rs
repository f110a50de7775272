//! The public side of the [watch of polls](crate::observe::poll_watch).
//!
//! A report is an event first, and then a line of the log: a process that does not yield may hold the
//! lock of the user's subscriber, and then the line waits for it.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::base::sync::atomic::Ordering;
use crate::base::{Pid, SharedStr, ignore_panic, name, path_excerpt};
use crate::kernel::Kernel;
use crate::observe::log_flood::LineKind;
use crate::observe::poll_watch::{LongPoll, PollReporter};
use crate::observe::{Callback, LifecycleEvent};
use crate::process::AnyProcess;
use crate::runtime::Runtime;

const TARGET: &str = "regrow::process";

impl Runtime {
    /// Reports each process that does not yield: each process one of whose polls takes longer than
    /// `limit`, because it computes without an await, blocks its thread, or drops values whose
    /// destructors take long. `None` turns the watch off, which is the default, and then it costs
    /// one load for each poll of a process.
    ///
    /// The report is made while the poll runs, once for each such poll, by a thread that the watch
    /// starts: it comes even if every thread of tokio is blocked. It is a
    /// [`LifecycleEvent::LongPoll`], and one WARN event of `tracing` with the target
    /// `regrow::process` and the fields `pid`, `label`, `path`, `callback` and `elapsed`. When the
    /// poll has ended there is a [`LifecycleEvent::LongPollEnded`], and an event at level INFO.
    ///
    /// All processes of the runtime are watched: servers, supervisors, tasks, and plain processes.
    /// Other code of the program is not, also not what a process gives to `tokio::spawn`,
    /// [`spawn_blocking`](tokio::task::spawn_blocking) or [`ChildSpec::blocking`]. What a process
    /// runs in [`block_in_place`](tokio::task::block_in_place) counts, since the process handles no
    /// message meanwhile. If a process that is polled polls another one, for example by a `block_on`
    /// in its handler, each is reported by its own time.
    ///
    /// The limit is a time of the system's clock, also while tokio's clock is paused. The thread
    /// looks four times within the limit, so a report comes when the poll has taken between the limit
    /// and one and a half of it, if that thread runs then. A limit below 4 ms counts as 4 ms. A time in which the whole
    /// program was stopped counts as half the limit at most. A poll that already runs when the watch
    /// is turned on is not reported; of a report whose poll still runs when the watch is turned off,
    /// the end is not reported. The thread ends when the watch is turned off, and when the last
    /// process has ended and the last handle of the runtime is dropped.
    ///
    /// While the watch is on, a poll makes three more stores and reads no clock, and a server makes
    /// two more stores for each message. For the time that a handler takes with its awaits, see
    /// [`warn_after`](Self::warn_after). OTP: `erlang:system_monitor/2` with `long_schedule`, which
    /// reports after the fact.
    ///
    /// [`ChildSpec::blocking`]: crate::ChildSpec::blocking
    ///
    /// # Errors
    ///
    /// If the operating system starts no more threads.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    /// use regrow::{LifecycleEvent, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.watch_polls(Duration::from_millis(20))?;
    /// let mut events = rt.events();
    /// let (release, wait) = mpsc::channel();
    /// let observer = std::thread::spawn(move || {
    ///     let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    ///     let event = tokio.block_on(events.next());
    ///     release.send(()).unwrap(); // the process was still blocked
    ///     event
    /// });
    /// let blocked = rt.spawn(|_| async move { wait.recv().unwrap() }); // blocks the only thread
    /// blocked.join().await;
    /// let event = observer.join().unwrap();
    /// assert!(matches!(event, Some(LifecycleEvent::LongPoll { pid, .. }) if pid == blocked.pid()));
    /// # Ok::<(), std::io::Error>(())
    /// # })).unwrap();
    /// ```
    pub fn watch_polls(&self, limit: impl Into<Option<Duration>>) -> io::Result<()> {
        let switches = &self.kernel.switches;
        match limit.into() {
            Some(limit) => {
                let reporter = Reporter(Arc::downgrade(&self.kernel));
                switches.polls.turn_on(limit, reporter, || switches.set_watches_polls(true))?;
            }
            None => switches.polls.turn_off(|| switches.set_watches_polls(false)),
        }
        self.apply_to_all();
        Ok(())
    }
}

/// Reports the polls of one runtime.
struct Reporter(Weak<Kernel>);

impl Reporter {
    /// Publishes an event, and then writes a line of the log.
    fn report(kernel: &Kernel, event: LifecycleEvent, log: impl FnOnce()) {
        kernel.events.publish(|| event);
        kernel.line(LineKind::LongPoll, || ignore_panic(log));
    }
}

impl PollReporter for Reporter {
    fn describe(&self, pid: Pid) -> (Option<SharedStr>, Option<SharedStr>) {
        let kernel = self.0.upgrade();
        let process = kernel.as_ref().and_then(|kernel| kernel.find(pid));
        let Some((kernel, process)) = kernel.as_ref().zip(process) else { return (None, None) };
        (label(&*process), kernel.path_of(&*process).map(|(path, _)| path))
    }

    fn begins(&self, poll: &LongPoll) {
        let Some(kernel) = self.0.upgrade() else { return };
        let LongPoll { pid, label, path, elapsed } = poll.clone();
        let callback = callback(&kernel, pid);
        let (shown_label, shown_path) = shown(poll);
        let event = LifecycleEvent::LongPoll { pid, label, path, callback, elapsed };
        Self::report(&kernel, event, || {
            let callback = callback.map(tracing::field::display);
            let (label, path) = (shown_label, shown_path);
            tracing::warn!(
                target: TARGET, %pid, label, path, callback, ?elapsed, "a process does not yield"
            );
        });
    }

    fn ends(&self, poll: &LongPoll) {
        let Some(kernel) = self.0.upgrade() else { return };
        let LongPoll { pid, label, path, elapsed } = poll.clone();
        let (shown_label, shown_path) = shown(poll);
        let event = LifecycleEvent::LongPollEnded { pid, label, path, elapsed };
        Self::report(&kernel, event, || {
            let (label, path) = (shown_label, shown_path);
            tracing::info!(target: TARGET, %pid, label, path, ?elapsed, "the process has yielded");
        });
    }
}

/// Returns the label and the path in the form that the log shows.
fn shown(poll: &LongPoll) -> (Option<String>, Option<String>) {
    let label = poll.label.as_ref().map(|label| name(label).to_string());
    (label, poll.path.as_ref().map(|path| path_excerpt(path).to_string()))
}

fn label(process: &dyn AnyProcess) -> Option<SharedStr> {
    process.with(|locked| locked.core().relations()?.label.clone())
}

fn callback(kernel: &Kernel, pid: Pid) -> Option<Callback> {
    Callback::from_bits(kernel.find(pid)?.head().callback.load(Ordering::Relaxed))
}
