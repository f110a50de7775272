//! Shared code of the benches. A bench measures an operation on regrow and on *raw*, alternately and
//! in one process, and prints the ratio.
//!
//! Raw is what a tokio program writes without a library: tasks, unbounded mpsc channels, oneshots,
//! and what the header of a bench names. Nanoseconds differ between machines and over time. The
//! ratio of two sides that are measured alternately is comparable.
//!
//! There are two [tables](Table). Command lines:
//!
//! * `cargo bench 2>/dev/null` prints the demanding rows: servers as children, messages with
//!   content, all operations at once, up to 1,000,000 processes, percentiles of calls.
//! * `cargo bench -- --simple` prints the rows of the simplest shape: tasks as children, empty
//!   messages, batches of a thousand. `-- --all` prints both tables.
//! * `cargo bench --bench send -- eight` measures only rows with "eight" in their names.
//! * `cargo bench -- --quick`, and `cargo test --benches`, run tiny sizes. They check that the
//!   benches work; their figures have no meaning.

#![allow(dead_code, unused_imports)] // no bench needs all of it

mod bench;
mod counting;
mod echo;
mod os;
mod row;

use std::time::Instant;

use regrow::{Context, Pid, Runtime};

pub(crate) use bench::Bench;
pub(crate) use counting::{Countdown, Pending};
pub(crate) use echo::Echo;
pub(crate) use os::{cpu_nanos, in_new_process, ordered, resident};
pub(crate) use row::{Row, Table, Target};

/// The nanoseconds since `start`, divided by `operations`.
pub(crate) fn nanos_each(start: Instant, operations: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / operations as f64
}

/// Yields after every hundredth message, as a sender does that waits for its own input.
pub(crate) async fn yield_sometimes(sent: usize) {
    if sent % 100 == 99 {
        tokio::task::yield_now().await;
    }
}

/// Ends all processes, and waits until none is left in the table.
pub(crate) async fn shut_down(rt: &Runtime) {
    rt.shutdown();
    while rt.process_count() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Waits until the spawned tasks are idle.
pub(crate) async fn wait_until_idle() {
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

/// A message of eight bytes.
pub(crate) fn eight_bytes(n: usize) -> Vec<u8> {
    (n as u64).to_le_bytes().to_vec()
}

/// Sends a pid to a process.
pub(crate) fn send_pid(rt: &Runtime, to: Pid, other: Pid) {
    rt.send(to, other.raw().to_le_bytes().to_vec());
}

/// Receives the pid that [`send_pid`] sends.
pub(crate) async fn receive_pid(ctx: &mut Context) -> Pid {
    let message = ctx.recv().await.message().expect("a pid");
    Pid::from_raw(u64::from_le_bytes(message.try_into().expect("eight bytes")))
}
