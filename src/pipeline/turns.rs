//! The order of a stage with several workers: each worker passes on its result in its turn.
//!
//! **Guarantee**: the turn of an item comes when each item with a smaller number has ended. A number
//! ends exactly once, also if its worker is killed, so no turn waits for ever for a dead worker.

use std::collections::BTreeSet;

use tokio::sync::watch;

pub(super) struct Turns(watch::Sender<Turn>);

/// The number whose turn it is, and the numbers after it that have ended.
#[derive(Debug, Default)]
struct Turn {
    next: u64,
    ended: BTreeSet<u64>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Turns(watch::Sender::new(Turn::default()))
    }

    /// Waits for the turn of this number.
    pub(super) async fn wait(&self, number: u64) {
        // An error is impossible: `self` is the sender.
        let _ = self.0.subscribe().wait_for(|turn| turn.next >= number).await;
    }

    /// Ends this number.
    pub(super) fn end(&self, number: u64) {
        self.0.send_if_modified(|turn| {
            turn.ended.insert(number);
            let before = turn.next;
            while turn.ended.remove(&turn.next) {
                turn.next += 1;
            }
            turn.next != before
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::Turns;

    #[test]
    fn a_turn_comes_when_all_smaller_numbers_have_ended() {
        let turns = Turns::new();
        assert!(turns.wait(0).now_or_never().is_some());
        turns.end(1);
        assert!(turns.wait(2).now_or_never().is_none());
        turns.end(0);
        assert!(turns.wait(2).now_or_never().is_some());
        assert!(turns.wait(3).now_or_never().is_none());
    }
}
