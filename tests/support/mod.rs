//! Shared helpers: processes that act on request and report what they receive, and checks that
//! nothing is left.
#![allow(dead_code, unused_imports, unreachable_pub)] // no test file uses all of it
#![allow(clippy::needless_pass_by_value, clippy::manual_async_fn)] // checks are closures

pub mod cargo;
pub mod injected_panics;
pub mod kinds;
pub mod ledger;
pub mod listener;
pub mod log;
#[cfg(feature = "metrics")]
pub mod metric_values;
pub mod modules;
pub mod node;
pub mod program;
pub mod test_process;
pub mod race;
pub mod recorder;
pub mod reporter;
pub mod rng;
pub mod counting_waker;
pub mod source;
pub mod child_program;
pub mod scribe;
pub mod scripted_children;
pub mod erlang;

pub use listener::Listener;
pub use test_process::TestProcess;

pub use self::{dead_pid as dead, text as message};

use std::future::pending;
use std::time::Duration;

use regrow::{ExitReason, Leftovers, MonitorRef, Pid, ProcessHandle, Received, Runtime};
use tokio::sync::mpsc::UnboundedReceiver;

/// Starts a process that waits for ever.
pub fn idler(rt: &Runtime) -> ProcessHandle {
    rt.spawn(|_| pending())
}

/// Starts a process that waits for ever, and returns its pid.
pub fn idle(rt: &Runtime) -> Pid {
    idler(rt).pid()
}

/// Returns the text with its pids as they are in the first runtime of a program, which begins with 1.
/// Each runtime begins one above a multiple of 1,024.
pub fn from_one(text: impl ToString) -> String {
    let text = text.to_string();
    let mut parts = text.split('#');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let number = number.parse().map(|pid: u64| (pid.saturating_sub(1) % 1_024 + 1).to_string());
        shown.extend(["#", &number.unwrap_or_default(), rest]);
    }
    shown
}

/// Kills a process and waits until it has ended.
pub async fn killed(rt: &Runtime, pid: Pid) {
    let ended = rt.ended(pid);
    assert!(rt.kill(pid), "{pid} was to be killed, but is not alive");
    ended.await;
}

/// Waits until every process waits and no signal is in transit. Requires paused time, which
/// advances only when no task has anything left to do.
pub async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Takes what is queued in a channel by now.
pub fn drained<T>(channel: &mut UnboundedReceiver<T>) -> Vec<T> {
    std::iter::from_fn(|| channel.try_recv().ok()).collect()
}

/// Returns the pid of a process that has ended.
pub async fn dead_pid(rt: &Runtime) -> Pid {
    let process = rt.spawn(|_| async {});
    process.join().await;
    process.pid()
}

/// Returns a crash reason with this text.
pub fn crash(text: &str) -> ExitReason {
    ExitReason::crashed(text)
}

/// Returns a message with this text.
pub fn text(text: &str) -> Received {
    Received::Message(text.into())
}

/// Returns the `Exit` that a process that traps exits receives.
pub fn exit(from: Pid, reason: ExitReason) -> Received {
    Received::Exit { from, reason }
}

/// Returns the `Down` of this monitor.
pub fn down(reference: MonitorRef, pid: Pid, reason: ExitReason) -> Received {
    Received::Down { reference, pid, reason }
}

/// Yields, to tasks and to threads, until `done` returns true; panics if that does not happen.
pub async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..20_000_000 {
        if done() {
            return;
        }
        std::thread::yield_now();
        tokio::task::yield_now().await;
    }
    panic!("never: {what}");
}

/// Kills all processes, and asserts that every table is empty afterwards.
pub async fn assert_nothing_left(rt: &Runtime) {
    rt.shutdown();
    for pid in rt.list() {
        rt.ended(pid).await;
    }
    let empty = || rt.leftovers() == Leftovers::default() && rt.spawned() == rt.finished();
    until("empty tables", empty).await;
}

/// Runs a closure when dropped.
pub struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub fn new(act: F) -> Self {
        OnDrop(Some(act))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}
