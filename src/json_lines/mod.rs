//! A child that writes all events of its runtime as lines of JSON.
//!
//! **Uses** `base`, `exit`, `message`, `restart`, `observe`, `runtime`, `child`, `snapshot`.
//! **Knows nothing of** programs and servers.

use std::io::{self, Write};
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::base::consume_budget;
use crate::child::{ChildSpec, StartChild, StartContext, Started};
use crate::exit::Result;
use crate::runtime::StartError;

mod fields;
mod crash;
mod event;
mod shared_listener;
mod writer;
mod write_loop;

use shared_listener::Queue;

/// Specifies a child that writes every [`LifecycleEvent`](crate::LifecycleEvent) of its runtime,
/// crash reports included, as one line of JSON. The chapter "Events as lines of JSON" of the book has
/// the schema.
///
/// `open` opens the writer at each start of the child, on a thread for blocking work: a file, a
/// socket, or standard output. The lines of the events that are there are written with one call of
/// the writer and then flushed, so a slow writer delays no process.
///
/// * Put the child first in the list of the root: it is then stopped last, and writes the ends of the
///   children after it. It listens before the next child starts. When it is asked to stop, it writes
///   what has happened until then, flushes, and ends, whatever happens meanwhile.
/// * An error of `open` or of the writer is a crash of the child, with a [`JsonLinesError`], and its
///   supervisor decides. The next incarnation continues with the same listener, so it misses no
///   event while the child is restarted. Lines that the writer did not take and flush are lost.
/// * A listener that is more than 1,024 events behind loses the oldest. A line with the event
///   `missed` says how many events were lost, by this or by an error of the writer, before the
///   next event. If a flush fails, the lines before it count as lost, though some may be there.
/// * The writer is dropped on a thread for blocking work, before the next incarnation opens its
///   own.
/// * Each line is complete: line breaks, escape sequences and other controls in ids, labels and
///   reasons are escaped, as in `\u001b`. If an error has cut a line in two, the next incarnation
///   begins with a line break.
///
/// OTP has no counterpart; its logger has handlers, and formatters for them.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// # let path = std::env::temp_dir().join(format!("regrow-{}.jsonl", std::process::id()));
/// # let file = path.clone();
/// let events = regrow::json_lines("events", move || {
///     std::fs::File::options().create(true).append(true).open(&file)
/// });
/// let rt = Runtime::new();
/// let job = ChildSpec::task("job", |_| std::future::pending());
/// let tree = Supervisor::one_for_one().child(events).child(job).start(&rt).await?;
/// tree.stop().await?;
///
/// let text = std::fs::read_to_string(&path)?;
/// let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap())?;
/// assert_eq!((&line["event"], &line["version"]), (&"spawned".into(), &1.into()));
/// assert!(text.lines().last().unwrap().contains("\"exited\"")); // the job
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub fn json_lines<W, F>(id: impl Into<String>, open: F) -> ChildSpec
where
    F: Fn() -> io::Result<W> + Send + Sync + 'static,
    W: Write + Send + 'static,
{
    ChildSpec::new(id, JsonLines { open: Arc::new(open), queue: Arc::default() })
}

/// Why a child of [`json_lines`] has crashed. The source is the error of the writer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonLinesError {
    /// `open` returned an error.
    #[error("the writer for lines of events could not be opened")]
    Open(#[source] io::Error),
    /// The writer did not take the lines, or could not be flushed.
    #[error("lines of events could not be written")]
    Write(#[source] io::Error),
}

struct JsonLines<F> {
    open: Arc<F>,
    queue: Arc<Queue>,
}

#[async_trait]
impl<W, F> StartChild for JsonLines<F>
where
    F: Fn() -> io::Result<W> + Send + Sync + 'static,
    W: Write + Send + 'static,
{
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        let listener = Queue::listen(&self.queue, ctx.runtime());
        // The token exists before the body runs, so a stop that comes at once ends the body in order.
        let (open, stop) = (self.open.clone(), CancellationToken::new());
        consume_budget().await;
        let process = ctx.admit(&ctx.starting().without_init().stopped_by(stop.clone()))?;
        Ok(ctx.run_task(process, move |ctx| write_loop::run(ctx, stop, listener, open)))
    }
}
