//! Queues that outlive an incarnation. [`kept_queues`](crate::kernel::kept_queues) has the protocol.

use crate::child::ChildSpec;

impl ChildSpec {
    /// Keeps what is queued when an incarnation of the child ends, for the next incarnation. By
    /// default it is lost, and [counted](crate::LifecycleEvent::LeftUnhandled), as in OTP.
    ///
    /// The next incarnation handles what its predecessor had accepted and never given to a handler,
    /// in order, before anything that is sent to itself. A caller notices nothing but the delay: its
    /// call waits through the restart, within its own deadline, and gets the answer of the next
    /// incarnation. Use this for a server whose requests are worth more than the certainty of an
    /// empty mailbox: a writer of orders, the front of a database.
    ///
    /// | | kept? |
    /// |---|---|
    /// | calls, casts, messages and streams that were accepted; results of the server's tasks, and items of its pipes, that had arrived | yes |
    /// | the message whose handler crashed, or was running at a kill | no: its caller gets [`Exited`](crate::CallError::Exited), and it is never handled again |
    /// | calls whose reply the server had put aside | no: a handler had them |
    /// | casts given to [`continue_with`](crate::ServerContext::continue_with), timers that have expired or are armed | no: they belong to the state that is lost |
    /// | `Down`, `Exit` and changes of groups | no: the next incarnation sets its own links and monitors |
    /// | requests to stop, suspend, inspect or trace | no: they concern one process |
    /// | sends that wait for room in a full mailbox | no: they were not accepted, and their senders get the error of an ended process |
    ///
    /// **When.** A queue is kept if the supervisor starts the child again: after a crash, an error, a
    /// kill or an exit signal, and after a normal end of a permanent child. It is kept through the
    /// [`backoff`](Self::backoff), and through starts that fail: an `init` that fails leaves the queue
    /// to the start after it. It is kept, too, for a sibling that is stopped and started with its
    /// group: that sibling did nothing wrong, and its callers would lose their requests. One that
    /// [drains](crate::ServerContext::drain_on_stop) hands on what is left after its drain.
    ///
    /// **When not.** The queue is lost and counted, and its callers get `Exited` with the reason of the
    /// last incarnation: as soon as the supervisor decides that no incarnation follows (the restart
    /// type says so, the child is given up, terminated or deleted), and when the supervisor stops,
    /// gives up or ends. No queue outlives its supervisor. A first start that fails hands nothing on.
    ///
    /// **A message that crashes each incarnation** costs one restart, since it is not handled again. Many
    /// such messages use up the restart budget: then the rest is lost as above. The default budget is
    /// small, so give the child a [budget](Self::restart_budget) or a backoff that fits.
    ///
    /// **Between two incarnations** nothing new is accepted: a call or cast by name fails with
    /// [`Restarting`](crate::CallError::Restarting), and [`call_waiting`](crate::ServerRef::call_waiting)
    /// waits. So the queue does not grow while the child does not run, and needs no bound of its own. It
    /// counts towards the [bound](Self::mailbox_capacity) of the next mailbox, which may be full from the
    /// start. Under [`Overflow::DropOldest`](crate::Overflow::DropOldest) new items evict kept ones. What is sent in
    /// the moment between the start of the child and the take-over is queued behind the kept items, and
    /// may exceed the bound by as much as was kept; nothing more is accepted until there is room.
    ///
    /// Links and monitors of the old incarnation fire at once, as ever: the process has ended, and only
    /// its queue goes on. Deadlines that are [propagated](crate::Runtime::propagate_deadlines) keep
    /// their time. The [detection of deadlocks](crate::Runtime::detect_deadlocks) does not know that the
    /// caller of a kept call waits for the next incarnation.
    ///
    /// The setting applies to servers, tasks and all other workers. It has no effect on a supervisor or
    /// a temporary child. A start function that starts several processes gives the queue to the first
    /// one that takes messages of the same type. If that one is not the child, and is stopped as an extra
    /// process, the queue is lost and counted. The mailbox is counted, so
    /// [`mailbox_depth`](crate::ProcessInfo::mailbox_depth) is exact; a call to it costs one more
    /// allocation. [`QueueHandedOn`](crate::LifecycleEvent::QueueHandedOn) reports what was handed on.
    ///
    /// OTP has no counterpart: a process takes its mailbox with it. Akka and Proto.Actor keep the mailbox
    /// of a restarted actor, always; there a failing message is dropped as well.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{LifecycleEvent, Name, Supervisor};
    ///
    /// const COUNTER: Name<Counter> = Name::new("counter");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let child = Counter::child(0).named(COUNTER).keep_queue();
    /// let _tree = Supervisor::one_for_one().child(child).start(&rt).await?;
    /// let (counter, mut events) = (rt.server(COUNTER), rt.events());
    ///
    /// counter.cast(Cast::Add(1));
    /// counter.cast(Cast::Crash);
    /// counter.cast(Cast::Add(40)); // behind the cast that crashes the server
    /// counter.cast(Cast::Add(2));
    /// // Answered by the next incarnation, which has the two casts, but not the state.
    /// assert_eq!(counter.call(Call::Get).await?, 42);
    ///
    /// while let Some(event) = events.next().await {
    ///     if let LifecycleEvent::QueueHandedOn { calls, casts, .. } = event {
    ///         assert_eq!((calls, casts), (1, 2));
    ///         break;
    ///     }
    /// }
    /// assert_eq!(rt.unhandled_messages(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn keep_queue(mut self) -> Self {
        self.edit().keeps_queue = true;
        self
    }
}
