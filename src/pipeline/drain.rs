//! The time limit of a stop, which all workers of a pipeline share.
//!
//! The last child of a pipeline is the first one that its supervisor asks to stop. This child, `drain`,
//! does nothing but begin the time limit. So one limit holds for the stop as a whole, however many
//! workers are stopped one after the other. A stop of a single worker by hand does not begin the
//! limit.

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
    stop: Arc<watch::Sender<Stop>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    NotBegun,
    /// When the limit is over. `None` is a limit that no instant can express, and so no limit.
    Begun(Option<Instant>),
}

impl Drain {
    pub(super) fn new(limit: Duration) -> Self {
        Drain { limit, stop: Arc::new(watch::Sender::new(Stop::NotBegun)) }
    }

    /// Makes the child that begins the limit.
    pub(super) fn child(&self) -> ChildSpec {
        let drain = self.clone();
        ChildSpec::task("drain", move |mut ctx| async move {
            ctx.shutdown().await;
            drain.stop.send_replace(Stop::Begun(Instant::now().checked_add(drain.limit)));
            Ok(())
        })
    }

    /// Returns whether the stop has begun. From then on no worker is restarted.
    pub(super) fn has_begun(&self) -> bool {
        *self.stop.borrow() != Stop::NotBegun
    }

    /// Returns the shutdown setting of a worker. At the end of the limit a worker ends by itself;
    /// the supervisor kills a worker that does not.
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
        let mut stop = self.stop.subscribe();
        // An error is impossible: `self` has the sender.
        let stop = stop.wait_for(|stop| *stop != Stop::NotBegun).await.map(|stop| *stop);
        match stop {
            Ok(Stop::Begun(Some(due))) => sleep_until(due).await,
            _ => std::future::pending().await,
        }
    }
}
