//! The commands of a generated program.

use regrow::{CrashKind, ExitReason};

/// The number of the command that created a process, a monitor or a timer.
pub(crate) type Id = u32;

/// The actor of a command that no process executes.
pub(crate) const OUTSIDE: Id = 0;

pub(crate) const NAMES: u8 = 6;
pub(crate) const GROUPS: u8 = 4;

/// Why a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reason {
    Normal,
    Shutdown,
    ShutdownWith(u32),
    Killed,
    NoProc,
    Crashed(u32),
    Panicked(u32),
}

impl Reason {
    pub(crate) fn to_exit(self) -> ExitReason {
        match self {
            Reason::Normal => ExitReason::Normal,
            Reason::Shutdown => ExitReason::Shutdown,
            Reason::ShutdownWith(n) => ExitReason::shutdown_with(n),
            Reason::Killed => ExitReason::Killed,
            Reason::NoProc => ExitReason::NoProc,
            Reason::Crashed(n) => ExitReason::crashed(format!("{n}")),
            Reason::Panicked(_) => unreachable!("a panic is not sent"),
        }
    }

    pub(crate) fn of(reason: &ExitReason) -> Reason {
        let number = |text: &str| text.rsplit(' ').next().and_then(|n| n.parse().ok());
        match reason {
            ExitReason::Normal => Reason::Normal,
            ExitReason::Shutdown => Reason::Shutdown,
            ExitReason::Killed => Reason::Killed,
            ExitReason::NoProc => Reason::NoProc,
            ExitReason::ShutdownWith(detail) => {
                Reason::ShutdownWith(number(&detail.to_string()).unwrap_or(u32::MAX))
            }
            ExitReason::Crashed(crash) => {
                let number = number(crash.message()).unwrap_or(u32::MAX);
                match crash.kind() {
                    CrashKind::Panic => Reason::Panicked(number),
                    _ => Reason::Crashed(number),
                }
            }
            _ => unreachable!("a reason the model doesn't know: {reason:?}"),
        }
    }
}

/// The target of a message or a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    Process(Id),
    Name(u8),
}

/// The action of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Send(u8),
    Tick(u8),
    Exit(Reason),
    Kill,
}

/// The items that a process receives from its mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    All,
    /// The first message with this tag.
    Tag(u8),
    /// All items that are not messages.
    Signals,
}

/// One operation. If the process that executes it matters, [`Command::by`] names that process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Spawn { eager: bool },
    SpawnLink { parent: Id },
    SpawnMonitor { watcher: Id },
    WhereisOrSpawn { name: u8 },
    Link(Id, Id),
    Unlink(Id, Id),
    Monitor { watcher: Id, target: Id },
    MonitorName { watcher: Id, name: u8 },
    MonitorGroup { watcher: Id, group: u8 },
    Demonitor { monitor: Id, flush: bool },
    Send(To, u8),
    Exit(Id, Reason),
    Kill(Id),
    KillGroup(u8),
    Panic,
    Return,
    Trap(Id, bool),
    Register(u8, Id),
    Unregister(u8),
    Join(u8, Id),
    Leave(u8, Id),
    Arm { to: To, act: Act, ms: u64 },
    Cancel(Id),
    Advance(u64),
    Receive(Take),
    Snapshot,
}

/// An operation, its actor, and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) id: Id,
    /// [`OUTSIDE`], or the process that executes the operation.
    pub(crate) by: Id,
    /// How often the driver yields before it sends the command.
    pub(crate) pause: u8,
    /// How often the process yields before it executes the operation. Later commands wait
    /// meanwhile, and a signal may end the process there.
    pub(crate) busy: u8,
    pub(crate) op: Op,
}

/// Commands that are issued together; the state is compared after all of them have finished. In the
/// sequential mode a batch is one command. A process executes its own commands in order.
pub(crate) type Batch = Vec<Command>;

/// The mailbox mode of a program's runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mailboxes {
    Plain,
    Counted,
    Bounded(usize),
}

#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) mailboxes: Mailboxes,
    pub(crate) batches: Vec<Batch>,
}

/// An item that a process receives, in the terms of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    Message { from: Id, id: Id, tag: u8 },
    Down { monitor: Id, target: Id, reason: Reason },
    DownName { monitor: Id, name: u8, reason: Reason },
    Exit { from: Id, reason: Reason },
    Group { monitor: Id, group: u8, pid: Id, joined: bool },
}

/// The result of a command. A boolean is 0 or 1, and a process is its number.
pub(crate) type Answer = Vec<u32>;
