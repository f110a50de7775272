//! The context that the body of a process gets.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::Pid;
use crate::exit::{ExitReason, Scope};
use crate::mailbox::{Mailbox, Process, Stash};
use crate::message::{Envelope, Metadata, Received};
use crate::process::AnyProcess;
use crate::runtime::Runtime;

/// The context of a process: its pid, its mailbox and its runtime.
///
/// Messages, streams and signals share one queue, and are received in the order in which they
/// arrived. Receiving consumes tokio's cooperative budget, so a busy process does not starve other
/// tasks on its worker thread.
///
/// OTP: `self/0` and `receive`. A `Context` can't be cloned, because only the process itself reads
/// its mailbox.
///
/// # Examples
///
/// ```
/// use regrow::{ExitReason, Received, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let greeter = rt.spawn(|mut ctx| async move {
///     loop {
///         match ctx.recv().await {
///             Received::Message(text) if text == b"bye" => break,
///             Received::Message(text) => assert_eq!(text, b"hello"),
///             other => panic!("not for me: {other:?}"),
///         }
///     }
/// });
/// rt.send(greeter.pid(), b"hello".to_vec());
/// rt.send(greeter.pid(), b"bye".to_vec());
/// assert_eq!(greeter.join().await, ExitReason::Normal);
/// # }));
/// ```
pub struct Context {
    pub(super) mailbox: Mailbox<Envelope>,
    /// The metadata of the message that was received last.
    pub(super) metadata: Metadata,
    /// The items that the process has put aside.
    pub(super) stash: Option<Box<Stash<Envelope>>>,
}

impl Context {
    pub(crate) fn new(mailbox: Mailbox<Envelope>) -> Self {
        Context { mailbox, metadata: Metadata::default(), stash: None }
    }

    pub(crate) fn process(&self) -> &Arc<Process<Envelope>> {
        &self.mailbox.process
    }

    /// Makes the exit signal of the parent cancel this token. From then on the process traps exits.
    pub(crate) fn stop_by(&self, token: CancellationToken) {
        let process: &dyn AnyProcess = &*self.mailbox.process;
        let mut token = Some(token);
        process.with(|locked| {
            let core = locked.core();
            core.trap = true;
            core.registrations_mut().stop = token.take();
        });
    }

    /// The pid of this process. OTP: `self/0`.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let body = rt.spawn(|ctx| async move {
    ///     let rt = ctx.runtime();
    ///     assert!(rt.register("me", ctx.pid()));
    ///     assert_eq!(rt.whereis("me"), Some(ctx.pid()));
    /// });
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub fn pid(&self) -> Pid {
        self.mailbox.process.pid()
    }

    /// The runtime that this process belongs to. [`pid`](Self::pid) has an example.
    pub fn runtime(&self) -> Runtime {
        Runtime { kernel: self.mailbox.process.kernel.clone() }
    }

    /// Returns a reason for an end after which this process is not restarted, whatever its
    /// [`Restart`](crate::Restart) type: for an error that a restart can't mend. `reason` is an
    /// error, a text or another [`ExitReason`]. `?` and [`ExitReason::into_error`] pass the reason
    /// on, also inside of other errors.
    ///
    /// The child stays known to a [`Supervisor`](crate::Supervisor) as
    /// [given up](crate::ChildState::GivenUp), and a dynamic supervisor removes it. The reason has
    /// this effect only as the end of the process that made it. [`TaskContext::give_up`](crate::TaskContext::give_up)
    /// has an example.
    #[must_use = "the process ends with it in an `Err`"]
    pub fn give_up<E: Into<ExitReason> + 'static>(&self, reason: E) -> ExitReason {
        self.runtime().no_restart(self.pid(), Scope::Child, reason)
    }

    /// Returns a reason for an end after which the whole tree ends: each supervisor from the child's
    /// own up to the root stops its children and ends with
    /// [`RestartLimitReached`](crate::RestartLimitReached), and none of them is restarted. After a
    /// clean `reason`, for example [`Normal`](ExitReason::Normal), all these ends are clean, and
    /// [`Run`](crate::Run) counts the tree as ended. Otherwise as [`give_up`](Self::give_up). [`NoRestart`](crate::NoRestart) has an example.
    #[must_use = "the process ends with it in an `Err`"]
    pub fn end_tree<E: Into<ExitReason> + 'static>(&self, reason: E) -> ExitReason {
        self.runtime().no_restart(self.pid(), Scope::Tree, reason)
    }

    /// Waits for the next item and receives it. OTP: a `receive` that matches anything. [`Context`]
    /// has an example.
    ///
    /// A process that waits uses no processor time. Once the process has accepted a fatal signal,
    /// it receives no further item and ends in this await.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a receive that is dropped has taken no item.
    pub fn recv(&mut self) -> impl Future<Output = Received> + Send {
        // No `async fn`, whose future would have four words, of which a body holds one for each
        // receive that it may wait in.
        Recv(self)
    }

    /// Waits for an item that `matches`, and receives the first one. The other items stay queued in
    /// order, and later receives get them first. OTP: the selective `receive`.
    ///
    /// Each call searches the queue from the start, so calls get slower as other items accumulate.
    /// Do not use this method on a mailbox that other processes can fill without a limit.
    ///
    /// # Panics
    ///
    /// If `matches` panics. No item was taken then, and the panic crashes the process.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a receive that is dropped has taken no item.
    ///
    /// ```
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let body = rt.spawn(|mut ctx| async move {
    ///     let b = Received::Message(b"b".to_vec());
    ///     assert_eq!(ctx.recv_match(|item| *item == b).await, b);
    ///     assert_eq!(ctx.recv().await.message(), Some(b"a".to_vec()));
    /// });
    /// rt.send(body.pid(), b"a".to_vec());
    /// rt.send(body.pid(), b"b".to_vec());
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub async fn recv_match(&mut self, mut matches: impl FnMut(&Received) -> bool) -> Received {
        let mut cursor = 0;
        let mut matches = |envelope: &Envelope| matches(&envelope.received);
        poll_fn(|cx| self.mailbox.poll_match(cx, &mut cursor, &mut matches)).await;
        let envelope = self.mailbox.take_at(cursor);
        self.received(envelope)
    }

    /// Receives the next item, or returns `None` if none arrived within `limit`. With a limit of
    /// zero, an item that is queued already is still received. OTP: `receive … after`.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. No item is lost when the time is up.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let body = rt.spawn(|mut ctx| async move {
    ///     assert!(ctx.recv_timeout(Duration::ZERO).await.is_some()); // the item is queued already
    ///     assert_eq!(ctx.recv_timeout(Duration::from_secs(60)).await, None);
    /// });
    /// rt.send(body.pid(), b"only one".to_vec());
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub async fn recv_timeout(&mut self, limit: Duration) -> Option<Received> {
        tokio::time::timeout(limit, self.recv()).await.ok()
    }

    /// Receives the first item that `matches`, or returns `None` if no such item arrived within
    /// `limit`. The other items stay queued, as they do in [`recv_match`](Self::recv_match). OTP:
    /// the selective `receive … after`.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. No item is lost when the time is up.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let body = rt.spawn(|mut ctx| async move {
    ///     let exit = |item: &Received| matches!(item, Received::Exit { .. });
    ///     assert_eq!(ctx.recv_match_timeout(exit, Duration::from_secs(1)).await, None);
    ///     assert_eq!(ctx.recv().await.message(), Some(b"text".to_vec())); // still there
    /// });
    /// rt.send(body.pid(), b"text".to_vec());
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub async fn recv_match_timeout(
        &mut self,
        matches: impl FnMut(&Received) -> bool,
        limit: Duration,
    ) -> Option<Received> {
        tokio::time::timeout(limit, self.recv_match(matches)).await.ok()
    }

    /// Returns the metadata of the message that was received last, by any of the methods above. What
    /// this process sends carries it only within [`Metadata::hand_on`] or [`Metadata::run`], since a
    /// process may receive further messages before it has handled this one.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let reader = rt.spawn(|mut ctx| async move {
    ///     ctx.recv_match(|received| matches!(received, regrow::Received::Message(_))).await;
    ///     assert_eq!(ctx.metadata().get::<u64>().as_deref(), Some(&7));
    /// });
    /// rt.with_metadata(7_u64, async { rt.send(reader.pid(), b"hello".to_vec()) }).await;
    /// assert!(!reader.join().await.is_abnormal());
    /// # }));
    /// ```
    pub fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    #[inline]
    fn received(&mut self, envelope: Envelope) -> Received {
        let Envelope { metadata, received, ticket: _ } = envelope;
        self.metadata = metadata;
        received
    }
}

/// The future of [`Context::recv`]. It is compiled into the body, so that an item is moved from the
/// mailbox to where the body uses it. In a function of its own, each copy on the way writes and reads
/// words of different widths, and a read waits for such a write.
struct Recv<'a>(&'a mut Context);

impl Future for Recv<'_> {
    type Output = Received;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Received> {
        let Recv(context) = self.get_mut();
        ready!(context.mailbox.poll_some(cx));
        // Before the item is moved, because the drop of the older metadata may call code.
        context.metadata = context.mailbox.take_metadata();
        Poll::Ready(context.mailbox.take().received)
    }
}

/// Shows the pid. Queued items are not shown.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({})", self.pid())
    }
}
