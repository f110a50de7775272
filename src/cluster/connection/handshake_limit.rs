//! The limit of handshakes of accepted connections, and which handshake is closed at the limit.
//!
//! **The bound.** At most [`MOST`] handshakes are under way. A new one above the limit closes
//! another one. The choice has three steps:
//!
//! 1. The candidates are the handshakes of the address that has the most of them, the new one
//!    included. So a program at one address closes only its own handshakes. All addresses with at
//!    most [`FEW`] handshakes count as equal. Otherwise a program with many addresses, and one
//!    handshake at each, would close the handshakes of two nodes that share an address.
//! 2. The candidates are of two kinds: with and without a name. Only the larger kind remains.
//! 3. The oldest candidate is closed.
//!
//! A handshake has two parts: until its name arrives, and from its name to its answer. Among N
//! candidates, one is closed only if N / 2 newer ones arrive during one of its parts. A rule that
//! always closed a handshake without a name would be weaker: a flood of names could close each new
//! handshake before its name arrives. An address of IPv6 counts by its first 64 bits, because one
//! machine may use all addresses with the same 64 bits.
//!
//! **If a handshake ends**, it leaves the table when its [`Handshake`] is dropped, for every way in
//! which its process ends. A handshake of a node that has proved that it knows the cookie leaves
//! the table before the server decides, so a connection that is up is never closed here. Close and
//! leave are made under one lock. A handshake that was closed can't leave any more, and its process
//! ends.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::base::PlainMutex;
use crate::base::random::Map;
use crate::observe::log_limit::LogLimit;

/// The handshakes of accepted connections that may be under way at once.
const MOST: usize = 128;
/// Addresses with at most this number of handshakes count as equal.
const FEW: usize = MOST / 16;

/// The handshakes that are under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handshakes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    table: PlainMutex<Table>,
    log: LogLimit,
}

#[derive(Debug, Default)]
struct Table {
    /// In the order of their begin.
    open: Vec<Open>,
    begun: u64,
}

#[derive(Debug)]
struct Open {
    number: u64,
    from: Origin,
    is_named: bool,
    closed: Arc<Notify>,
}

/// Where a connection comes from: one address of IPv4, one network of 64 bits of IPv6, or a network
/// of the program, which has no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Origin(u64);

impl Origin {
    pub(crate) const WITHOUT_ADDRESS: Origin = Origin(0);

    pub(crate) fn of(address: IpAddr) -> Origin {
        match address.to_canonical() {
            // No network of IPv6 that is in use has this prefix.
            IpAddr::V4(address) => Origin(u64::from(u32::from(address)) | 0xffff << 48),
            IpAddr::V6(address) => {
                let [network @ .., _, _, _, _] = address.segments();
                Origin(network.iter().fold(0, |bits, part| bits << 16 | u64::from(*part)))
            }
        }
    }
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
    pub(crate) fn begin(&self, from: Origin) -> Handshake {
        let closed = Arc::new(Notify::new());
        let mut table = self.0.table.lock();
        table.begun += 1;
        let number = table.begun;
        table.open.push(Open { number, from, is_named: false, closed: closed.clone() });
        if let Some(surplus) = table.surplus() {
            // `closed` stores the permit until the handshake waits for it.
            table.open.remove(surplus).closed.notify_one();
        }
        drop(table);
        Handshake { handshakes: self.clone(), number, closed }
    }

    /// The bound of the log lines of refused connections.
    pub(crate) fn log_limit(&self) -> &LogLimit {
        &self.0.log
    }
}

impl Table {
    /// Returns the index of the handshake to close, if there are too many. The last handshake,
    /// which is new, is never closed.
    fn surplus(&self) -> Option<usize> {
        let (_, earlier) = self.open.split_last().filter(|(_, earlier)| earlier.len() >= MOST)?;
        let mut counts = Map::<Origin, usize>::default();
        self.open.iter().for_each(|open| *counts.entry(open.from).or_default() += 1);
        let count = |open: &Open| counts.get(&open.from).copied().unwrap_or_default().max(FEW);
        let most = earlier.iter().map(count).max()?;
        let is_candidate = |open: &&Open| count(open) == most;
        let candidates: Vec<_> = earlier.iter().filter(is_candidate).collect();
        let named = candidates.iter().filter(|open| open.is_named).count();
        let closes_named = named > candidates.len() / 2;
        let oldest = candidates.iter().find(|open| open.is_named == closes_named)?;
        earlier.iter().position(|open| open.number == oldest.number)
    }
}

impl Handshake {
    /// Notes that the other node has given its name.
    pub(crate) fn named(&self) {
        let mut table = self.handshakes.0.table.lock();
        if let Some(open) = table.open.iter_mut().find(|open| open.number == self.number) {
            open.is_named = true;
        }
    }

    /// Leaves the table; false if the handshake was closed for another one.
    pub(crate) fn leave(&self) -> bool {
        let mut table = self.handshakes.0.table.lock();
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
    use std::net::IpAddr;

    use futures_util::FutureExt;

    use super::{Handshake, Handshakes, MOST, Origin};

    fn origin(address: &str) -> Origin {
        Origin::of(address.parse::<IpAddr>().unwrap())
    }

    fn begin(handshakes: &Handshakes, count: usize, from: &str) -> Vec<Handshake> {
        (0..count).map(|_| handshakes.begin(origin(from))).collect()
    }

    fn is_closed(handshake: &Handshake) -> bool {
        handshake.closed().now_or_never().is_some()
    }

    fn closed(handshakes: &[Handshake]) -> Vec<usize> {
        (0..handshakes.len()).filter(|at| is_closed(&handshakes[*at])).collect()
    }

    #[test]
    fn the_oldest_handshake_without_a_name_is_closed_while_most_have_none() {
        let handshakes = Handshakes::default();
        let open = begin(&handshakes, MOST, "10.0.0.1");
        open[0].named();
        let next = begin(&handshakes, 1, "10.0.0.1");
        assert_eq!(closed(&open), [1]);
        assert!(!open[1].leave() && open[2].leave() && !is_closed(&next[0]));
        let _room = begin(&handshakes, 1, "10.0.0.1");
        assert!(closed(&open[3..]).is_empty());
    }

    /// The new handshakes have not given a name yet, so they are not closed.
    #[test]
    fn a_flood_of_names_closes_handshakes_with_names() {
        let handshakes = Handshakes::default();
        let open = begin(&handshakes, MOST, "10.0.0.1");
        open.iter().for_each(Handshake::named);
        let next = begin(&handshakes, MOST / 2, "10.0.0.1");
        assert_eq!(closed(&open), (0..MOST / 2).collect::<Vec<_>>());
        assert!(closed(&next).is_empty());
    }

    #[test]
    fn the_address_with_the_most_handshakes_loses_one() {
        let handshakes = Handshakes::default();
        let node = begin(&handshakes, 1, "10.0.0.2");
        let flood = begin(&handshakes, 10 * MOST, "10.0.0.1");
        let other = begin(&handshakes, 2, "10.0.0.3");
        flood.iter().for_each(Handshake::named);
        let more = begin(&handshakes, MOST, "::ffff:10.0.0.1");
        assert!(closed(&node).is_empty() && closed(&other).is_empty());
        assert_eq!(closed(&flood).len() + closed(&more).len(), 11 * MOST + 3 - MOST);
    }

    /// Several nodes at one address are not closed for a flood from another address.
    #[test]
    fn handshakes_from_many_addresses_close_each_other() {
        let handshakes = Handshakes::default();
        let of_origin = |number| handshakes.begin(Origin(number));
        let flood: Vec<_> = (1..=MOST as u64).map(of_origin).collect();
        let nodes = begin(&handshakes, 4, "10.0.0.2");
        let more: Vec<_> = (1001..=1020).map(of_origin).collect();
        assert!(closed(&nodes).is_empty() && closed(&more).is_empty());
        assert_eq!(closed(&flood), (0..24).collect::<Vec<_>>());
    }

    #[test]
    fn addresses_of_ipv6_count_by_their_network() {
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:1"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:10.0.0.1"), origin("10.0.0.1"));
        assert_ne!(origin("::1"), origin("127.0.0.1"));
    }
}
