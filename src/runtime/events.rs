//! The stream of lifecycle events.

use crate::observe::LifecycleEvent;
use crate::runtime::Runtime;
use crate::runtime::listener::Listener;

/// A listener for the events of a runtime. [`Runtime::events`] creates it, and has an example.
///
/// A listener receives the events that happen after its creation. Events never slow down the
/// processes that cause them: a listener that is more than 1,024 events behind loses the oldest
/// events, and [`missed`](Self::missed) counts these.
#[derive(Debug)]
pub struct Events {
    listener: Listener<LifecycleEvent>,
}

impl Events {
    /// Waits for the next event. Returns `None` when the runtime is gone: its last process has
    /// ended and its last handle was dropped. [`Runtime::events`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has taken no event.
    pub async fn next(&mut self) -> Option<LifecycleEvent> {
        self.listener.next().await
    }

    /// Takes the next event if one has happened. Wakers play no part in it.
    #[cfg(feature = "serde")]
    pub(crate) fn try_next(&mut self) -> Option<LifecycleEvent> {
        self.listener.try_next()
    }

    /// The number of events that have happened and were not taken yet. Those that this listener will
    /// find lost are among them.
    #[cfg(feature = "serde")]
    pub(crate) fn queued(&self) -> usize {
        self.listener.queued()
    }

    /// The number of events that this listener has lost because it was too far behind.
    /// [`Runtime::events`] has an example.
    pub fn missed(&self) -> u64 {
        self.listener.missed()
    }
}

impl Runtime {
    /// Creates a listener for all events from now on: those of labelled processes, which include
    /// all children of supervisors, and, of other processes, the crashes and the messages that they
    /// leave unhandled. Use it in code that reacts
    /// to events, such as an alert on a restart loop or a view of a tree.
    ///
    /// The events are those of the lifecycle log, regardless of the log level. No process waits for
    /// a listener: a listener that is too slow loses the oldest events. To watch one process
    /// without a loss, [`monitor`](Self::monitor) it.
    ///
    /// ```
    /// use regrow::{ChildSpec, LifecycleEvent, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut events = rt.events();
    /// let job = ChildSpec::task("job", |_| std::future::pending()).named("job");
    /// let tree = Supervisor::one_for_one().child(job).start(&rt).await?;
    /// let first = rt.whereis("job").unwrap();
    /// rt.kill(first);
    /// loop {
    ///     match events.next().await.unwrap() {
    ///         LifecycleEvent::Spawned { pid, label } if label == "job" && pid != first => break,
    ///         _ => {} // … the first spawns, the exit, the decision to restart
    ///     }
    /// }
    /// assert_eq!(events.missed(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn events(&self) -> Events {
        Events { listener: Listener::new(self.kernel.events.subscribe()) }
    }
}
