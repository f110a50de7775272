//! The process that speaks for the groups of this node: the counterpart of a scope of `pg`.
//!
//! Invariants:
//! 1. `published` is what other scopes know: by a `sync` with all of it, or by a `join` or
//!    `leave` for each change after that `sync`. Both go over one connection, in this order.
//! 2. A foreign member of a group is in the members of one peer, or its leave is in `changes`. So
//!    the end of this process, however it comes, removes all of them.
//! 3. A peer is a process of a connected node that has sent a `discover` or a `sync`, and is
//!    monitored. Its members are processes of its own node. Its `Down` removes them.
//!
//! | between two steps | what happens |
//! |---|---|
//! | a local process joins, and ends before its join is published | the leave is queued behind the join: both are published, in this order |
//! | it ends between a `sync` and its queued join | the join is published already if the `sync` had it, and has no effect; the leave follows |
//! | a process of a peer ends before its join arrives | its scope sends the leave behind the join. The member is there in between, as the pid of a process that has ended |
//! | the connection is lost while a message is in the mailbox of this process | the message is ignored after the `Down`, since the peer is not known. A `discover` or `sync` that comes late finds no connection |
//! | the node is connected again, and its scope is heard of before the `Down` of the earlier connection | the scope is monitored again, and the earlier `Down` is taken back. The `sync` takes the place of the members |
//! | the peer's scope is restarted, and the new one is heard of before the `Down` of the old one | the new one takes the place of the old one, and its `sync` the place of the members |
//! | this process is restarted | the members of other nodes leave, and join again with the `sync`s. The local ones stay in their groups, and are published again |
//! | both nodes make themselves known at once | each answers with a `sync`, which replaces what is known. The second one changes nothing |

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::base::random::Map;
use crate::base::{MonitorRef, Pid, SharedStr, consume_budget, ignore_panic};
use crate::cluster::error::NodeError;
use crate::cluster::pg::greeting::discover;
use crate::cluster::pg::members::{Change, Members};
use crate::cluster::pg::message::{Kind, Message, Refused, Writer, read};
use crate::cluster::pg::published::Published;
use crate::cluster::remote::connected::Connected;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::signal::Signal;
use crate::exit::{ExitReason, Result};
use crate::kernel::Kernel;
use crate::message::{EncodedTerm, GroupChange, Received};
use crate::server::{GenServer, ServerContext};

/// The arguments of a scope.
#[derive(Debug, Clone)]
pub(crate) struct ScopeArgs {
    pub(crate) name: SharedStr,
    /// The members that the scope of each other node may have here.
    pub(crate) most_members: usize,
}

pub(crate) struct Scope {
    args: ScopeArgs,
    kernel: Arc<Kernel>,
    nodes: Arc<Nodes>,
    node: Arc<LocalNode>,
    own: Pid,
    published: Published,
    /// By the number of the node.
    peers: Map<u16, Peer>,
    /// The changes of foreign members that are not in the groups yet.
    changes: VecDeque<Change>,
    pause: Duration,
}

/// Makes this scope known to the connected nodes whose scopes are not known.
pub(crate) struct Rediscover;

const TIMER: &str = "rediscover";
/// The pause before a node whose scope has ended is asked for another one. It doubles up to `LONGEST`.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// The scope of another node.
struct Peer {
    scope: Pid,
    monitor: MonitorRef,
    there: Connected,
    /// `None` after it had too many.
    members: Option<Members>,
}

impl GenServer for Scope {
    type Args = ScopeArgs;
    type Call = Infallible;
    type Cast = Rediscover;

    async fn init(args: ScopeArgs, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let (kernel, own) = (ctx.runtime().kernel, ctx.pid());
        let nodes = Nodes::of(&kernel);
        let node = nodes.local().ok_or_else(|| ExitReason::from_library(NodeError::NotRunning))?;
        let mut published = Published::default();
        for (group, pids) in kernel.publish_groups(own) {
            published.add(group, pids);
        }
        let (peers, changes, pause) = (Map::default(), VecDeque::new(), LONGEST);
        let scope = Scope { args, kernel, nodes, node, own, published, peers, changes, pause };
        scope.discover_unknown();
        ctx.cast_after_as(TIMER, pause, Rediscover);
        Ok(scope)
    }

    /// A scope of OTP that is started again, or is started after the connection, makes itself known
    /// to visible nodes only.
    async fn handle_cast(&mut self, _: Rediscover, ctx: &mut ServerContext<Self>) -> Result {
        let is_complete = self.discover_unknown();
        self.pause = if is_complete { LONGEST } else { (self.pause * 2).min(LONGEST) };
        ctx.cast_after_as(TIMER, self.pause, Rediscover);
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        match info {
            Received::Group { group, pid, change, .. } => self.publish(&group, pid, change),
            Received::Down { reference, .. } => {
                self.lost(reference);
                self.pause = SHORTEST;
                ctx.cast_after_as(TIMER, self.pause, Rediscover);
            }
            Received::Term(term) => self.receive(&term, ctx),
            _ => {}
        }
        while let Some(change) = self.changes.front() {
            apply(&self.kernel, change.clone());
            self.changes.pop_front();
            consume_budget().await;
        }
        Ok(())
    }
}

/// Runs however the server ends.
impl Drop for Scope {
    fn drop(&mut self) {
        for peer in self.peers.values_mut() {
            peer.members.take().unwrap_or_default().clear(&mut self.changes);
        }
        let leaves = self.changes.drain(..).filter(|change| change.change == GroupChange::Left);
        leaves.for_each(|change| apply(&self.kernel, change));
    }
}

impl Scope {
    /// Makes this scope known to the connected nodes whose scopes are not known. Returns whether
    /// there are none.
    fn discover_unknown(&self) -> bool {
        let mut unknown = self.nodes.all_connected();
        unknown.retain(|there| !self.peers.contains_key(&there.node.number));
        for there in &unknown {
            discover(&self.node, self.own, &self.args.name, there);
        }
        unknown.is_empty()
    }

    /// Publishes the change of a local member.
    fn publish(&mut self, group: &SharedStr, pid: Pid, change: GroupChange) {
        let writer = Writer { node: &self.node, scope: self.own };
        let Some(term) = self.published.change(group, pid, change, &writer) else { return };
        for peer in self.peers.values() {
            send(&peer.there, peer.scope, term.clone());
        }
    }

    fn receive(&mut self, term: &EncodedTerm, ctx: &mut ServerContext<Self>) {
        let Ok(message) = read(term.as_bytes()) else {
            return self.log_ignored("it is no message of a scope");
        };
        // A node that isn't connected is not connected to, whatever a message says.
        let there = self.nodes.connected_of(&message.scope);
        let Some((there, scope)) = there.and_then(|there| {
            let scope = there.pid(&message.scope)?;
            Some((there, scope))
        }) else {
            return self.log_ignored("its node is not connected");
        };
        match message.kind {
            Kind::Discover => self.discovered(scope, &there, ctx),
            Kind::Sync => {
                self.watch(scope, &there, ctx);
                self.change(&there, scope, message);
            }
            Kind::Join | Kind::Leave => self.change(&there, scope, message),
        }
    }

    /// Answers a scope that makes itself known.
    fn discovered(&mut self, scope: Pid, there: &Connected, ctx: &mut ServerContext<Self>) {
        let writer = Writer { node: &self.node, scope: self.own };
        send(there, scope, self.published.sync(&writer));
        if self.watch(scope, there, ctx) {
            let writer = Writer { node: &self.node, scope: self.own };
            send(there, scope, writer.discover());
        }
    }

    /// Monitors a scope, unless it is known. The scope takes the place of an earlier one of its node,
    /// or of an earlier connection, whose `Down` may come later.
    fn watch(&mut self, scope: Pid, there: &Connected, ctx: &mut ServerContext<Self>) -> bool {
        let number = there.node.number;
        let is_known = |peer: &Peer| peer.scope == scope && peer.there.is(there);
        if self.peers.get(&number).is_some_and(is_known) {
            return false;
        }
        let (monitor, there) = (ctx.monitor(scope), there.clone());
        let earlier = self.peers.remove(&number);
        let members = earlier.and_then(|earlier| {
            ctx.demonitor(earlier.monitor);
            earlier.members
        });
        let members = Some(members.unwrap_or_default());
        self.peers.insert(number, Peer { scope, monitor, there, members });
        true
    }

    /// Changes the members of a peer as a message says.
    fn change(&mut self, there: &Connected, scope: Pid, message: Message<'_>) {
        let Some(peer) = self.peers.get_mut(&there.node.number) else { return };
        let Some(members) = peer.members.as_mut().filter(|_| peer.scope == scope) else { return };
        let (most, changes, kind) = (self.args.most_members, &mut self.changes, message.kind);
        let reader = message.reader(most, |pid| there.pid(pid));
        let changed = match kind {
            Kind::Discover => Ok(()),
            Kind::Sync => reader.sync().and_then(|all| Ok(members.replace(all, most, changes)?)),
            Kind::Join => reader.join().and_then(|joins| Ok(members.join(joins, most, changes)?)),
            Kind::Leave => {
                reader.leave().map(|(pids, groups)| members.leave(&pids, &groups, changes))
            }
        };
        match changed {
            Ok(()) => {}
            Err(Refused::Malformed) => self.log_ignored("it is no message of a scope"),
            Err(Refused::TooMany) => {
                members.clear(changes);
                peer.members = None;
                let node = &there.node.name;
                ignore_panic(|| {
                    tracing::warn!(
                        target: "regrow::cluster", scope = %self.args.name, %node, most,
                        "too many members of groups: those of the node are removed"
                    );
                });
            }
        }
    }

    /// Removes the members of a scope that has ended, or whose connection is lost.
    fn lost(&mut self, reference: MonitorRef) {
        let of = |(number, peer): (&u16, &Peer)| (peer.monitor == reference).then_some(*number);
        let lost = self.peers.iter().find_map(of).and_then(|number| self.peers.remove(&number));
        if let Some(mut members) = lost.and_then(|peer| peer.members) {
            members.clear(&mut self.changes);
        }
    }

    fn log_ignored(&self, why: &str) {
        let scope = &self.args.name;
        ignore_panic(
            || tracing::debug!(target: "regrow::cluster", %scope, why, "message of a scope ignored"),
        );
    }
}

fn send(there: &Connected, to: Pid, term: EncodedTerm) {
    there.send(Signal::Send { to, term });
}

fn apply(kernel: &Kernel, change: Change) {
    match change.change {
        GroupChange::Joined => kernel.join_foreign(change.group, change.pid),
        GroupChange::Left => drop(kernel.leave_group(change.group, change.pid)),
    }
}
