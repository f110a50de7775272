//! The public operations on processes. A [`Runtime`] has a set of processes, for example all
//! processes of a program or of a test. A file here that has the name of a file in `kernel` is the
//! public side of that file.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `observe`, `process`, `kernel`, `mailbox`, `call`,
//! `driver`.
//! **Knows nothing of** servers, children and supervisors.

use std::sync::{Arc, Once};

use crate::base::{Pid, current_process};
use crate::kernel::{Kernel, Mailboxes};
use crate::message::{Message, Received, StreamHandle};
use crate::observe::DeadLetterCause;
use crate::process::overflow_policy::Overflow;

mod exits;
mod counts;
pub(crate) mod context;
pub(crate) mod inside;
pub(crate) mod ended;
pub(crate) mod spawn;
pub(crate) mod process_builder;
mod links;
pub(crate) mod names;
pub(crate) mod known_holder;
mod groups;
pub(crate) mod timers;
pub(crate) mod info;
mod set_health;
mod machine_status;
mod heartbeat;
mod tracking;
mod poll_watch;
mod carrying;
mod propagation;
pub(crate) mod census;
mod logging;
mod listener;
pub(crate) mod events;
pub(crate) mod dead_letters;
mod crash_reports;
mod log_limit;
mod memory;
pub(crate) mod typed_name;
pub(crate) mod errors;
mod stash;
pub(crate) mod deadline;
pub(crate) mod await_reply;
pub(crate) mod starting;
pub(crate) mod init_ack;
pub(crate) mod init_wait;
pub(crate) mod start_acks;

pub(crate) use await_reply::AwaitReply;
pub use census::Census;
pub use context::Context;
pub use dead_letters::DeadLetters;
pub(crate) use deadline::{until, within};
pub use ended::{Ended, ProcessHandle};
pub use errors::{CallChain, CallError, CastError, StartError, StashFull};
pub use events::Events;
pub use info::{Leftovers, ProcessInfo};
pub(crate) use init_ack::{Ack, AckReceiver, AckSender, Starter};
pub(crate) use init_wait::{StartGuard, await_init};
pub use inside::Inside;
pub(crate) use inside::sealed;
pub(crate) use known_holder::KnownHolder;
pub use names::RegisterError;
pub use process_builder::ProcessBuilder;
pub(crate) use spawn::fallible;
pub(crate) use start_acks::StartAcks;
pub use starting::StartCause;
pub(crate) use starting::Starting;
pub use timers::TimerRef;
pub use typed_name::Name;

const NO_UNWINDING: &str = "built with panic = \"abort\": no crash can be caught, nothing will be \
     restarted; take that line out of the profile";

/// The runtime of a set of processes: it has the table of processes, their names, groups and
/// timers, and their log.
///
/// A `Runtime` is cheap to clone, and all clones are the same runtime. A program can have several
/// runtimes. The runtimes are independent of each other, except that they share the panic hook and
/// the operating system signals of the program. A [`Pid`] of one runtime is the pid of no process for
/// the others. Dropping handles of a runtime does not stop its
/// processes.
///
/// A runtime captures the handle of the tokio runtime in which it is created or, if it is created
/// outside tokio, first used. It spawns its processes through that handle, also from threads
/// outside tokio. When that tokio runtime shuts down, all processes end with
/// [`Killed`](crate::ExitReason::Killed), and no further process runs: starts, calls and tasks fail
/// with [`StartError::TokioGone`],
/// [`CallError::TokioGone`] and
/// [`TaskError::TokioGone`](crate::TaskError::TokioGone). Each `#[tokio::test]` has its own tokio
/// runtime, so create a `Runtime` in each test instead of a `static` one.
///
/// OTP: a runtime corresponds to a node. The functions of OTP are methods here, and take the pid of
/// the process as an argument where OTP takes `self()`.
///
/// # Examples
///
/// ```
/// use regrow::{ExitReason, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let echo = rt.spawn(|mut ctx| async move {
///     while let Some(text) = ctx.recv().await.message() {
///         if text == b"stop" {
///             break;
///         }
///     }
/// });
/// assert!(rt.send(echo.pid(), b"hello".to_vec()));
/// assert!(rt.send(echo.pid(), b"stop".to_vec()));
/// assert_eq!(echo.join().await, ExitReason::Normal);
/// assert!(!rt.send(echo.pid(), b"too late".to_vec()));
/// # }));
/// ```
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(crate) kernel: Arc<Kernel>,
}

impl Default for Runtime {
    fn default() -> Self {
        Runtime::new()
    }
}

impl Runtime {
    /// Creates a runtime whose mailboxes are unbounded and not counted, which is the fastest kind.
    /// A mailbox that is not read can grow until memory is exhausted; to prevent that, use
    /// [`with_mailbox_capacity`](Self::with_mailbox_capacity).
    ///
    /// In a program that is built with `panic = "abort"`, the first runtime logs one ERROR event,
    /// which says that no crash can be caught.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let clone = rt.clone();
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// assert!(clone.is_alive(pid)); // a clone is the same runtime
    /// assert!(!Runtime::new().is_alive(pid)); // another runtime has other processes
    /// # }));
    /// ```
    pub fn new() -> Self {
        Runtime::with(Mailboxes::Plain)
    }

    /// Creates a runtime whose mailboxes are counted: [`info`](Self::info) shows how many items
    /// each holds. Counting costs one lock for each message.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::with_mailbox_depth();
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// rt.send(pid, b"one".to_vec());
    /// rt.send(pid, b"two".to_vec());
    /// assert_eq!(rt.info(pid).unwrap().mailbox_depth, 2);
    /// # }));
    /// ```
    pub fn with_mailbox_depth() -> Self {
        Runtime::with(Mailboxes::Counted(usize::MAX, Overflow::Reject))
    }

    /// Creates a runtime whose mailboxes hold at most `capacity` messages and streams. A send to a
    /// full mailbox returns `false`, and [`dropped_messages`](Self::dropped_messages) counts it.
    ///
    /// Calls and casts are messages too: a call to a server with a full mailbox fails with
    /// [`Overloaded`](crate::CallError::Overloaded). Signals are never refused. The mailboxes are
    /// counted, as those of [`with_mailbox_depth`](Self::with_mailbox_depth) are. A server can have
    /// a bound and a policy of its own:
    /// [`ServerSpec::mailbox_capacity`](crate::ServerSpec::mailbox_capacity). OTP has no
    /// counterpart: its mailboxes are unbounded.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0, since no message could ever be received.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::with_mailbox_capacity(1);
    /// let busy = rt.spawn(|_| std::future::pending());
    /// assert!(rt.send(busy.pid(), b"fits".to_vec()));
    /// assert!(!rt.send(busy.pid(), b"is refused".to_vec()));
    /// assert_eq!(rt.dropped_messages(), 1);
    ///
    /// assert!(rt.exit(busy.pid(), ExitReason::Shutdown)); // a signal always arrives
    /// assert_eq!(busy.join().await, ExitReason::Shutdown);
    /// # }));
    /// ```
    pub fn with_mailbox_capacity(capacity: usize) -> Self {
        Runtime::with(Mailboxes::bounded(capacity, Overflow::Reject))
    }

    fn with(mailboxes: Mailboxes) -> Self {
        if cfg!(panic = "abort") {
            static LOGGED: Once = Once::new();
            LOGGED.call_once(|| tracing::error!(target: "regrow", "{NO_UNWINDING}"));
        }
        let runtime = Runtime { kernel: Kernel::new(mailboxes) };
        runtime.kernel.tokio();
        runtime
    }

    /// Creates the runtime of a chaos run. Its mailboxes are counted, because only the send to a
    /// counted mailbox can lose a message.
    #[cfg(feature = "chaos")]
    pub(crate) fn with_faults(faults: Arc<crate::kernel::faults::Faults>) -> Self {
        let runtime = Runtime::with_mailbox_depth();
        // The kernel is new, so it has no faults yet.
        let _ = runtime.kernel.faults.set(faults);
        runtime
    }

    /// Sends bytes to a process. This method never blocks and never panics.
    ///
    /// Returns true if the bytes were queued in the mailbox of the process; the process may still
    /// end before it reads them. Returns false if the process is dead or ending, or if its mailbox
    /// is full. If the policy of a full mailbox is to drop a message instead, the result is true:
    /// see [`Overflow`].
    ///
    /// The result is false for a process of another node, since only a term reaches it: see the
    /// method `send_term` of the feature `cluster`.
    ///
    /// Everything that one process sends to another, including `Down`s and exits, arrives in the
    /// order in which it was sent. OTP: `Pid ! Message`, which does not report a failure.
    /// [`Runtime`] has an example.
    pub fn send(&self, pid: Pid, message: Message) -> bool {
        match self.kernel.find(pid) {
            Some(process) => process.deliver_message(message),
            None => self.receive(pid, Received::Message(message)),
        }
    }

    /// Sends bytes to the process that holds the name. Returns false if no process holds the name,
    /// and otherwise the result of [`send`](Self::send). OTP: `Name ! Message`, which raises
    /// `badarg` if no process holds the name.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let logger = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
    /// assert!(!rt.send_named("logger", b"not registered yet".to_vec()));
    /// rt.register("logger", logger.pid());
    /// assert!(rt.send_named("logger", b"hello".to_vec()));
    /// assert_eq!(logger.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub fn send_named(&self, name: &str, message: Message) -> bool {
        let Some(pid) = self.whereis(name) else {
            self.kernel.report_unaddressed(name);
            return false;
        };
        self.send(pid, message)
    }

    /// Sends a byte stream as one mailbox item. Returns false in the same cases as
    /// [`send`](Self::send). In these cases the reader of the stream is dropped, so writes to the
    /// stream fail. OTP has no counterpart.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let reader = rt.spawn(|mut ctx| async move {
    ///     let mut upload = ctx.recv().await.stream().unwrap();
    ///     assert_eq!(upload.read().await, Some(b"chunk".to_vec()));
    ///     assert_eq!(upload.read().await, None);
    /// });
    /// let (writer, upload) = regrow::stream();
    /// assert!(rt.send_stream(reader.pid(), upload));
    /// writer.write(b"chunk".to_vec()).await.unwrap();
    /// drop(writer);
    /// assert_eq!(reader.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub fn send_stream(&self, pid: Pid, stream: StreamHandle) -> bool {
        self.receive(pid, Received::Stream(stream))
    }

    pub(crate) fn receive(&self, pid: Pid, received: Received) -> bool {
        let Some(process) = self.kernel.find(pid) else {
            let message = received.description();
            let cause = match self.kernel.reaches(pid) {
                true => DeadLetterCause::NotATerm,
                false => DeadLetterCause::NoProcess,
            };
            self.kernel.report_dead_letter(pid, message, cause);
            return false;
        };
        process.deliver(received)
    }

    /// The pid of the process that is current on this thread, or [`Pid::OUTSIDE`] if there is none.
    pub(crate) fn current_pid(&self) -> Pid {
        current_process::current_pid(self.kernel.number())
    }
}
