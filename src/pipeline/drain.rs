//! The time limit of a stop, which all workers of a pipeline share.
//!
//! The last child of a pipeline is the first one that its supervisor asks to stop. This child, `drain`,
//! does nothing but begin the time limit. So the limit is that of the stop as a whole, however many
//! workers are stopped one after the other, and a worker that is stopped by hand begins none.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::child::ChildSpec;
use crate::exit::{Result, Shutdown};

/// The time limit of the stop of one incarnation.
#[derive(Clone)]
pub(super) struct Drain {
    pub(super) limit: Duration,
    /// When the limit is over, once the stop has begun.
    due: Arc<watch::Sender<Option<Instant>>>,
}

impl Drain {
    pub(super) fn new(limit: Duration) -> Self {
        Drain { limit, due: Arc::new(watch::Sender::new(None)) }
    }

    /// Makes the child that begins the limit.
    pub(super) fn child(&self) -> ChildSpec {
        let drain = self.clone();
        ChildSpec::task("drain", move |mut ctx| async move {
            ctx.shutdown().await;
            // A limit that no instant can express is no limit.
            drain.due.send_replace(Instant::now().checked_add(drain.limit));
            Ok(())
        })
    }

    /// How a worker is stopped: by itself at the end of the limit, or else by a kill.
    pub(super) fn shutdown(&self) -> Shutdown {
        match self.limit {
            Duration::MAX => Shutdown::Infinity,
            limit => Shutdown::Timeout(limit),
        }
    }

    /// Runs the work of a worker, and drops it when the limit is over.
    pub(super) async fn run(self, work: impl Future<Output = Result>) -> Result {
        let (work, over) = (std::pin::pin!(work), std::pin::pin!(self.over()));
        match select(work, over).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), _)) => Ok(()),
        }
    }

    async fn over(&self) {
        let mut due = self.due.subscribe();
        // An error is impossible: `self` has the sender.
        let due = due.wait_for(Option::is_some).await.map_or(None, |due| *due);
        match due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }
}
