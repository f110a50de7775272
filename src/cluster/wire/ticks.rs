//! Ticks: empty frames that show a peer that this node lives, and the decision that a peer does not.
//!
//! The tick time is divided into four intervals. At the end of each:
//!
//! | since the last end | what follows |
//! |---|---|
//! | nothing but the last tick was written, and nothing waits to be | a tick is written |
//! | nothing arrived, for the fourth time | the peer is lost: silent |
//! | bytes wait, and none was written, for the fourth time | the peer is lost: it doesn't read |
//!
//! So a peer that has ended is detected after 3/4 to 5/4 of the tick time, as by OTP. OTP doesn't
//! give up a peer that sends but doesn't read; here the bytes that wait for it have a bound, and so
//! has the time.

use std::time::Duration;

use crate::cluster::wire::loss_reason::ConnectionLost;

/// The number of intervals in a tick time.
const INTERVALS: u32 = 4;

/// The number of bytes of a tick. Any other frame has more.
const TICK: u64 = 4;

/// What a connection has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The number of frames and parts of frames that arrived.
    pub(crate) read: u64,
    /// The number of bytes that were written.
    pub(crate) written: u64,
    /// Whether bytes wait to be written.
    pub(crate) waits: bool,
}

/// The state of one connection.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    last: Progress,
    /// The bytes of the tick that the end of the last interval has ordered.
    ordered: u64,
    silent: u32,
    stalled: u32,
}

/// The shortest and the longest interval. A later point in time may not exist.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(1 << 30);

impl Ticks {
    /// Returns the interval at which [`end_of_interval`](Self::end_of_interval) is to be called.
    pub(crate) fn interval(tick_time: Duration) -> Duration {
        (tick_time / INTERVALS).clamp(SHORTEST, LONGEST)
    }

    /// Returns whether a tick is to be written, or that the peer is lost.
    pub(crate) fn end_of_interval(&mut self, now: Progress) -> Result<bool, ConnectionLost> {
        let (was_read, was_written) =
            (now.read != self.last.read, now.written != self.last.written);
        let writes_frames = now.written - self.last.written > self.ordered;
        self.last = now;
        self.ordered = 0;
        self.silent = if was_read { 0 } else { self.silent + 1 };
        self.stalled = if was_written || !now.waits { 0 } else { self.stalled + 1 };
        match () {
            () if self.silent >= INTERVALS => Err(ConnectionLost::Silent),
            () if self.stalled >= INTERVALS => Err(ConnectionLost::Stalled),
            () if writes_frames || now.waits => Ok(false),
            () => {
                self.ordered = TICK;
                Ok(true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Progress, Ticks};
    use crate::cluster::wire::loss_reason::ConnectionLost;

    #[test]
    fn an_idle_connection_ticks_and_lives_while_the_peer_ticks() {
        let (mut ticks, mut now) = (Ticks::default(), Progress::default());
        for _ in 0..100 {
            now.read += 1;
            let tick = ticks.end_of_interval(now).unwrap();
            now.written += if tick { 4 } else { 0 };
        }
        // A tick is no reason to leave out the next one.
        assert_eq!(now.written, 4 * 100);
    }

    #[test]
    fn a_connection_that_writes_needs_no_ticks() {
        let (mut ticks, mut now) = (Ticks::default(), Progress::default());
        for _ in 0..10 {
            (now.read, now.written) = (now.read + 1, now.written + 100);
            assert_eq!(ticks.end_of_interval(now), Ok(false));
        }
    }

    #[test]
    fn a_silent_peer_is_lost_at_the_end_of_the_fourth_interval() {
        let (mut ticks, mut now) = (Ticks::default(), Progress::default());
        for _ in 0..3 {
            assert!(ticks.end_of_interval(now).is_ok());
        }
        now.read += 1;
        for _ in 0..4 {
            assert!(ticks.end_of_interval(now).is_ok());
        }
        assert_eq!(ticks.end_of_interval(now), Err(ConnectionLost::Silent));
    }

    #[test]
    fn a_peer_that_sends_and_does_not_read_is_lost_as_well() {
        let mut ticks = Ticks::default();
        let mut now = Progress { waits: true, ..Progress::default() };
        let mut results = Vec::new();
        for _ in 0..4 {
            now.read += 1;
            results.push(ticks.end_of_interval(now));
        }
        let lost = Err(ConnectionLost::Stalled);
        assert_eq!(results, [Ok(false), Ok(false), Ok(false), lost]);
    }
}
