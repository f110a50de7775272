//! The time limit of the waits in a test, and the line of the test that waits.

use std::fmt::{self, Display};
use std::panic::Location;
use std::time::Duration;

use tokio::time::timeout;

/// The limit, which is longer than any test waits. Under a paused clock this time passes at once,
/// as soon as all tasks are idle and no timer is due before.
pub(super) const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The line of the test that called a function of the test kit. A panic inside a future shows the
/// line of the test kit, so each message of the kit begins with this line.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallSite(&'static Location<'static>);

impl CallSite {
    #[track_caller]
    pub(super) fn here() -> Self {
        CallSite(Location::caller())
    }
}

impl Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Waits for a future. Panics after the limit, with the line of the test and `what` in the message.
pub(super) async fn wait_for<T>(
    site: CallSite,
    what: impl FnOnce() -> String,
    wait: impl Future<Output = T>,
) -> T {
    match timeout(LIMIT, wait).await {
        Ok(came) => came,
        Err(_) => panic!("{site}: waited a day for {}: nothing else is due", what()),
    }
}
