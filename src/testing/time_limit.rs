//! Waiting for what a test expects, and not for ever.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

/// Longer than anything a test waits for. Under paused time it is over as soon as all is
/// idle and nothing else is due.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Waits; panics with what was waited for if it doesn't come.
pub(super) async fn wait_for<T>(what: impl Display, wait: impl Future<Output = T>) -> T {
    match timeout(LIMIT, wait).await {
        Ok(came) => came,
        Err(_) => panic!("waited a day in vain for {what}: nothing else is due"),
    }
}
