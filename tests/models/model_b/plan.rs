//! The parts of a run: a tree, the scripts of its children, and commands.

/// The description of a supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Sup {
    pub(crate) strategy: Strategy,
    pub(crate) restarts: u32,
    pub(crate) period: u64,
    pub(crate) auto: Auto,
    pub(crate) children: Vec<Spec>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    OneForOne,
    OneForAll,
    RestForOne,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auto {
    Never,
    Any,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    Permanent,
    Transient,
    Temporary,
}

/// The shutdown value of a child; a time is in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shutdown {
    Brutal,
    Time(u64),
    Infinity,
}

/// The description of a child. Its id is also its name, and unique in the whole tree.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) id: u32,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) significant: bool,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) kind: Kind,
}

/// A backoff: each restart waits twice as long as the one before, up to `max`. Times are in
/// milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) first: u64,
    pub(crate) max: u64,
    /// How long the child must run to count as healthy.
    pub(crate) healthy: u64,
    /// How long the child may have no healthy run; `None` is the default.
    pub(crate) patience: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Worker(Script),
    Supervisor(Sup),
}

/// The behaviour of a worker.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// The outcomes of its first starts, in order. All later starts succeed.
    pub(crate) starts: Vec<Start>,
    pub(crate) stop: Stop,
    /// A sibling that the worker links itself to, if the sibling runs.
    pub(crate) link: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Good,
    /// The start succeeds after this number of milliseconds.
    Takes(u64),
    /// The start succeeds, and the worker crashes this number of milliseconds later.
    Lives(u64),
    Fails,
    Ignores,
}

/// How a worker reacts when it is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    AtOnce,
    /// The stop takes this number of milliseconds.
    Takes(u64),
    /// The worker never stops.
    Deaf,
    /// The worker panics.
    Panics,
    /// The worker does not trap exits, so it ends without being asked.
    Unasked,
}

/// How a worker ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Normal,
    Shutdown,
    Crash,
    Kill,
}

/// One operation on the tree.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Several children of one supervisor end at one instant.
    End(Vec<(u32, End)>),
    /// A supervisor is stopped by a process other than its own supervisor.
    StopSupervisor(u32),
    /// One supervisor is killed, or two at one instant. The second is then above the first.
    Kill(Vec<u32>),
    /// An unrelated process sends a supervisor an exit signal, which the supervisor ignores.
    Stranger(u32, End),
    /// One request to a supervisor. The next command waits for the answer.
    Ask(u32, Request),
    /// Requests to one supervisor, and ends of its children, at given times. They do not wait for
    /// each other, so most of them arrive while the supervisor is busy.
    Queue(u32, Vec<Queued>),
    Advance(u64),
    /// The root's parent ends.
    ParentEnds,
}

/// A request to a supervisor about its children.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Terminate(u32),
    Restart(u32),
    Delete(u32),
    Add(Spec),
    Which,
}

/// One item of a queue; `at` is its time in milliseconds since the queue began.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) at: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Ask(Request),
    /// A child ends, if it runs at that time. The end is never a kill, because a child that is
    /// already stopping must go on with its stop.
    End(u32, End),
}

/// The state of a child that its supervisor reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Look {
    Runs,
    /// The child waits for a retry. If the retry is delayed, the value is the number of
    /// milliseconds left.
    Restarting(Option<u64>),
    Stopped,
}

/// The number of the root.
pub(crate) const ROOT: u32 = 0;

#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) tree: Sup,
    pub(crate) commands: Vec<Command>,
}
