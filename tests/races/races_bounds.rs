//! The bound of a mailbox with many concurrent senders.

use crate::support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use regrow::{Pid, Runtime};
use support::assert_nothing_left;
use tokio::sync::mpsc::unbounded_channel;

const SENDERS: u64 = 3;
const SENDS: u64 = 20_000;
const CAPACITY: usize = 8;

/// Sends from this thread without a pause; returns how many messages were accepted.
fn send_all(rt: &Runtime, to: Pid) -> u64 {
    (0..SENDS).filter(|_| rt.send(to, vec![1])).count() as u64
}

fn watch_depth(rt: &Runtime, pid: Pid, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let depth = rt.info(pid).map_or(0, |info| info.mailbox_depth);
        assert!(depth <= CAPACITY, "a depth of {depth}");
        thread::yield_now();
    }
}

/// T07: the depth never exceeds the bound, no send bypasses the bound, and the accepted messages
/// are the received ones. The senders are threads outside tokio, and tokio has 1, 2 and 4 workers.
#[test]
fn the_mailbox_bound_holds_with_many_senders() {
    for workers in [1, 2, 4] {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .build()
            .unwrap();
        let rt = tokio.block_on(async { Runtime::with_mailbox_capacity(CAPACITY) });
        let received = std::sync::Arc::new(AtomicU64::new(0));
        let (counter, (done, mut ended)) = (received.clone(), unbounded_channel());
        let consumer = rt.spawn(move |mut ctx| async move {
            while ctx.recv().await.message().is_some_and(|message| message == [1]) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            done.send(()).unwrap();
        });
        let pid = consumer.pid();
        let (accepted, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            let watcher = scope.spawn(|| watch_depth(&rt, pid, &stop));
            let senders: Vec<_> =
                (0..SENDERS).map(|_| scope.spawn(|| send_all(&rt, pid))).collect();
            for sender in senders {
                accepted.fetch_add(sender.join().unwrap(), Ordering::SeqCst);
            }
            stop.store(true, Ordering::SeqCst);
            watcher.join().unwrap();
        });
        while !rt.send(pid, vec![0]) {
            thread::yield_now();
        }
        tokio.block_on(ended.recv()).unwrap();
        let accepted = accepted.load(Ordering::SeqCst);
        assert_eq!(received.load(Ordering::SeqCst), accepted);
        assert!(rt.dropped_messages() >= SENDERS * SENDS - accepted);
        tokio.block_on(assert_nothing_left(&rt));
    }
}
