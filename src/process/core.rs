//! The part of a process's record that does not depend on the message type.

use std::any::Any;
use std::sync::{Arc, Weak};
use std::task::Waker;

use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::base::node_path::NodePath;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::small_map::SmallMap;
use crate::exit::reason::ExitReason;
use crate::exit::shutdown::Shutdown;
use crate::observe::activity::Activity;
use crate::observe::health::Health;
use crate::observe::past_events::PastEvents;
use crate::observe::state_record::StateRecord;
use crate::process::ancestors::Ancestors;
use crate::process::call_limit::CallLimit;
use crate::process::child_facts::ChildFacts;
use crate::process::child_role::{ChildRole, ChildSlot, SpecName};
use crate::process::heartbeat::Heartbeats;
use crate::process::intake::{Drain, Intake};
use crate::process::link::Link;
use crate::process::mailbox_counts::Counts;
use crate::process::memory::Limited;
use crate::process::registrar::{Registrar, SpecKey};
use crate::process::stage::Stage;
use crate::process::unhandled_counts::Unhandled;
use crate::process::vacated_names::{VacatedName, VacatedNames};
use crate::process::watcher::Watcher;
use crate::restart::Rules;

/// Whether the reader of the mailbox waits, and how a queued item wakes the reader.
/// `mailbox::idle_wait` shows the transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ReaderWait {
    #[default]
    NotWaiting,
    /// The task of the process waits. A queued item wakes the task by reference, under the lock.
    Task,
    /// The task of the process has announced that it will wait when the current handler has
    /// returned. A queued item wakes the task as in `Task`.
    Announced,
    /// A foreign reader waits: a reader that is polled with a waker other than that of the task.
    /// That waker is stored in [`Registrations::reader`].
    Foreign,
    /// A foreign reader has to be woken. Its waker may be user code, so the reader is woken after
    /// unlock.
    WakeDue,
}

/// The state that every process has.
#[derive(Default)]
pub(crate) struct Core {
    /// Changed only by `AnyProcess::advance`, which raises the flag bits of the stage as well.
    pub(crate) stage: Stage,
    pub(crate) trap: bool,
    /// Whether the process, a server, still accepts casts, messages and streams.
    pub(crate) intake: Intake,
    pub(crate) reader_wait: ReaderWait,
    /// Queued items are stamped with the time, because the handlers of the server are tracked.
    pub(crate) tracked: bool,
    /// An exit signal of the parent has arrived, or the process is a supervisor that has begun to
    /// stop all its children for another reason.
    pub(crate) stop_requested: bool,
    /// The number of signals that were revoked since the last search of the inbox, as
    /// [`revoke_signals`](crate::process::Locked::revoke_signals) counts them; at most 255.
    pub(crate) revoked: u8,
    /// Whether `relations` may have registrations. Without them, the depth of the mailbox and the
    /// health are read without loading the relations, which lie elsewhere in memory.
    pub(super) has_registrations: bool,
    pub(crate) reason: Option<ExitReason>,
    pub(crate) task: Option<Waker>,
    /// State that only some processes need. An ordinary process pays one word for it.
    pub(crate) relations: Option<Box<Relations>>,
}

/// Tickets of link exits, by the peer that ended, so that an unlink finds the tickets of its peer
/// without a search. There are several tickets for a peer if the process tried to link to that peer
/// after its end.
pub(crate) type ExitTickets = SmallMap<Pid, SmallMap<u64, ()>>;

/// The relations of a process to other processes.
#[derive(Default)]
pub(crate) struct Relations {
    pub(crate) links: SmallMap<Pid, Link>,
    /// The monitors that this process has set, by number.
    pub(crate) monitors: SmallMap<u64, MonitorEntry>,
    /// The processes that monitor this one, by the number of the monitor.
    pub(crate) watchers: Option<Box<SmallMap<u64, Watcher>>>,
    /// Tickets of the link exits that are queued in the mailbox.
    pub(crate) exits: Option<Box<ExitTickets>>,
    /// Wakers of the tasks that wait for the end of the process, or for room in its mailbox.
    pub(crate) waiters: SmallMap<u64, Waker>,
    pub(crate) label: Option<SharedStr>,
    pub(crate) parent: Option<Parent>,
    /// Set if the parent is a supervisor that has started this process as a child.
    pub(crate) child: Option<ChildFacts>,
    /// A separate box, because the child of a supervisor needs most of the fields above, and rarely
    /// a field of this box.
    pub(crate) registrations: Option<Box<Registrations>>,
}

/// The names and groups of a process, its unanswered callers, and other state that few processes
/// have.
#[derive(Default)]
pub(crate) struct Registrations {
    pub(crate) names: SmallMap<SharedStr, ()>,
    pub(crate) tags: SmallMap<SharedStr, ()>,
    /// The registries that list this process, by their numbers.
    pub(crate) registries: SmallMap<u64, Weak<dyn Registrar>>,
    /// The names, keys and queues that ended children have left to this supervisor, for their
    /// successors.
    pub(crate) vacated_names: Option<Box<VacatedNames>>,
    /// The name that the specification of this child gives.
    pub(crate) spec_name: Option<Box<SpecName>>,
    /// The key under which this process was started.
    pub(crate) spec_key: Option<Box<SpecKey>>,
    /// This supervisor restarts no child any more: it is stopping, has given up, or ends because a
    /// significant child has ended.
    pub(crate) stopping: bool,
    /// The process has decided that it has no successor.
    pub(crate) not_restarted: bool,
    pub(crate) supervisor_record: Option<Box<SupervisorRecord>>,
    /// The token that some delivered signals cancel instead of being queued: the exit of the
    /// parent, a request to stop, and the failure of a task's caller. For the exit of the parent,
    /// the process counts as trapping exits.
    pub(crate) stop: Option<CancellationToken>,
    pub(crate) unanswered: Vec<Arc<dyn Unanswered>>,
    pub(crate) reader: Option<Waker>,
    pub(crate) counts: Option<Counts>,
    /// The messages that the reader had taken out of the inbox, and dropped unhandled.
    pub(crate) unhandled: Option<Box<Unhandled>>,
    /// The drain that the server has asked for.
    pub(crate) drain: Option<Box<Drain>>,
    /// The process was started with a name or a key, or keeps its queue, and its `init` has not
    /// finished.
    pub(crate) starting: bool,
    /// What is queued at the end of this child is kept for its successor.
    pub(crate) keeps_queue: bool,
    /// The health that the process has reported.
    pub(crate) health: Option<Health>,
    /// The last events of the process that are in no history.
    pub(crate) past_events: Option<Arc<PastEvents>>,
    /// The activity of a server, if its handlers are tracked or slow handlers are reported.
    pub(crate) activity: Option<Box<Activity>>,
    /// What can be seen of a state machine.
    pub(crate) state_record: Option<Arc<StateRecord>>,
    /// The heartbeats of a child whose specification requires them.
    pub(crate) heartbeats: Option<Box<Heartbeats>>,
    /// Whether the process is a server that is suspended, and so runs no handler that could report
    /// a heartbeat.
    pub(crate) is_suspended: bool,
    /// The span of the process, made when it is first needed. The span is never dropped under the
    /// lock.
    pub(crate) span: Option<Arc<Span>>,
    /// The memory of the process and its failed handlers, if they are known and counted.
    pub(crate) limited: Option<Box<Limited>>,
    /// The limit of the call that a handler of the server handles, while deadlines are propagated.
    pub(crate) handled_call: Option<Arc<CallLimit>>,
}

/// A monitor in the record of its watcher.
pub(crate) enum MonitorEntry {
    /// The monitor waits for the end of the process with this pid.
    Process(Pid),
    /// The monitor waits for the end of the process that holds a name at this node.
    #[cfg(feature = "cluster")]
    AtNode(SharedStr),
    /// The monitor has fired: its `Down` is queued, unless the watcher was ending.
    Fired,
    /// The monitor reports the changes of this group, `queued` of which are in the mailbox.
    Group { group: SharedStr, queued: usize },
}

impl MonitorEntry {
    /// Whether the monitor reports the end of a process, and has not fired.
    pub(crate) fn waits_for_end(&self) -> bool {
        match self {
            MonitorEntry::Process(_) => true,
            #[cfg(feature = "cluster")]
            MonitorEntry::AtNode(_) => true,
            MonitorEntry::Fired | MonitorEntry::Group { .. } => false,
        }
    }
}

/// The supervisor of a process, or the process that started it with `start_link`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent {
    pub(crate) pid: Pid,
    /// How long the process may run after the end of the parent, if the process traps exits.
    pub(crate) shutdown: Shutdown,
    /// Set if the parent is a supervisor.
    pub(crate) role: Option<ChildRole>,
}

/// State that only supervisors have.
#[derive(Default)]
pub(crate) struct SupervisorRecord {
    /// The supervisors above this one.
    pub(crate) ancestors: Option<Arc<Ancestors>>,
    /// Orphans: processes that ended children of this supervisor have left behind, each with the
    /// incarnation of the child.
    pub(crate) orphans: Vec<(ChildSlot, Pid)>,
    /// The supervisor is ending, and its orphans have been taken out of this record, to be recorded
    /// at a supervisor above.
    pub(crate) passed_on: bool,
    /// The restart rules of children that have none of their own.
    pub(crate) child_rules: Option<Rules>,
    /// The place of the supervisor in its tree.
    pub(crate) path: Option<Arc<NodePath>>,
    /// The published state of the supervisor, for readers that don't wait for its answer.
    pub(crate) published: Option<Arc<dyn Any + Send + Sync>>,
}

/// A caller whose reply was dropped unsent.
pub(crate) trait Unanswered: Send + Sync {
    /// Resolves the call: with the exit reason of the server if `ended` gives one, otherwise with
    /// "no reply".
    fn resolve(self: Arc<Self>, ended: Option<&ExitReason>);
}

impl Relations {
    /// Whether the end of this process may have to be logged, or announced to a link, a monitor or a
    /// caller, and not only to tasks that wait for it.
    pub(crate) fn is_related(&self) -> bool {
        let Relations {
            links,
            monitors,
            watchers,
            exits: _,
            waiters: _,
            label,
            parent: _,
            child: _,
            registrations,
        } = self;
        let is_watched = watchers.as_ref().is_some_and(|watchers| !watchers.is_empty());
        !links.is_empty()
            || !monitors.is_empty()
            || is_watched
            || label.is_some()
            || registrations.is_some()
    }
}

impl Registrations {
    /// The entry of a name that an ended child has left to this process.
    pub(crate) fn vacated(&self, name: &SharedStr) -> Option<&VacatedName> {
        self.vacated_names.as_ref()?.get(name)
    }

    /// Removes a name from the list of vacated names.
    pub(crate) fn forget_vacated(&mut self, name: &SharedStr) -> Option<VacatedName> {
        self.vacated_names.as_mut()?.remove(name)
    }
}

impl Core {
    pub(crate) fn new(relations: Option<Box<Relations>>) -> Self {
        let has_registrations = relations.as_ref().is_some_and(|own| own.registrations.is_some());
        Core { relations, has_registrations, ..Core::default() }
    }

    pub(crate) fn relations_mut(&mut self) -> &mut Relations {
        self.relations.get_or_insert_default()
    }

    pub(crate) fn relations(&mut self) -> Option<&mut Relations> {
        self.relations.as_deref_mut()
    }

    /// The entry of this peer in the links of the process.
    pub(crate) fn link_to(&mut self, peer: Pid) -> Option<&mut Link> {
        self.relations()?.links.get_mut(&peer)
    }

    /// Whether the process has left every table.
    pub(crate) fn has_ended(&self) -> bool {
        self.stage >= Stage::Ended
    }

    /// Whether all links, monitors and waiters have been notified of the end.
    pub(crate) fn end_is_announced(&self) -> bool {
        self.stage == Stage::Announced
    }

    /// Whether the process accepts items of every kind.
    #[inline]
    pub(crate) fn accepts_all(&self) -> bool {
        self.stage == Stage::Live && self.intake == Intake::Open
    }

    /// Whether the process is live, and has been asked to stop or has left its loop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stage == Stage::Live && self.intake != Intake::Open
    }

    /// Whether the process can still register names, join groups, link and monitor.
    pub(crate) fn is_open(&self) -> bool {
        self.stage < Stage::Closing
    }

    /// Wakes the reader if it waits. The task of the process is woken at once. A foreign reader is
    /// marked as due, and is woken after unlock, with the waker that
    /// [`take_due_waker`](Self::take_due_waker) returns.
    pub(crate) fn notify(&mut self) {
        match self.reader_wait {
            ReaderWait::NotWaiting | ReaderWait::WakeDue => {}
            ReaderWait::Task | ReaderWait::Announced => {
                self.reader_wait = ReaderWait::NotWaiting;
                self.wake_task();
            }
            ReaderWait::Foreign => self.reader_wait = ReaderWait::WakeDue,
        }
    }

    /// Whether `waker` wakes the process's own task.
    pub(crate) fn is_task(&self, waker: &Waker) -> bool {
        self.task.as_ref().is_some_and(|task| task.will_wake(waker))
    }

    pub(crate) fn wake_task(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// Takes the waker of a foreign reader that has to be woken. The caller wakes it after unlock.
    pub(crate) fn take_due_waker(&mut self) -> Option<Waker> {
        if self.reader_wait != ReaderWait::WakeDue {
            return None;
        }
        self.reader_wait = ReaderWait::NotWaiting;
        self.registrations()?.reader.take()
    }
}
