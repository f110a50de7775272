//! The runtime: all processes of one program or of one test, and the operations on them that users
//! call. A file that has the name of a file in `kernel` is the public side of that file.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `observe`, `process`, `kernel`, `mailbox`, `call`,
//! `driver`.
//! **Knows nothing of** servers, children and supervisors.

use std::sync::{Arc, Once};

use crate::base::current_process;
use crate::base::pid::Pid;
use crate::kernel::{Kernel, Mailboxes};
use crate::message::received::{Message, Received};
use crate::message::stream::StreamHandle;
use crate::process::overflow::Overflow;

mod exits;
mod counts;
pub(crate) mod context;
pub(crate) mod inside;
pub(crate) mod ended;
pub(crate) mod spawn;
mod links;
pub(crate) mod names;
mod groups;
pub(crate) mod timers;
pub(crate) mod info;
mod set_health;
mod tracking;
pub(crate) mod census;
mod logging;
pub(crate) mod events;
pub(crate) mod typed_name;
pub(crate) mod errors;
pub(crate) mod deadline;
pub(crate) mod await_reply;
pub(crate) mod starting;

const NO_UNWINDING: &str = "built with panic = \"abort\": no crash can be caught, nothing will be \
     restarted; take that line out of the profile";

/// Everything processes share: their table, names, groups, timers and log.
///
/// A runtime is cheap to clone, and clones share everything. Many can live in one
/// program and never see each other: they share only what a program has once, its panic hook and
/// its signals. Dropping handles stops nothing; processes live until they end or are ended.
///
/// It captures tokio's handle where it is made, or at its first use inside tokio, and
/// spawns through it from then on, also from threads that know nothing of tokio. When that tokio
/// runtime shuts down, all processes end with [`Killed`](crate::ExitReason::Killed), and no other
/// runs any more: starts, calls and tasks fail with
/// [`StartError::TokioGone`](crate::StartError::TokioGone),
/// [`CallError::TokioGone`](crate::CallError::TokioGone) and
/// [`TaskError::TokioGone`](crate::TaskError::TokioGone). Each `#[tokio::test]` is a tokio runtime
/// of its own, so make a `Runtime` in each test instead of a `static` one.
///
/// OTP: one runtime is what a node is there; its functions are methods here, and take the
/// process they speak of as an argument instead of `self()`.
///
/// # Examples
///
/// ```
/// use regrow::{ExitReason, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
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
/// assert!(!rt.send(echo.pid(), b"anybody?".to_vec()));
/// # });
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
    /// A runtime whose mailboxes are unbounded and not counted: the fastest kind. A mailbox
    /// that nobody reads grows until memory is used up; where that can happen,
    /// [`with_mailbox_capacity`](Self::with_mailbox_capacity).
    ///
    /// In a program built with `panic = "abort"` the first runtime tells, as one ERROR event,
    /// that no crash can be caught.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let clone = rt.clone();
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// assert!(clone.is_alive(pid)); // a clone is the same runtime
    /// assert!(!Runtime::new().is_alive(pid)); // another one is another world
    /// # });
    /// ```
    pub fn new() -> Self {
        Runtime::with(Mailboxes::Plain)
    }

    /// A runtime whose mailboxes are counted, so that [`info`](Self::info) tells their
    /// depth, in items. Costs a lock per message.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::with_mailbox_depth();
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// rt.send(pid, b"one".to_vec());
    /// rt.send(pid, b"two".to_vec());
    /// assert_eq!(rt.info(pid).unwrap().mailbox_depth, 2);
    /// # });
    /// ```
    pub fn with_mailbox_depth() -> Self {
        Runtime::with(Mailboxes::Counted(usize::MAX, Overflow::Reject))
    }

    /// A runtime whose mailboxes hold at most `capacity` messages and streams, and shed
    /// more: the send says so, and [`dropped_messages`](Self::dropped_messages) counts.
    /// A server's calls and casts are messages too: a call to a full server fails with
    /// [`Overloaded`](crate::CallError::Overloaded). Signals are never shed. Mailboxes are
    /// counted as well. A server's own bound, which may have another policy, overrides this
    /// one: [`ServerSpec::mailbox_capacity`](crate::ServerSpec::mailbox_capacity). OTP has no
    /// counterpart: its mailboxes are unbounded.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0: no message could ever be received.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::with_mailbox_capacity(1);
    /// let busy = rt.spawn(|_| std::future::pending());
    /// assert!(rt.send(busy.pid(), b"fits".to_vec()));
    /// assert!(!rt.send(busy.pid(), b"is shed".to_vec()));
    /// assert_eq!(rt.dropped_messages(), 1);
    ///
    /// assert!(rt.exit(busy.pid(), ExitReason::Shutdown)); // a signal always arrives
    /// assert_eq!(busy.join().await, ExitReason::Shutdown);
    /// # });
    /// ```
    pub fn with_mailbox_capacity(capacity: usize) -> Self {
        Runtime::with(Mailboxes::bounded(capacity, Overflow::Reject))
    }

    fn with(mailboxes: Mailboxes) -> Self {
        if cfg!(panic = "abort") {
            static SAID: Once = Once::new();
            SAID.call_once(|| tracing::error!(target: "regrow", "{NO_UNWINDING}"));
        }
        let runtime = Runtime { kernel: Kernel::new(mailboxes) };
        runtime.kernel.tokio();
        runtime
    }

    /// Sends bytes to a process. True if they are in its mailbox, which doesn't promise that
    /// it lives to read them. False if it is dead or ending, or its mailbox is full, unless
    /// that drops something instead: see [`Overflow`]. Never blocks, never panics.
    ///
    /// What one process sends another arrives in the order it was sent, `Down`s and exits included.
    /// OTP: `Pid ! Message`, which doesn't say. [`Runtime`] has an example.
    pub fn send(&self, pid: Pid, message: Message) -> bool {
        self.receive(pid, Received::Message(message))
    }

    /// Sends bytes to whoever holds the name. False if nobody does, or as
    /// [`send`](Self::send). OTP: `Name ! Message`, which raises `badarg` if nobody does.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let logger = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
    /// assert!(!rt.send_named("logger", b"nobody yet".to_vec()));
    /// rt.register("logger", logger.pid());
    /// assert!(rt.send_named("logger", b"hello".to_vec()));
    /// assert_eq!(logger.join().await, ExitReason::Normal);
    /// # });
    /// ```
    pub fn send_named(&self, name: &str, message: Message) -> bool {
        self.whereis(name).is_some_and(|pid| self.send(pid, message))
    }

    /// Sends a byte stream as one mailbox item. False as for [`send`](Self::send); the
    /// stream's writer then finds its reader gone. OTP has no counterpart.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
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
    /// # });
    /// ```
    pub fn send_stream(&self, pid: Pid, stream: StreamHandle) -> bool {
        self.receive(pid, Received::Stream(stream))
    }

    fn receive(&self, pid: Pid, received: Received) -> bool {
        let Some(process) = self.kernel.find(pid) else { return false };
        process.deliver(received)
    }

    /// The process in whose body this is called, or [`Pid::OUTSIDE`].
    pub(crate) fn current_pid(&self) -> Pid {
        current_process::current_pid(self.kernel.number())
    }
}
