//! Counts of processes and of lost messages.

use crate::base::Pid;
use crate::base::sync::atomic::Ordering;
use crate::observe::Counters;
use crate::runtime::Runtime;

impl Runtime {
    /// Whether the process is alive: true from its spawn until its names and groups are freed. The
    /// process is still alive while the values of its body are dropped. OTP: `is_process_alive/1`,
    /// which returns false as soon as the process is exiting. The result is false for a process of
    /// another node.
    ///
    /// ```
    /// use regrow::{Pid, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// assert!(rt.is_alive(worker.pid()));
    /// worker.kill();
    /// worker.join().await;
    /// assert!(!rt.is_alive(worker.pid()));
    /// assert!(!rt.is_alive(Pid::from_raw(99))); // never existed
    /// # }));
    /// ```
    pub fn is_alive(&self, pid: Pid) -> bool {
        self.kernel.table.contains(pid)
    }

    /// The pids of all live processes, oldest first. The list is not an atomic snapshot, since
    /// processes run on while it is made. OTP: `processes/0`.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let idle = rt.spawn(|_| std::future::pending());
    /// let done = rt.spawn(|_| async {});
    /// assert_eq!(rt.list(), [idle.pid(), done.pid()]);
    /// done.join().await;
    /// assert_eq!(rt.list(), [idle.pid()]);
    /// assert_eq!((rt.process_count(), rt.spawned(), rt.finished()), (1, 2, 1));
    /// # }));
    /// ```
    pub fn list(&self) -> Vec<Pid> {
        let mut pids = self.kernel.table.pids();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// The number of live processes. [`list`](Self::list) has an example. OTP:
    /// `erlang:system_info(process_count)`.
    pub fn process_count(&self) -> usize {
        self.kernel.table.len()
    }

    /// The number of processes that were ever spawned, including those that ended before their body
    /// ran. [`list`](Self::list) has an example.
    pub fn spawned(&self) -> u64 {
        self.kernel.table.inserted()
    }

    /// The number of processes that have ended. [`list`](Self::list) has an example.
    pub fn finished(&self) -> u64 {
        self.kernel.table.removed()
    }

    /// Returns the counters of the runtime since its creation. They are exact, whether or not
    /// anything observes the runtime, and none ever decreases. The counters are read one after the
    /// other, while processes run on.
    ///
    /// OTP: `erlang:statistics/1`, which does not count restarts.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending()).named("job");
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// rt.kill(rt.whereis("job").unwrap());
    /// tree.which_children().await?; // answered after the restart
    ///
    /// let counters = rt.counters();
    /// assert_eq!((counters.spawned, counters.ended.killed, counters.ended.total()), (3, 1, 1));
    /// assert_eq!(counters.children[0].path, "app/job");
    /// assert_eq!(counters.children[0].restarts, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn counters(&self) -> Counters {
        let children = self.kernel.counters.children(None, usize::MAX);
        Counters { children, ..self.totals() }
    }

    /// Returns the counters without those of the children.
    pub(crate) fn totals(&self) -> Counters {
        let kernel = &self.kernel;
        let [refused, dropped, unhandled] = [&kernel.refused, &kernel.dropped, &kernel.unhandled]
            .map(|count| count.load(Ordering::SeqCst));
        let spawned = kernel.table.inserted();
        Counters { spawned, refused, dropped, unhandled, ..kernel.counters.totals() }
    }

    /// The number of messages, streams, casts and calls that were lost because a mailbox was full:
    /// refused, dropped or evicted. Messages that [`try_cast`](crate::ServerRef::try_cast) gave
    /// back are not counted. [`ProcessInfo`](crate::ProcessInfo) has the number for one process.
    /// [`with_mailbox_capacity`](Self::with_mailbox_capacity) has an example.
    pub fn dropped_messages(&self) -> u64 {
        let lost = [&self.kernel.refused, &self.kernel.dropped];
        lost.iter().map(|count| count.load(Ordering::SeqCst)).sum()
    }
}
