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
//! 1. If the future has not finished, and the stop has begun, the [`Replaced`] guard makes a future
//!    that does the same work, and queues it. From then on the replacement counts as a reader and as a
//!    writer.
//! 2. The work of the killed worker is dropped. Its item is lost, or put back for the replacement.
//! 3. The child `replacements` runs the queued future.
//!
//! **Invariant**: step 1 comes before step 2, so the stages before and after the worker never see a
//! moment without it. Otherwise they would end, and lose their items.
//!
//! **The other side ends** between two steps:
//!
//! | | |
//! |---|---|
//! | the worker is killed before the stop begins, and is not restarted by then | it is not replaced: what is queued for it alone is lost, and counted when the pipeline ends |
//! | the child `replacements` is killed before step 3, and the stop has not begun | it is restarted, and runs what is queued |
//! | the child `replacements` is killed later | its futures are dropped: their items are lost and counted |
//! | the time limit is over | as for a worker |
//! | the supervisor is killed | all workers end; the queued futures are dropped with the specifications of the children |

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{BoxFuture, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::base::{PlainMutex, ignore_panic};
use crate::child::{ChildSpec, TaskContext};
use crate::exit::Result;
use crate::pipeline::drain::Drain;
use crate::pipeline::inlet::unless;

/// The work of one worker.
type Work = BoxFuture<'static, Result>;

/// The replacements that do not run yet, of one incarnation of a pipeline.
#[derive(Default)]
pub(super) struct Replacements {
    queued: PlainMutex<Vec<Work>>,
    added: Notify,
}

impl Replacements {
    /// Makes the child that runs the replacements.
    pub(super) fn child(self: &Arc<Self>, drain: &Drain) -> ChildSpec {
        let (replacements, own) = (self.clone(), drain.clone());
        let child = ChildSpec::task("replacements", move |mut ctx: TaskContext| async move {
            let stop = ctx.cancellation_token();
            own.run(async { replacements.run_all(&stop).await }).await
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
        let mut working = pin!(drain.clone().run(work(stop.clone())));
        // Declared after `working`, so dropped before it.
        let mut guard = Replaced { replacements: self, drain, make: None };
        guard.make = Some(Box::new(move || work(stop)));
        let ended = working.as_mut().await;
        guard.make = None;
        ended
    }

    async fn run_all(&self, stop: &CancellationToken) -> Result {
        let mut running = FuturesUnordered::new();
        loop {
            running.extend(std::mem::take(&mut *self.queued.lock()));
            let added = self.added.notified();
            if !running.is_empty() {
                select(pin!(added), running.next()).await;
            } else if unless(stop.cancelled(), added).await.is_none() && self.is_empty() {
                return Ok(());
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.queued.lock().is_empty()
    }
}

/// Makes a replacement when it is dropped, unless the worker has ended by itself.
struct Replaced {
    replacements: Arc<Replacements>,
    drain: Drain,
    make: Option<Box<dyn FnOnce() -> Work + Send>>,
}

impl Drop for Replaced {
    fn drop(&mut self) {
        let Some(make) = self.make.take().filter(|_| self.drain.has_begun()) else { return };
        ignore_panic(|| {
            let work = make();
            self.replacements.queued.lock().push(work);
            self.replacements.added.notify_one();
        });
    }
}
