//! The time limit of the waits in a test.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::timeout;

/// The limit, which is longer than any test waits. Under a paused clock this time passes at once,
/// as soon as all tasks are idle and no timer is due before.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Waits for a future. Panics after the limit, with `what` in the message.
pub(super) async fn wait_for<T>(what: impl Display, wait: impl Future<Output = T>) -> T {
    match timeout(LIMIT, wait).await {
        Ok(came) => came,
        Err(_) => panic!("waited a day for {what}: nothing else is due"),
    }
}
