//! What a test does with a network.

use std::ops::RangeInclusive;
use std::task::Waker;
use std::time::Duration;

use crate::cluster::carrier::network::handle::Network;
use crate::cluster::carrier::network::line::ends;

impl Network {
    /// Cuts both ways between two nodes, silently: nothing arrives, and no connection is closed.
    /// [`Network`] has an example.
    pub fn cut(&self, one: &str, other: &str) {
        self.cut_from(one, other);
        self.cut_from(other, one);
    }

    /// Cuts the way from one node to another, and not the way back: a loss of one direction, such as
    /// a wrong entry in a table of neighbours makes it.
    ///
    /// What `to` sends arrives, until the capacity is reached, because nothing acknowledges it. No
    /// new connection is made.
    ///
    /// ```
    /// let network = regrow::cluster::Network::new(7);
    /// network.cut_from("a@one", "b@two");
    /// network.heal("a@one", "b@two");
    /// ```
    pub fn cut_from(&self, from: &str, to: &str) {
        let wakers = self.0.pairs.lock().change(from, to, |line| line.is_cut = true);
        wake(wakers);
    }

    /// Cuts all ways between the nodes of one side and those of the other: a netsplit.
    ///
    /// ```
    /// let network = regrow::cluster::Network::new(7);
    /// network.split(&["a@one", "b@two"], &["c@three"]);
    /// network.heal_all();
    /// ```
    pub fn split(&self, side: &[&str], other_side: &[&str]) {
        for one in side {
            for other in other_side {
                self.cut(one, other);
            }
        }
    }

    /// Heals both ways between two nodes. What a cut held back arrives now. [`Network`] has an
    /// example.
    pub fn heal(&self, one: &str, other: &str) {
        for (from, to) in [(one, other), (other, one)] {
            let wakers = self.0.pairs.lock().change(from, to, |line| line.is_cut = false);
            wake(wakers);
        }
        self.0.healed.notify_waiters();
    }

    /// Heals all ways. [`split`](Self::split) has an example.
    pub fn heal_all(&self) {
        let wakers = self.0.pairs.lock().change_all(|line| line.is_cut = false);
        wake(wakers);
        self.0.healed.notify_waiters();
    }

    /// Sets the delay between two nodes, in both directions: each write gets one of this range, drawn
    /// from the seed. Bytes that are under way keep theirs. [`Network`] has an example.
    ///
    /// # Panics
    ///
    /// If the range is empty.
    pub fn delay(&self, one: &str, other: &str, range: RangeInclusive<Duration>) {
        let delay = ends(&range);
        for (from, to) in [(one, other), (other, one)] {
            let wakers = self.0.pairs.lock().change(from, to, |line| line.delay = delay);
            wake(wakers);
        }
    }

    /// Sets the delay between all nodes, also for pairs that have another one.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let network = regrow::cluster::Network::new(7);
    /// network.delay_all(Duration::ZERO..=Duration::from_millis(20));
    /// ```
    ///
    /// # Panics
    ///
    /// If the range is empty.
    pub fn delay_all(&self, range: RangeInclusive<Duration>) {
        let delay = ends(&range);
        let wakers = self.0.pairs.lock().change_all(|line| line.delay = delay);
        wake(wakers);
    }

    /// Breaks the connections between two nodes at once, for both of them. What is under way is lost.
    /// Returns their number.
    ///
    /// ```
    /// assert_eq!(regrow::cluster::Network::new(7).reset("a@one", "b@two"), 0);
    /// ```
    pub fn reset(&self, one: &str, other: &str) -> usize {
        let (count, wakers) = self.0.pairs.lock().reset(one, other);
        wake(wakers);
        count
    }
}

/// Wakes what a change lets continue, after the locks are released.
fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
