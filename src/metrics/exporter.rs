//! The exporter: it reads a runtime, and writes to the installed recorder.
//!
//! **Invariants**
//! 1. One write at a time, and a later write never shows older gauges: each reading has a number, and
//!    one that began before the last written one is not written.
//! 2. The exporter keeps no runtime alive. It tracks handlers and provides meters until its last
//!    clone is dropped.
//! 3. No lock is held while the runtime is read. So a [`collect`](Exporter::collect) that is no longer
//!    polled delays no other.
//! 4. The recorder is code of a user. It runs under the lock of this exporter, which orders the writes,
//!    and under no other lock of this crate. A panic of it is logged and changes nothing else.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use tokio::time::sleep;

use crate::base::user_panics::catch_panic;
use crate::base::{PlainMutex, consume_budget, ignore_panic};
use crate::child::{ChildSpec, ShutdownSignal, StartChild, StartContext, Started};
use crate::exit::ExitReason;
use crate::kernel::Kernel;
use crate::metrics::Metrics;
use crate::metrics::labels::Labels;
use crate::metrics::meter::Meters;
use crate::metrics::push::{Shown, push};
use crate::metrics::reading::{Reading, read};
use crate::runtime::{Runtime, StartError};

/// Writes the metrics of a runtime to the recorder that is installed. All clones are one exporter.
///
/// ```
/// use regrow::{Runtime, Supervisor, metrics::Metrics};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let exporter = Metrics::new().exporter(&rt);
/// let tree = Supervisor::one_for_one().child(exporter.child()).start(&rt).await?;
///
/// // In the handler of `/metrics`, before the exporter of the program renders its page:
/// exporter.collect().await;
///
/// tree.stop().await?;
/// exporter.collect().await; // with the end of the tree itself
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Clone)]
pub struct Exporter {
    inner: Arc<Inner>,
}

struct Inner {
    kernel: Weak<Kernel>,
    every: Duration,
    tracks: bool,
    labels: Arc<Labels>,
    /// The number of the source of meters.
    source: u64,
    /// The number of readings that have begun.
    readings: AtomicU64,
    written: PlainMutex<Written>,
}

/// What was written last: the number of the reading, and the gauges.
#[derive(Default)]
struct Written {
    reading: u64,
    shown: Shown,
}

impl Metrics {
    /// Returns an exporter of this runtime. While it exists, tracked servers record histograms. If
    /// there are several exporters of one runtime, the servers record for the latest one.
    /// [`Exporter`] has an example.
    pub fn exporter(self, runtime: &Runtime) -> Exporter {
        let kernel = &runtime.kernel;
        let labels = Arc::new(Labels::new(&self));
        let source = kernel.switches.meters.add(Arc::new(Meters(labels.clone())));
        if self.tracks {
            runtime.add_tracker();
        }
        let Metrics { every, tracks, .. } = self;
        let (kernel, readings) = (Arc::downgrade(kernel), AtomicU64::default());
        let written = PlainMutex::default();
        let inner = Inner { kernel, every, tracks, labels, source, readings, written };
        Exporter { inner: Arc::new(inner) }
    }

    /// Specifies a child `metrics` that writes the metrics of its runtime: at its start, in each
    /// [interval](Self::every), and once more when its supervisor stops it.
    ///
    /// Declare the child first: a supervisor stops its children in reverse order, so the last write
    /// has the ends of all others. It cannot have its own, and that of the supervisors above; for
    /// these use an [`exporter`](Self::exporter), and [`collect`](Exporter::collect) after the stop.
    ///
    /// The counters go on through a restart of the child. A recorder that panics is logged, and ends
    /// nothing.
    pub fn child(self) -> ChildSpec {
        ChildSpec::new("metrics", ExportAny { settings: self, last: PlainMutex::default() })
    }
}

impl Exporter {
    /// Reads the runtime, and writes all counters and gauges to the recorder that is installed for
    /// the program, or for the current thread. Call it before metrics are rendered, so that they are
    /// not an interval old. If the runtime is gone, or no recorder is installed, nothing happens.
    ///
    /// It visits each process once, and gives way to other tasks meanwhile. Several calls at the same
    /// time read independently, and write one after the other; a call writes nothing if one that began
    /// later has written. The recorder must not wait for another call of the same exporter.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a call that is dropped has written everything or nothing.
    pub async fn collect(&self) {
        consume_budget().await;
        let Inner { kernel, labels, readings, written, .. } = &*self.inner;
        let Some(kernel) = kernel.upgrade() else { return };
        let number = readings.fetch_add(1, Ordering::Relaxed) + 1;
        let runtime = Runtime { kernel };
        let reading = read(&runtime).await;
        let mut written = written.lock();
        // Invariant 1.
        if number > written.reading {
            written.reading = number;
            write(labels, &reading, &mut written.shown);
        }
    }

    /// Specifies the child of [`Metrics::child`] for this exporter. It starts only in the runtime of
    /// the exporter: elsewhere the start fails with
    /// [`StartError::Invalid`]. [`Exporter`] has an example.
    pub fn child(&self) -> ChildSpec {
        ChildSpec::new("metrics", ExportOne(self.clone()))
    }

    fn is_of(&self, runtime: &Runtime) -> bool {
        self.inner.kernel.as_ptr() == Arc::as_ptr(&runtime.kernel)
    }

    /// Writes at once, in each interval, and at the shutdown.
    async fn run(self, mut shutdown: ShutdownSignal) -> Result<(), ExitReason> {
        loop {
            self.collect().await;
            match select(pin!(sleep(self.inner.every)), &mut shutdown).await {
                Either::Left(_) => {}
                Either::Right(_) => break,
            }
        }
        self.collect().await;
        Ok(())
    }
}

fn write(labels: &Labels, reading: &Reading, shown: &mut Shown) {
    let written = catch_panic(|| {
        metrics::with_recorder(|recorder| push(recorder, labels, reading, shown));
    });
    if let Err(panic) = written {
        ignore_panic(|| {
            tracing::warn!(target: "regrow::metrics", %panic, "the recorder of the metrics panicked");
        });
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(kernel) = self.kernel.upgrade() else { return };
        kernel.switches.meters.remove(self.source);
        if self.tracks {
            Runtime { kernel }.remove_tracker();
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("every", &self.inner.every).finish_non_exhaustive()
    }
}

/// Starts an exporter of the runtime that the child is started in.
struct ExportAny {
    settings: Metrics,
    /// The exporter of the last start, which knows the paths.
    last: PlainMutex<Option<Exporter>>,
}

#[async_trait]
impl StartChild for ExportAny {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        let known = self.last.lock().clone().filter(|last| last.is_of(ctx.runtime()));
        let exporter = known.unwrap_or_else(|| self.settings.clone().exporter(ctx.runtime()));
        let old = self.last.lock().replace(exporter.clone());
        drop(old);
        ctx.serve(move |shutdown| exporter.run(shutdown)).await
    }
}

/// Starts this exporter.
struct ExportOne(Exporter);

#[async_trait]
impl StartChild for ExportOne {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        if !self.0.is_of(ctx.runtime()) {
            let text = "the exporter of metrics is of another runtime: make it with the runtime of \
                        the tree";
            return Err(StartError::Invalid(text.to_owned()));
        }
        let exporter = self.0.clone();
        ctx.serve(move |shutdown| exporter.run(shutdown)).await
    }
}
