//! How nodes connect on a network.
//!
//! | what ends | the other node |
//! |---|---|
//! | the attempt, before the connection arrives | notices nothing |
//! | the listener, before it has taken the connection | sees a connection that is closed |
//! | the listener, before the connection arrives | gets [`NodeError::Unknown`] |

use std::pin::pin;

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::cluster::carrier::network::ends::halves;
use crate::cluster::carrier::network::handle::Network;
use crate::cluster::carrier::network::pairs::Arrival;
use crate::cluster::carrier::stream::{Prefix, Stream};
use crate::cluster::error::NodeError;
use crate::cluster::node_name::NodeName;

/// The connections that wait for a listener. Further ones wait before they arrive.
const BACKLOG: usize = 128;

/// The place where the connections of a node arrive. Its drop frees the name, and closes the
/// connections that it has not taken.
#[derive(Debug)]
pub(crate) struct NetworkListener {
    network: Network,
    name: NodeName,
    arrivals: mpsc::Receiver<Arrival>,
}

impl NetworkListener {
    /// Waits for a connection, and returns it with the name of the node that has opened it.
    pub(crate) async fn accept(&mut self) -> Arrival {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            // The network has the sender as long as this listener exists.
            None => std::future::pending().await,
        }
    }
}

impl Drop for NetworkListener {
    fn drop(&mut self) {
        let sender = self.network.0.pairs.lock().listener(self.name.as_str()).take();
        drop(sender);
    }
}

impl Network {
    /// Makes the node with this name reachable.
    pub(crate) fn listen(&self, name: &NodeName) -> Result<NetworkListener, NodeError> {
        let (sender, arrivals) = mpsc::channel(BACKLOG);
        let mut pairs = self.0.pairs.lock();
        let listener = pairs.listener(name.as_str());
        if listener.is_some() {
            return Err(NodeError::NameTaken(name.to_string()));
        }
        *listener = Some(sender);
        drop(pairs);
        Ok(NetworkListener { network: self.clone(), name: name.clone(), arrivals })
    }

    /// Opens a connection between two nodes. Waits for the delays of both ways, and for the heal if
    /// one of them is cut.
    pub(crate) async fn connect(
        &self,
        from: &NodeName,
        to: &NodeName,
    ) -> Result<Stream, NodeError> {
        let (from, to) = (from.as_str(), to.as_str());
        let mut is_delayed = false;
        loop {
            // A heal between the look and the wait is noticed.
            let mut healed = pin!(self.0.healed.notified());
            healed.as_mut().enable();
            let [out, back] = self.0.pairs.lock().lines(from, to);
            if out.is_cut || back.is_cut {
                healed.await;
                continue;
            }
            let delay = out.delay.1 + back.delay.1;
            if is_delayed || delay.is_zero() {
                break;
            }
            sleep(delay).await;
            is_delayed = true;
        }
        let unknown = || NodeError::Unknown(to.to_owned());
        let (seed, capacity, sent) = (self.0.seed, self.0.capacity, self.0.sent.clone());
        let (listener, pipe) = {
            let mut pairs = self.0.pairs.lock();
            let listener = pairs.listener(to).clone().ok_or_else(unknown)?;
            (listener, pairs.open((from, to), seed, capacity, sent))
        };
        let end = |is_opener| {
            let (reader, writer) = halves(&pipe, is_opener);
            Stream::new(Box::new(reader), Box::new(writer), Prefix::Short)
        };
        let (own, arrival) = (end(true), (end(false), from.to_owned()));
        listener.send(arrival).await.map_err(|_| unknown())?;
        Ok(own)
    }
}
