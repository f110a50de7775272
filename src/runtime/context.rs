//! What the body of a process is given.

use std::fmt;
use std::future::poll_fn;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::pid::Pid;
use crate::mailbox::receive::Mailbox;
use crate::message::received::{Envelope, Received};
use crate::process::AnyProcess;
use crate::runtime::Runtime;

/// The inside of a process: its pid, its mailbox, its runtime.
///
/// All ways of receiving share one queue: messages, streams and signals are taken in
/// the order they came. Receiving takes part in tokio's cooperative budget, so a busy
/// process can't starve its worker.
///
/// OTP: what `self/0` and `receive` are to an Erlang process. A [`Context`] can't be
/// cloned: only the process itself reads its mailbox.
///
/// # Examples
///
/// ```
/// use regrow::{ExitReason, Received, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
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
/// # });
/// ```
pub struct Context {
    mailbox: Mailbox<Envelope>,
}

impl Context {
    pub(crate) fn new(mailbox: Mailbox<Envelope>) -> Self {
        Context { mailbox }
    }

    /// From now on the parent's exit cancels this token.
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
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let body = rt.spawn(|ctx| async move {
    ///     let rt = ctx.runtime();
    ///     assert!(rt.register("me", ctx.pid()));
    ///     assert_eq!(rt.whereis("me"), Some(ctx.pid()));
    /// });
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// # });
    /// ```
    pub fn pid(&self) -> Pid {
        self.mailbox.process.pid()
    }

    /// The runtime this process lives in. [`pid`](Self::pid) has an example.
    pub fn runtime(&self) -> Runtime {
        Runtime { kernel: self.mailbox.process.kernel.clone() }
    }

    /// Takes the next item, waiting at no cost until there is one. OTP: a `receive`
    /// that matches anything. [`Context`] has an example.
    ///
    /// Once a fatal signal was accepted nothing more is received: the process ends
    /// here.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a receive that is dropped has taken nothing.
    pub async fn recv(&mut self) -> Received {
        poll_fn(|cx| self.mailbox.poll_some(cx)).await;
        self.mailbox.take().received
    }

    /// Takes the first item that `matches`, waiting until there is one. The others
    /// stay queued in the order they came, and later receives see them first. OTP: the
    /// selective `receive`.
    ///
    /// Each call looks at what is queued from the start, so a process that lets items
    /// pile up pays for them here. Not for a mailbox that others can fill at will.
    ///
    /// # Panics
    ///
    /// If `matches` panics: then that is the process' crash, and nothing was taken.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a receive that is dropped has taken nothing.
    ///
    /// ```
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let body = rt.spawn(|mut ctx| async move {
    ///     let b = Received::Message(b"b".to_vec());
    ///     assert_eq!(ctx.recv_match(|item| *item == b).await, b);
    ///     assert_eq!(ctx.recv().await.message(), Some(b"a".to_vec()));
    /// });
    /// rt.send(body.pid(), b"a".to_vec());
    /// rt.send(body.pid(), b"b".to_vec());
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// # });
    /// ```
    pub async fn recv_match(&mut self, mut matches: impl FnMut(&Received) -> bool) -> Received {
        let mut cursor = 0;
        let mut matches = |envelope: &Envelope| matches(&envelope.received);
        poll_fn(|cx| self.mailbox.poll_match(cx, &mut cursor, &mut matches)).await;
        self.mailbox.take_at(cursor).received
    }

    /// The next item, or `None` if none came within `limit`. With a zero limit, what
    /// is queued already is still found. OTP: `receive … after`.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Nothing is lost when the time is up.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let body = rt.spawn(|mut ctx| async move {
    ///     assert!(ctx.recv_timeout(Duration::ZERO).await.is_some()); // it is there
    ///     assert_eq!(ctx.recv_timeout(Duration::from_secs(60)).await, None);
    /// });
    /// rt.send(body.pid(), b"only one".to_vec());
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// # });
    /// ```
    pub async fn recv_timeout(&mut self, limit: Duration) -> Option<Received> {
        tokio::time::timeout(limit, self.recv()).await.ok()
    }

    /// The first item that `matches`, or `None` if none came within `limit`; the others stay
    /// queued, as for [`recv_match`](Self::recv_match). OTP: the selective `receive … after`.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Nothing is lost when the time is up.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let body = rt.spawn(|mut ctx| async move {
    ///     let exit = |item: &Received| matches!(item, Received::Exit { .. });
    ///     assert_eq!(ctx.recv_match_timeout(exit, Duration::from_secs(1)).await, None);
    ///     assert_eq!(ctx.recv().await.message(), Some(b"text".to_vec())); // still there
    /// });
    /// rt.send(body.pid(), b"text".to_vec());
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// # });
    /// ```
    pub async fn recv_match_timeout(
        &mut self,
        matches: impl FnMut(&Received) -> bool,
        limit: Duration,
    ) -> Option<Received> {
        tokio::time::timeout(limit, self.recv_match(matches)).await.ok()
    }
}

/// The pid, and nothing of what is queued.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({})", self.pid())
    }
}
