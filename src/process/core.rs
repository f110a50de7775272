//! The part of a process' record that needs no message type.

use std::any::Any;
use std::sync::{Arc, Weak};
use std::task::Waker;

use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::small_map::SmallMap;
use crate::exit::reason::ExitReason;
use crate::exit::shutdown::Shutdown;
use crate::observe::activity::Activity;
use crate::observe::health::Health;
use crate::process::ancestors::Ancestors;
use crate::process::child_role::{ChildRole, ChildSlot, GivenName};
use crate::process::mailbox_counts::Counts;
use crate::process::vacated_names::{VacatedName, VacatedNames};

/// How far a process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It takes messages.
    Live,
    /// A fatal signal was accepted; the task has yet to notice.
    ExitPending,
    /// Its body is gone; names and groups are being freed.
    Closing,
    /// It is out of every table; links and monitors are being told.
    Ended,
}

/// Whether the reader of the mailbox waits, and how it is woken when an item is queued.
/// [`idle_wait`](crate::mailbox::idle_wait) shows the transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReaderWait {
    NotWaiting,
    /// The task of the process waits. It is woken by reference, under the lock.
    Task,
    /// The task of the process has announced its wait before it runs a handler. It is woken as in
    /// `Task`.
    Announced,
    /// A reader waits that is polled with another waker, in [`Registrations::reader`].
    Foreign,
    /// An item was queued for such a reader. Its waker may be a user's, so it is woken after
    /// unlock.
    WakeDue,
}

/// What every process has.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) stage: Stage,
    /// Everybody who was to be told of the end has been.
    pub(crate) end_announced: bool,
    pub(crate) trap: bool,
    pub(crate) reader_wait: ReaderWait,
    /// What is queued is stamped with the time.
    pub(crate) tracked: bool,
    /// Its parent's exit signal has arrived: it was asked to stop, or told to. A supervisor stops
    /// its children from then on, whoever asked it.
    pub(crate) asked: bool,
    /// Signals that were taken back and may still lie in the inbox, counted up to 255: see
    /// [`take_back`](crate::process::Locked::take_back).
    pub(crate) taken_back: u8,
    pub(crate) reason: Option<ExitReason>,
    pub(crate) task: Option<Waker>,
    /// What only some processes need; an ordinary one pays a word for it.
    pub(crate) relations: Option<Box<Relations>>,
}

/// Tickets of link exits, by whose exits they are: an unlink finds those of its peer without a look
/// at all others. Of one peer there are several where links to it were made after its end.
pub(crate) type ExitTickets = SmallMap<Pid, SmallMap<u64, ()>>;

/// What ties a process to others.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    pub(crate) links: SmallMap<Pid, Link>,
    /// What it watches, by the monitor's number.
    pub(crate) monitors: SmallMap<u64, Monitored>,
    /// Who watches it, by the monitor's number.
    pub(crate) watchers: Option<Box<SmallMap<u64, Watcher>>>,
    /// Tickets of link exits that lie in its mailbox.
    pub(crate) exits: Option<Box<ExitTickets>>,
    /// Who waits for its end, or for room in its mailbox until then.
    pub(crate) waiters: SmallMap<u64, Waker>,
    pub(crate) label: Option<SharedStr>,
    pub(crate) parent: Option<Parent>,
    /// Apart: a child of a supervisor has all of the above, and mostly nothing of this.
    pub(crate) registrations: Option<Box<Registrations>>,
}

/// What a process is named, belongs to and answers for.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    pub(crate) names: SmallMap<SharedStr, ()>,
    pub(crate) tags: SmallMap<SharedStr, ()>,
    /// Registries that it is in, by their numbers.
    pub(crate) registries: SmallMap<u64, Weak<dyn Registrar>>,
    /// Names that its dead children left to it, to be taken by their successors.
    pub(crate) vacant: Option<Box<VacatedNames>>,
    /// Of a child: the name that its specification gives.
    pub(crate) given: Option<Box<GivenName>>,
    /// It is a supervisor that restarts nobody any more: it is stopping, or has given up.
    pub(crate) stopping: bool,
    pub(crate) supervisor_record: Option<Box<SupervisorRecord>>,
    /// What the parent's exit cancels, trapped or not, instead of anything else it would do.
    pub(crate) stop: Option<CancellationToken>,
    pub(crate) unanswered: Vec<Arc<dyn Unanswered>>,
    pub(crate) reader: Option<Waker>,
    pub(crate) counts: Option<Counts>,
    /// It was born with a name, and its init is not over.
    pub(crate) starting: bool,
    /// How it says it is doing.
    pub(crate) health: Option<Health>,
    /// What a server is at, where it is watched.
    pub(crate) activity: Option<Box<Activity>>,
    /// Its span, once it has needed one. Nothing of it is dropped under the lock.
    pub(crate) span: Option<Arc<Span>>,
}

/// One side of a link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    /// The number of the call that made it: an `unlink` removes only older ones.
    pub(crate) id: u64,
    pub(crate) kind: LinkKind,
}

/// What the peer's end does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// What OTP's table says.
    Plain,
    /// The peer is a child that hasn't acknowledged its start, or is being stopped: its end is
    /// told by what the start or the stop comes to, not by the link.
    Awaited,
    /// The peer is a child whose start nobody waits for any more: nobody hears of its end.
    GivenUp,
    /// The peer helps us: its failure is ours, trapped or not.
    Helper,
    /// The peer is a task of ours: its normal end is nobody's business.
    Task,
    /// We are a task of the peer's, and end with it, whatever its reason.
    Owner,
    /// We are a task of the peer's, and may go on after its normal end; any other is a
    /// wish that we stop.
    Caller,
}

/// One monitor, on its watcher's side.
#[derive(Debug)]
pub(crate) enum Monitored {
    /// It waits for this process to end.
    Process(Pid),
    /// Its `Down` lies in the mailbox.
    Fired,
    /// It tells who joins and leaves this group; so much of that lies in the mailbox.
    Group { group: SharedStr, queued: usize },
}

/// One monitor, on its target's side.
#[derive(Debug, Clone)]
pub(crate) struct Watcher {
    pub(crate) pid: Pid,
    /// The name it was set by.
    pub(crate) name: Option<SharedStr>,
}

/// The supervisor of a process, or whoever started it with `start_link`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent {
    pub(crate) pid: Pid,
    /// How long the process may go on after that parent is dead.
    pub(crate) shutdown: Shutdown,
    /// The parent is its supervisor.
    pub(crate) role: Option<ChildRole>,
}

/// What only a supervisor has: what it leaves if it ends before its children do, and what it
/// shows of itself.
#[derive(Debug, Default)]
pub(crate) struct SupervisorRecord {
    /// Of a supervisor: who is above it.
    pub(crate) ancestors: Option<Arc<Ancestors>>,
    /// What its children left, by the seat that those had.
    pub(crate) orphans: Vec<(ChildSlot, Pid)>,
    /// It is ending, and has passed these on.
    pub(crate) passed_on: bool,
    /// What it shows of itself to those who don't want to wait for its answer.
    pub(crate) published: Option<Arc<dyn Any + Send + Sync>>,
}

/// A caller whose reply was dropped unsent.
pub(crate) trait Unanswered: Send + Sync {
    /// Tells it: `None` is "the server lives, but nobody will reply".
    fn resolve(self: Arc<Self>, ended: Option<&ExitReason>);
}

impl std::fmt::Debug for dyn Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unanswered")
    }
}

impl Relations {
    /// Nobody is to be told of an end.
    pub(crate) fn tell_nobody(&self) -> bool {
        let Relations {
            links,
            monitors,
            watchers,
            exits: _,
            waiters,
            label,
            parent: _,
            registrations,
        } = self;
        let unwatched = watchers.as_ref().is_none_or(|watchers| watchers.is_empty());
        links.is_empty()
            && monitors.is_empty()
            && unwatched
            && waiters.is_empty()
            && label.is_none()
            && registrations.is_none()
    }
}

impl Registrations {
    /// What is known of a name that a dead child has left to this process.
    pub(crate) fn vacated(&self, name: &SharedStr) -> Option<&VacatedName> {
        self.vacant.as_ref()?.get(name)
    }

    /// A name is not left to this process any more.
    pub(crate) fn forget_vacated(&mut self, name: &SharedStr) -> Option<VacatedName> {
        self.vacant.as_mut()?.remove(name)
    }
}

/// A registry, to a process that is in it.
pub(crate) trait Registrar: Send + Sync {
    /// The process is ending: it is in there no more. Runs no lock of any process.
    fn forget(&self, pid: Pid);
}

impl std::fmt::Debug for dyn Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registrar")
    }
}

impl Core {
    pub(crate) fn new(relations: Option<Box<Relations>>) -> Self {
        Core {
            stage: Stage::Live,
            end_announced: false,
            trap: false,
            reader_wait: ReaderWait::NotWaiting,
            tracked: false,
            asked: false,
            taken_back: 0,
            reason: None,
            task: None,
            relations,
        }
    }

    pub(crate) fn relations_mut(&mut self) -> &mut Relations {
        self.relations.get_or_insert_default()
    }

    pub(crate) fn relations(&mut self) -> Option<&mut Relations> {
        self.relations.as_deref_mut()
    }

    pub(crate) fn registrations(&mut self) -> Option<&mut Registrations> {
        self.relations()?.registrations.as_deref_mut()
    }

    /// Where the mailbox is counted.
    pub(crate) fn counts(&mut self) -> Option<&mut Counts> {
        self.registrations()?.counts.as_mut()
    }

    pub(crate) fn registrations_mut(&mut self) -> &mut Registrations {
        self.relations_mut().registrations.get_or_insert_default()
    }

    /// Whether names, links and monitors may still be added.
    pub(crate) fn is_open(&self) -> bool {
        self.stage < Stage::Closing
    }

    /// Wakes the reader if it waits: the task of the process at once, another reader after unlock,
    /// by [`take_due_waker`](Self::take_due_waker).
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

    /// Whether this wakes the process' own task.
    pub(crate) fn is_task(&self, waker: &Waker) -> bool {
        self.task.as_ref().is_some_and(|task| task.will_wake(waker))
    }

    pub(crate) fn wake_task(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// Takes the waker of a foreign reader that is to be woken after unlock.
    pub(crate) fn take_due_waker(&mut self) -> Option<Waker> {
        if self.reader_wait != ReaderWait::WakeDue {
            return None;
        }
        self.reader_wait = ReaderWait::NotWaiting;
        self.registrations()?.reader.take()
    }
}
