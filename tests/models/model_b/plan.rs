//! The parts of a run: a tree, the scripts of its children, and commands.

/// A supervisor, as it is described.
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

/// Milliseconds, where it is a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shutdown {
    Brutal,
    Time(u64),
    Infinity,
}

/// A child, as it is described. Its id is its name, and unique in the whole tree.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) id: u32,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) significant: bool,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) kind: Kind,
}

/// The second restart waits twice as long as the first, the third twice as long again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) first: u64,
    pub(crate) max: u64,
    /// How long it must run to be healthy.
    pub(crate) healthy: u64,
    /// How long it may go without a healthy run; `None` is the default.
    pub(crate) patience: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Worker(Script),
    Supervisor(Sup),
}

/// How a worker behaves.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// How its starts go, one after the other; good ones after those.
    pub(crate) starts: Vec<Start>,
    pub(crate) stop: Stop,
    /// A sibling that it links itself to, if that one runs.
    pub(crate) link: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Good,
    /// It is good, after so many milliseconds.
    Takes(u64),
    /// It is good, and crashes so many milliseconds later.
    Lives(u64),
    Fails,
    Ignores,
}

/// What it does when it is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    AtOnce,
    /// It takes so many milliseconds.
    Takes(u64),
    /// It never does.
    Deaf,
    /// It panics instead.
    Panics,
    /// It does not trap exits, and so is never asked.
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

/// One thing that is done to the tree.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// These children of one supervisor end, at one instant.
    End(Vec<(u32, End)>),
    /// A supervisor is stopped by a process other than its own supervisor.
    StopSupervisor(u32),
    /// A supervisor is killed; or two at one instant, of which the second is above the first.
    Kill(Vec<u32>),
    /// A stranger sends a supervisor an exit signal, which is no business of its.
    Stranger(u32, End),
    /// One request to a supervisor; the next command waits for its answer.
    Ask(u32, Request),
    /// Requests to one supervisor, and ends of its children, that do not wait for each other:
    /// most of them come while it is busy.
    Queue(u32, Vec<Queued>),
    Advance(u64),
    /// The root's parent ends.
    ParentEnds,
}

/// What a supervisor is asked about its children.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Terminate(u32),
    Restart(u32),
    Delete(u32),
    Add(Spec),
    Which,
}

/// One item of a queue, and how many milliseconds after its begin it comes.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) at: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Ask(Request),
    /// A child ends, if it runs then. No kill: a child that stops already goes on with that.
    End(u32, End),
}

/// What a supervisor says of one of its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Look {
    Runs,
    /// It waits for a retry, so many milliseconds if that is delayed.
    Restarting(Option<u64>),
    Stopped,
}

/// The root's number.
pub(crate) const ROOT: u32 = 0;

#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) tree: Sup,
    pub(crate) commands: Vec<Command>,
}
