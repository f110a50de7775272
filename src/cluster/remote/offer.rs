//! Messages that may be left out: they go over a connection that exists, and only while it has room.
//!
//! Any other signal is never left out, because links, monitors and calls rely on the order of all signals.
//! So a connection whose queue exceeds its bound is closed. A message that is offered takes at most half
//! of the queue, and so does not cost the connection: see
//! [`is_half_full`](crate::cluster::wire::Outbox::is_half_full). Several threads that offer at once may
//! exceed the half by a message each.
//!
//! | the connection | what happens |
//! |---|---|
//! | has ended, or its loss is noted before the append | nothing is sent, and no attempt to connect begins |
//! | ends after the append | the message is lost, as any signal |
//! | is replaced by one with another incarnation of the node | nothing is sent, since the process has ended |

use crate::base::Pid;
use crate::cluster::remote::node_numbers::incarnation_of;
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::peer_connection::Up;
use crate::cluster::wire::{Appended, Outbox};
use crate::message::EncodedTerm;

/// What has become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    Sent,
    /// More than half of the send buffer waits.
    Full,
    /// There is no connection to the node of the process, or the process has ended.
    NotConnected,
}

impl Nodes {
    /// Offers a message to a process of another node.
    pub(crate) fn offer(&self, to: Pid, term: &EncodedTerm) -> Offered {
        let known = incarnation_of(to).and_then(|node| self.known(&node.name));
        let offered = known.and_then(|peer| peer.with_up(|up, _| up.offer(to, term)));
        let Some((offered, wake)) = offered else { return Offered::NotConnected };
        if let Some((outbox, appended)) = wake {
            outbox.wake(appended);
        }
        offered
    }
}

impl Up {
    /// Appends a message if there is room. The result says what has to be woken after unlock.
    fn offer(&self, to: Pid, term: &EncodedTerm) -> (Offered, Option<(Outbox, Appended)>) {
        if !self.reaches(to) {
            return (Offered::NotConnected, None);
        }
        if self.outbox.is_half_full() {
            return (Offered::Full, None);
        }
        let appended = self.append_message(to, term);
        let offered = match appended {
            Appended::Yes => Offered::Sent,
            Appended::Overflow | Appended::No => Offered::NotConnected,
        };
        (offered, Some((self.outbox.clone(), appended)))
    }
}
