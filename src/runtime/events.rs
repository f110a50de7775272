//! Listening to lifecycle events.

use std::future::{Future, poll_fn};
use std::pin::pin;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::base::catch::CaughtWakers;
use crate::observe::event::LifecycleEvent;
use crate::runtime::Runtime;

/// The events of a runtime from the moment on at which it was made by
/// [`Runtime::events`], which has an example.
///
/// A listener that lies more than 1,024 events behind misses the oldest, and
/// [`missed`](Self::missed) counts them: events never slow down who causes them.
#[derive(Debug)]
pub struct Events {
    receiver: Receiver<LifecycleEvent>,
    missed: u64,
    waker: CaughtWakers,
}

impl Events {
    /// The next event, or `None` when the runtime is gone: its last process has ended and
    /// its last handle was dropped. [`Runtime::events`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has taken nothing.
    pub async fn next(&mut self) -> Option<LifecycleEvent> {
        loop {
            let Events { receiver, waker, .. } = self;
            let mut next = pin!(receiver.recv());
            match poll_fn(|cx| waker.poll(cx, |cx| next.as_mut().poll(cx))).await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many events were lost to this listener because it lay too far behind.
    /// [`Runtime::events`] has an example.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl Runtime {
    /// Everything that happens to labelled processes and to children from now on, for code:
    /// an alert on a restart loop, a view of a tree. The facts are those of the log, at
    /// whatever level that is. Nobody waits for a listener; one that is too slow misses
    /// the oldest. To watch one process without missing anything,
    /// [`monitor`](Self::monitor) it.
    ///
    /// ```
    /// use regrow::{ChildSpec, LifecycleEvent, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
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
    /// # }).unwrap();
    /// ```
    pub fn events(&self) -> Events {
        Events {
            receiver: self.kernel.events.subscribe(),
            missed: 0,
            waker: CaughtWakers::default(),
        }
    }
}
