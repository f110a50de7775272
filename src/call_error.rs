//! Why a call, or a start, didn't give what was asked.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::exit::ExitReason;
use crate::pid::Pid;

/// Why a call got no reply. It is an [`Error`] whose `source` is the error that ended the
/// server, so `?` in another process' body or handler keeps the whole story.
///
/// OTP exits the caller instead; here it is the caller's choice, and `?` is that exit.
///
/// # Examples
///
/// ```
/// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
/// # struct Counter(u64);
/// # enum Call { Get(Reply<u64>) }
/// # enum Cast { Add(u64), Crash }
/// # impl GenServer for Counter {
/// #     type Args = u64;
/// #     type Call = Call;
/// #     type Cast = Cast;
/// #     async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
/// #         Ok(Counter(start))
/// #     }
/// #     async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
/// #         let Call::Get(reply) = call;
/// #         reply.send(self.0);
/// #         Ok(())
/// #     }
/// #     async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
/// #         match cast { Cast::Add(n) => self.0 += n, Cast::Crash => panic!("as asked") }
/// #         Ok(())
/// #     }
/// # }
/// use regrow::{CallError, ExitReason};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let counter = Counter::start(&rt, 0).await?;
/// counter.cast(Cast::Crash); // handled before the call is
/// let Err(CallError::Exited(reason)) = counter.call(Call::Get).await else { panic!() };
/// assert_eq!(reason.crash().unwrap().message(), "as asked");
///
/// // The call was made after its end: this handle is of a process that is no more.
/// assert_eq!(counter.call(Call::Get).await, Err(CallError::NoProc));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// There was no such process when the call was made, or nobody held the name and nobody
    /// will be [started](Self::Restarting) under it; or it ended while the call waited for
    /// room in its mailbox. The question was not handled.
    NoProc,
    /// The server ended before it replied, for this reason. Whether it handled the
    /// question isn't known.
    Exited(ExitReason),
    /// Only by name: the holder of the name has ended, or has accepted an exit, and its
    /// supervisor will start a successor: try again soon. The question was not handled.
    ///
    /// Said of a permanent child whatever its reason, of a transient one after an abnormal
    /// reason, and of both while their group is restarted; not of a temporary child, nor
    /// while the supervisor stops that child, stops itself or is ending: there
    /// [`NoProc`](Self::NoProc). It is what is known at that moment: the supervisor may find
    /// that it has no restart left.
    Restarting {
        /// In how long, where a backoff says so; `None` is at once, or not known yet.
        retry_in: Option<Duration>,
    },
    /// The server lives, but dropped the reply: nobody will answer.
    NoReply,
    /// The time was up. The server may still handle the call; its reply goes nowhere.
    Timeout,
    /// A server called itself, which could only wait for ever. In its handlers it has
    /// its state at hand; [`continue_with`](crate::ServerContext::continue_with) is for
    /// later.
    CallingSelf,
    /// The server's mailbox is full, or was while the call waited for room, or has dropped
    /// the question for a newer one: only where it [has a bound](crate::Overflow). The
    /// question was not handled.
    Overloaded,
    /// The process that holds the name is no server of this type.
    WrongType,
    /// The servers of this cycle would have waited for each other for ever: only while
    /// [deadlocks are looked for](crate::Runtime::detect_deadlocks), else such calls end
    /// by [`Timeout`](Self::Timeout).
    Deadlock {
        /// Who waits for whom, in order.
        cycle: Vec<Pid>,
    },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::NoProc => f.write_str("there is no such process"),
            CallError::Exited(reason) => write!(f, "the server ended before it replied: {reason}"),
            CallError::Restarting { retry_in: None } => {
                f.write_str("the server is being restarted")
            }
            CallError::Restarting { retry_in: Some(wait) } => {
                write!(f, "the server is being restarted, next try in {wait:?}")
            }
            CallError::NoReply => f.write_str("the server dropped the reply unsent"),
            CallError::Timeout => f.write_str("the server did not reply in time"),
            CallError::CallingSelf => f.write_str("a server cannot wait for itself"),
            CallError::Overloaded => f.write_str("the server's mailbox is full"),
            CallError::WrongType => f.write_str("the process is no server of this type"),
            CallError::Deadlock { cycle } => {
                f.write_str("the calls would wait for each other for ever:")?;
                cycle.iter().try_for_each(|pid| write!(f, " {pid}"))
            }
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CallError::Exited(reason) => reason.crash()?.error().map(|error| error as _),
            _ => None,
        }
    }
}

/// Why a process was not started. Nothing of it is left when this is returned: it has
/// ended, and its name is free.
///
/// `?` in another process' body or handler turns it into that process' crash. OTP:
/// `{error, Reason}` and `ignore`.
///
/// # Examples
///
/// ```
/// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
/// # struct Counter(u64);
/// # enum Call { Get(Reply<u64>) }
/// # enum Cast { Add(u64), Crash }
/// # impl GenServer for Counter {
/// #     type Args = u64;
/// #     type Call = Call;
/// #     type Cast = Cast;
/// #     async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
/// #         Ok(Counter(start))
/// #     }
/// #     async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
/// #         let Call::Get(reply) = call;
/// #         reply.send(self.0);
/// #         Ok(())
/// #     }
/// #     async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
/// #         match cast { Cast::Add(n) => self.0 += n, Cast::Crash => panic!("as asked") }
/// #         Ok(())
/// #     }
/// # }
/// use regrow::{ChildSpec, ExitReason, StartError, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let counter = ChildSpec::task("counter", |_| std::future::pending()).named("counter");
/// let tree = Supervisor::one_for_one().child(counter.clone()).start(&rt).await?;
///
/// // A second tree that wants the same name.
/// let error = Supervisor::one_for_one().child(counter).start(&rt).await.unwrap_err();
/// let StartError::Child { id, error } = error else { panic!() };
/// let pid = rt.whereis("counter").unwrap();
/// assert_eq!(id, "counter");
/// assert_eq!(*error, StartError::AlreadyStarted { name: "counter".into(), pid });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// Its `init` chose not to run: no failure, and no process.
    Ignored,
    /// It ended before it was ready, for this reason.
    Failed(ExitReason),
    /// Its `init` took longer than this, so it was killed.
    InitTimeout(Duration),
    /// It did not say within this time that it is ready, so it was stopped.
    NotReady(Duration),
    /// The name is held by another process; `init` was not run.
    AlreadyStarted {
        /// The name.
        name: String,
        /// Who holds it.
        pid: Pid,
    },
    /// A child of a supervisor was not started, so the supervisor was not. Where more than 128
    /// supervisors failed in this way, one below the other, those in the middle are left out, and
    /// one of the id `…` stands for them.
    Child {
        /// The child's id.
        id: String,
        /// Why it was not.
        error: Box<StartError>,
    },
    /// Two children have this id: give one of them another.
    DuplicateId(String),
    /// A child of this id is known to the supervisor, but not running: restart or
    /// delete that one.
    AlreadyPresent(String),
    /// The dynamic supervisor has as many children as it is to have, this many.
    MaxChildren(usize),
    /// The last child of this name ended too often, and its dynamic supervisor gave it up alone.
    /// Nothing is started under the name until a restart would be within the child's own budget
    /// again: [`DynamicSupervisor::child_intensity`](crate::DynamicSupervisor::child_intensity).
    GivenUp {
        /// The name.
        name: String,
        /// In how long the next start under this name is tried.
        retry_in: Duration,
        /// Why the child last ended, or was not started.
        reason: ExitReason,
    },
    /// A setting that can't work, and what to do about it.
    Invalid(String),
    /// The supervisor itself could not be asked.
    Unreachable(CallError),
}

/// A [`StartError::Child`] has so many others in it at most: each level above clones and compares
/// them all, on its stack.
const NESTED: usize = 128;

impl StartError {
    /// The error of a supervisor whose child of this id failed to start with this one.
    pub(crate) fn of_child(id: String, error: StartError) -> Self {
        let mut ids = Vec::new();
        let mut error = error;
        while let StartError::Child { id, error: below } = error {
            ids.push(id);
            error = *below;
        }
        if ids.len() >= NESTED {
            let gap = ids.len() / 2;
            ids.splice(gap..=gap + 1, ["…".to_owned()]);
        }
        let wrap = |error, id| StartError::Child { id, error: Box::new(error) };
        ids.into_iter().rev().chain([id]).fold(error, wrap)
    }

    /// What a start that failed counts as, where an end is asked for.
    pub(crate) fn as_reason(&self) -> ExitReason {
        match self {
            StartError::Failed(reason) => reason.clone(),
            other => ExitReason::from_library(other.clone()),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Ignored => f.write_str("init chose not to run"),
            StartError::Failed(reason) => write!(f, "it ended before it was ready: {reason}"),
            StartError::NotReady(limit) => write!(f, "it was not ready within {limit:?}"),
            StartError::InitTimeout(limit) => write!(f, "its init took longer than {limit:?}"),
            StartError::AlreadyStarted { name, pid } => {
                write!(f, "{name:?} is running already, as {pid}")
            }
            StartError::Child { id, error } => match &**error {
                StartError::Child { .. } => write!(f, "child {id:?} was not started"),
                error => write!(f, "child {id:?} was not started: {error}"),
            },
            StartError::DuplicateId(id) => write!(f, "there are two children with the id {id:?}"),
            StartError::AlreadyPresent(id) => {
                write!(f, "child {id:?} is present but not running: restart or delete it")
            }
            StartError::MaxChildren(most) => {
                write!(f, "the supervisor has {most} children, and is to have no more")
            }
            StartError::GivenUp { name, retry_in, reason } => write!(
                f,
                "{name:?} ended too often and was given up: not started again for {retry_in:?}, \
                 last: {reason}"
            ),
            StartError::Invalid(what) => f.write_str(what),
            StartError::Unreachable(error) => {
                write!(f, "the supervisor could not be asked: {error}")
            }
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            StartError::Child { error, .. } => Some(&**error),
            StartError::Failed(reason) | StartError::GivenUp { reason, .. } => {
                reason.crash()?.error().map(|error| error as _)
            }
            StartError::Unreachable(error) => Some(error),
            _ => None,
        }
    }
}
