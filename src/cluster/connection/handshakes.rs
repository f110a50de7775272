//! The handshakes of accepted connections that are under way: how many there may be, and which one is
//! closed for another.
//!
//! **The bound.** At most [`MOST`] handshakes are under way. A connection beyond them closes the
//! oldest one that has not given its name or, if all have, the oldest one. So sockets that are opened
//! and say nothing keep no node out.
//!
//! **If a handshake ends** before, between or after the steps of another one: it leaves the table when
//! its [`Handshake`] is dropped, however its process ends. A handshake that has shown that it knows
//! the cookie leaves the table before the server is asked, so a connection that is up is not closed.
//! Both the close and the leave are under the lock: a handshake that was closed can't leave, and
//! ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::base::PlainMutex;

/// The handshakes of accepted connections that may be under way at once.
const MOST: usize = 128;
/// The refused connections that are logged in each [`PERIOD`].
const MOST_LOGGED: u32 = 10;
const PERIOD: Duration = Duration::from_secs(1);

/// The handshakes that are under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handshakes(Arc<PlainMutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    /// In the order of their begin.
    open: Vec<Open>,
    begun: u64,
    log: Log,
}

#[derive(Debug)]
struct Open {
    number: u64,
    is_named: bool,
    closed: Arc<Notify>,
}

/// What was logged since the begin of a period.
#[derive(Debug, Default)]
struct Log {
    since: Option<Instant>,
    logged: u32,
    left_out: u64,
}

/// A handshake that is under way. It leaves the table when it is dropped.
#[derive(Debug)]
pub(crate) struct Handshake {
    handshakes: Handshakes,
    number: u64,
    closed: Arc<Notify>,
}

impl Handshakes {
    /// Begins a handshake, which may close another one.
    pub(crate) fn begin(&self) -> Handshake {
        let closed = Arc::new(Notify::new());
        let mut table = self.0.lock();
        if table.open.len() >= MOST {
            let unnamed = table.open.iter().position(|open| !open.is_named);
            // A permit of `closed` is kept until the handshake looks at it.
            table.open.remove(unnamed.unwrap_or(0)).closed.notify_one();
        }
        table.begun += 1;
        let number = table.begun;
        table.open.push(Open { number, is_named: false, closed: closed.clone() });
        drop(table);
        Handshake { handshakes: self.clone(), number, closed }
    }

    /// Returns whether a refused connection is logged now, by the number of those before it that
    /// were not.
    pub(crate) fn logs(&self) -> Option<u64> {
        let now = Instant::now();
        let mut table = self.0.lock();
        let log = &mut table.log;
        if log.since.is_none_or(|since| now.saturating_duration_since(since) >= PERIOD) {
            (log.since, log.logged) = (Some(now), 0);
        }
        if log.logged >= MOST_LOGGED {
            log.left_out += 1;
            return None;
        }
        log.logged += 1;
        Some(std::mem::take(&mut log.left_out))
    }
}

impl Handshake {
    /// Notes that the other node has given its name.
    pub(crate) fn named(&self) {
        let mut table = self.handshakes.0.lock();
        if let Some(open) = table.open.iter_mut().find(|open| open.number == self.number) {
            open.is_named = true;
        }
    }

    /// Leaves the table; false if the handshake was closed for another one.
    pub(crate) fn leave(&self) -> bool {
        let mut table = self.handshakes.0.lock();
        let at = table.open.iter().position(|open| open.number == self.number);
        at.map(|at| table.open.remove(at)).is_some()
    }

    /// Waits until the handshake is closed for another one.
    pub(crate) async fn closed(&self) {
        self.closed.notified().await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::advance;

    use super::{Handshake, Handshakes, MOST, MOST_LOGGED};

    fn is_closed(handshake: &Handshake) -> bool {
        handshake.closed().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_handshake_without_a_name_is_closed_for_another_one() {
        let handshakes = Handshakes::default();
        let open: Vec<_> = (0..MOST).map(|_| handshakes.begin()).collect();
        open[0].named();
        let next = handshakes.begin();
        let closed: Vec<_> = (0..MOST).filter(|at| is_closed(&open[*at])).collect();
        assert_eq!(closed, [1]);
        assert!(!open[1].leave() && open[2].leave() && !is_closed(&next));
        let _room = handshakes.begin();
        assert!(!open[3..].iter().any(is_closed));
    }

    #[test]
    fn the_oldest_handshake_is_closed_if_all_have_names() {
        let handshakes = Handshakes::default();
        let open: Vec<_> = (0..MOST).map(|_| handshakes.begin()).collect();
        open.iter().for_each(Handshake::named);
        let _next = handshakes.begin();
        assert!(is_closed(&open[0]) && !open[1..].iter().any(is_closed));
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_lines_of_refused_connections_have_a_bound() {
        let handshakes = Handshakes::default();
        for _ in 0..MOST_LOGGED {
            assert_eq!(handshakes.logs(), Some(0));
        }
        assert_eq!((handshakes.logs(), handshakes.logs()), (None, None));
        advance(Duration::from_secs(1)).await;
        assert_eq!((handshakes.logs(), handshakes.logs()), (Some(2), Some(0)));
    }
}
