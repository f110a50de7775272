//! Monitors that processes of other nodes have set, as the records of their targets have them.

use std::sync::Weak;

use crate::base::Pid;
use crate::cluster::remote::node_pair::Target;
use crate::cluster::remote::peer::Peer;
use crate::cluster::remote::relations::Watched;
use crate::cluster::remote::signal::Signal;
use crate::cluster::term::Words;
use crate::exit::ExitReason;
use crate::process::ForeignWatcher;

/// A monitor that a process of another node has set.
#[derive(Debug)]
pub(crate) struct RemoteWatcher {
    pub(crate) peer: Weak<Peer>,
    /// The number of the connection.
    pub(crate) connection: u64,
    pub(crate) reference: Words,
    pub(crate) id: u64,
    pub(crate) watcher: Pid,
}

impl ForeignWatcher for RemoteWatcher {
    fn pid(&self) -> Pid {
        self.watcher
    }

    fn target_ended(&self, reason: &ExitReason) {
        let Some(peer) = self.peer.upgrade() else { return };
        let (reference, id) = (self.reference, Some(self.id));
        // After the loss of the connection there is nothing to notify.
        let watched = peer.respond(self.connection, |relations| {
            let watched = relations.take_watched(reference, id);
            let down = watched.as_ref().map(|Watched { target, watcher, name, .. }| {
                let target = name.clone().map_or(Target::Pid(*target), Target::Name);
                Signal::Down { target, other: *watcher, reference, reason: reason.clone() }
            });
            (watched, down)
        });
        // The `DOWN` ends the call of that process, also if a successor takes it over.
        if let Ok(Some(watched)) = watched {
            watched.end_call();
        }
    }
}
