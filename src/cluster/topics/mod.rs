//! Topics over the nodes of a cluster: a [`PubSub`](crate::PubSub) that other nodes have as well.
//!
//! **Uses** `base`, `exit`, `message`, `observe`, `process`, `kernel`, `runtime`, `child`, `server`,
//! `events`, and `remote`, `reply` and `term` of the cluster.
//! **Knows nothing of** connections and of the protocol of groups: it reads the members of a group of
//! the runtime.
//!
//! [`Outward`](outward::Outward) sends the events of this node, [`relay`] has the process that receives
//! those of others, [`message`] the term between the two.
//!
//! **Guarantees**
//! 1. A publish never waits for another node, and no other node makes it fail.
//! 2. A publish sends one message to each relay of another node, and to each other process of another
//!    node that is a member of the group.
//! 3. The events of one publisher reach a relay in the order in which they were published, as long as
//!    the connection lasts. None reaches it twice.
//! 4. What a relay receives is published at its own node only. So no event comes back, and none is
//!    sent on.
//!
//! **Steps** of a publish, after the snapshot of the local subscribers:
//! 1. Read the members of the group at other nodes. If there are none, nothing is encoded.
//! 2. Encode the message once, without a lock.
//! 3. Append it to the queue of each connection that has room, and count where it has none.
//!
//! **Steps** of a relay: decode the key, look for subscribers of that topic, decode the event, publish it
//! here.
//!
//! **Invariants**
//! 1. The topics are sent to other nodes while their relay runs: it sets the way in its `init`, and its
//!    drop removes it, however it ends.
//! 2. A relay is a member of the group only while it can publish: it joins after it has set the way, and
//!    leaves with its process.
//! 3. One process of a runtime has the name of the group. So there is one relay of a name.
//! 4. All that the relay runs of the user's types runs under `catch_unwind`: bytes of another node end
//!    no relay.
//!
//! **The other side ends:**
//!
//! | what ends | when | |
//! |---|---|---|
//! | a relay of another node | before step 1 of a publish, and its leave has arrived | it gets nothing |
//! | | after that, or its leave is under way | the message finds no process there, and is lost |
//! | another node, or the connection | before step 3 | nothing is sent, and no attempt to connect begins |
//! | | after step 3 | the message is lost, unless it has arrived |
//! | the relay of this node | before a message is taken from its mailbox | the message is lost. The next relay joins the group as a new member |
//! | | between two steps of its own | no subscriber gets the event, or all do: there is no await between the steps |
//! | | during a publish | the publish goes on |
//! | a subscriber | at any time | as in a local publish |

mod error;
mod counts;
mod message;
mod outward;
mod relay;
mod handle;

pub use counts::RelayCounts;
pub use error::TopicsError;
pub use handle::TopicRelay;
