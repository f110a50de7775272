//! Replaces the workers that are killed while their pipeline stops.
//!
//! A supervisor that stops restarts no child. So the work of a killed worker goes on in another child,
//! `replacements`. It is the first child of the pipeline, and so the last one that is asked to stop: it
//! runs until all workers have ended.
//!
//! **Guarantee**: a kill during the stop costs what a kill costs at any other time. The item of the
//! worker is lost and counted, or redelivered. All other items are handled within the
//! [time limit](crate::pipeline::drain) of the stop.
//!
//! **Steps**, in the drop of the worker's future
//! 1. If the future has not finished, and the stop has begun, the guard [`MakeOnDrop`] makes a future
//!    that does the same work. From then on the replacement counts as a reader and as a writer.
//! 2. The work of the killed worker is dropped. Its item is lost, or put back for the replacement.
//! 3. The guard [`QueueOnDrop`] queues the future.
//! 4. The child `replacements` runs the queued future.
//!
//! **Invariants**
//! 1. Step 1 comes before step 2, so the stages before and after the worker never see a moment without
//!    it. Otherwise they would end, and lose their items.
//! 2. Step 3 comes after step 2, so the replacement finds the items that are put back. Otherwise
//!    it could find no item and no writer, and end, while an item is about to be put back; or it could
//!    take the items out of order.
//! 3. No future is queued while the process of the child `replacements` has ended: the process drops
//!    what is queued when it ends ([`Runner`]), and step 3 drops a future that comes later. Otherwise
//!    a future that never runs would count as a reader and a writer, and the stop would wait for it.
//!
//! **The other side ends** between two steps:
//!
//! | | |
//! |---|---|
//! | the worker is killed before the stop begins, and is not restarted by then | it is not replaced: what is queued for it alone is lost, and counted when the pipeline ends |
//! | the child `replacements` ends before the stop begins | it is restarted, unless it was stopped by hand. No replacement exists yet |
//! | the child `replacements` ends before step 3, and is not restarted | the replacement is dropped in step 3: what is queued for the worker alone is lost, and counted when the pipeline ends |
//! | the child `replacements` ends later | its futures are dropped: their items are lost and counted |
//! | the time limit is over | as for a worker |
//! | the supervisor is killed | all workers end, and so does the child `replacements` |

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{BoxFuture, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::base::user_panics::drop_each;
use crate::base::{PlainMutex, ignore_panic};
use crate::child::{ChildSpec, TaskContext};
use crate::exit::Result;
use crate::pipeline::drain::Drain;
use crate::pipeline::inlet::unless;

/// The work of one worker.
type Work = BoxFuture<'static, Result>;

/// The replacements of one incarnation of a pipeline that do not run yet.
pub(super) struct Replacements {
    /// `None` while no process will run them.
    queue: PlainMutex<Option<Vec<Work>>>,
    added: Notify,
}

impl Replacements {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Replacements { queue: PlainMutex::new(Some(Vec::new())), added: Notify::new() })
    }

    /// Makes the child that runs the replacements.
    pub(super) fn child(self: &Arc<Self>, drain: &Drain) -> ChildSpec {
        // Each start of the child clones the closure, and so the runner.
        let (runner, own) = (Runner(self.clone()), drain.clone());
        let child = ChildSpec::task("replacements", move |mut ctx: TaskContext| async move {
            let stop = ctx.cancellation_token();
            own.run(runner.run_all(&stop)).await
        });
        child.shutdown(drain.shutdown())
    }

    /// Runs a worker of a stage. `work` returns the future of the worker, which counts as a reader and
    /// a writer from its making on. If the worker is killed while the pipeline stops, makes another one.
    pub(super) async fn run_replaceable<F>(
        self: Arc<Self>,
        mut ctx: TaskContext,
        drain: Drain,
        work: F,
    ) -> Result
    where
        F: Fn(CancellationToken) -> Work + Send + 'static,
    {
        let stop = ctx.cancellation_token();
        // Dropped in the opposite order: steps 1, 2 and 3.
        let mut queue = QueueOnDrop { replacements: self, made: None };
        let mut working = pin!(drain.clone().run(work(stop.clone())));
        let mut guard = MakeOnDrop { drain, make: None, made: &mut queue.made };
        guard.make = Some(Box::new(move || work(stop)));
        let ended = working.as_mut().await;
        guard.make = None;
        ended
    }

    /// Queues a replacement, or drops it if no process will run it.
    fn push(&self, work: Work) {
        let refused = match &mut *self.queue.lock() {
            Some(queue) => {
                queue.push(work);
                None
            }
            None => Some(work),
        };
        match refused {
            None => self.added.notify_one(),
            Some(work) => ignore_panic(|| drop(work)),
        }
    }

    fn take(&self) -> Vec<Work> {
        self.queue.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.queue.lock().as_ref().is_none_or(Vec::is_empty)
    }
}

/// Belongs to one process of the child `replacements`, and ends the queue when that process ends, also
/// if the process was killed before it ran.
#[derive(Clone)]
struct Runner(Arc<Replacements>);

impl Runner {
    async fn run_all(&self, stop: &CancellationToken) -> Result {
        let replacements = &*self.0;
        // After a restart the queue is `None`.
        replacements.queue.lock().get_or_insert_default();
        let mut running = FuturesUnordered::new();
        loop {
            running.extend(replacements.take());
            let added = replacements.added.notified();
            if !running.is_empty() {
                select(pin!(added), running.next()).await;
            } else if unless(stop.cancelled(), added).await.is_none() && replacements.is_empty() {
                return Ok(());
            }
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let left = self.0.queue.lock().take();
        // The drop of a replacement may wake tasks, so it happens outside the lock.
        drop_each(left.into_iter().flatten());
    }
}

/// Takes step 1 when it is dropped, unless the worker has ended by itself.
struct MakeOnDrop<'a> {
    drain: Drain,
    make: Option<Box<dyn FnOnce() -> Work + Send>>,
    made: &'a mut Option<Work>,
}

impl Drop for MakeOnDrop<'_> {
    fn drop(&mut self) {
        let Some(make) = self.make.take().filter(|_| self.drain.has_begun()) else { return };
        ignore_panic(|| *self.made = Some(make()));
    }
}

/// Takes step 3 when it is dropped, if a replacement was made.
struct QueueOnDrop {
    replacements: Arc<Replacements>,
    made: Option<Work>,
}

impl Drop for QueueOnDrop {
    fn drop(&mut self) {
        if let Some(work) = self.made.take() {
            ignore_panic(|| self.replacements.push(work));
        }
    }
}
