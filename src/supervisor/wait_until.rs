//! Waits until a condition holds.

use std::pin::pin;

use tokio::sync::Notify;

/// Waits until this condition holds. `changes` notifies all waiters after each change that the
/// condition may depend on.
pub(crate) async fn wait_until(changes: &Notify, condition: impl Fn() -> bool) {
    loop {
        let mut changed = pin!(changes.notified());
        // The notification is enabled before the check, so the wait notices a change after the
        // check.
        changed.as_mut().enable();
        if condition() {
            return;
        }
        changed.await;
    }
}
