//! A process that is controlled by a test.

use std::fmt;
use std::future::poll_fn;

use futures_util::FutureExt;
use tokio::task::unconstrained;

use crate::base::{MonitorRef, Pid};
use crate::kernel::NewProcess;
use crate::mailbox::Mailbox;
use crate::message::{Envelope, Received};
use crate::runtime::{Inside, Runtime, sealed};
use crate::testing::{BareProcess, CallSite, wait_for};

/// A process whose received items are kept for the test to inspect. A probe can link, monitor and
/// trap exits, and be the parent of a server that is started with
/// [`start_link`](crate::ServerSpec::start_link). It ends normally when it is dropped.
///
/// OTP: the process that runs a test, with its `assert_receive`.
///
/// # Examples
///
/// ```
/// use regrow::testing::Probe;
/// use regrow::{ExitReason, Received, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let mut probe = Probe::new(&rt);
/// let worker = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) }).pid();
/// let reference = probe.monitor(worker);
/// probe.assert_silent();
///
/// rt.send(worker, b"you may end".to_vec());
/// let reason = ExitReason::Normal;
/// probe.expect(Received::Down { reference, pid: worker, reason }).await;
/// # }));
/// ```
pub struct Probe {
    mailbox: Mailbox<Envelope>,
    process: BareProcess<Envelope>,
}

impl Probe {
    /// Starts a probe. [`Probe`] has an example.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime, unless an earlier use of `runtime` was inside one. If
    /// `runtime` was shut down.
    pub fn new(runtime: &Runtime) -> Self {
        let process = BareProcess::new(runtime, &NewProcess::default(), |_| ());
        Probe { mailbox: Mailbox::new(process.inner().clone()), process }
    }

    /// Returns the pid of the probe, also after its end. [`Probe`] has an example.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Waits for the next item in the mailbox.
    ///
    /// # Panics
    ///
    /// If the probe has ended. If nothing arrives within a day; under a paused clock this panic
    /// comes at once when no other timer is pending.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has taken no item.
    ///
    /// ```
    /// use regrow::testing::Probe;
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut probe = Probe::new(&rt);
    /// rt.send(probe.pid(), b"hello".to_vec());
    /// assert_eq!(probe.next().await.message(), Some(b"hello".to_vec()));
    /// # }));
    /// ```
    #[track_caller]
    #[expect(clippy::should_implement_trait, reason = "it returns a future, and no `Option`")]
    pub fn next(&mut self) -> impl Future<Output = Received> + Send {
        self.take_next(CallSite::here(), || "something to be received".to_owned())
    }

    async fn take_next(
        &mut self,
        site: CallSite,
        what: impl FnOnce() -> String + Send,
    ) -> Received {
        let mailbox = &mut self.mailbox;
        let some = self.process.or_ended(|cx| mailbox.poll_some(cx));
        match wait_for(site, what, some).await {
            Ok(()) => self.mailbox.take().received,
            Err(reason) => {
                panic!("{site}: the probe has ended and receives nothing more: {reason:#}")
            }
        }
    }

    /// Waits for the next item, which must equal `expected`. [`Probe`] has an example.
    ///
    /// # Panics
    ///
    /// If the item differs; the panic message shows both items. Also in the same cases as
    /// [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, as [`next`](Self::next) is.
    #[track_caller]
    pub fn expect(&mut self, expected: Received) -> impl Future<Output = ()> + Send {
        let site = CallSite::here();
        async move {
            let received = self.take_next(site, || format!("{expected:?}")).await;
            let equal = received == expected;
            assert!(equal, "{site}: expected {expected:?}, but received {received:?}");
        }
    }

    /// Waits for the next item, which `matches` must accept, and returns it: for an item of which
    /// the test knows only a part.
    ///
    /// # Panics
    ///
    /// If `matches` returns false; the panic message shows the item. Also in the same cases as
    /// [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, as [`next`](Self::next) is.
    ///
    /// ```
    /// use regrow::testing::Probe;
    /// use regrow::{Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut probe = Probe::new(&rt);
    /// let worker = rt.spawn(|_| async { panic!("line 7: no such order") });
    /// probe.monitor(worker.pid());
    /// let down = probe.expect_match(|item| matches!(item, Received::Down { .. })).await;
    /// let Received::Down { reason, .. } = down else { panic!() };
    /// assert!(reason.is_abnormal());
    /// # }));
    /// ```
    #[track_caller]
    pub fn expect_match<F>(&mut self, matches: F) -> impl Future<Output = Received> + Send
    where
        F: FnOnce(&Received) -> bool + Send,
    {
        let site = CallSite::here();
        async move {
            let what = || "an item that the closure accepts".to_owned();
            let received = self.take_next(site, what).await;
            let accepted = matches(&received);
            assert!(
                accepted,
                "{site}: expected an item that the closure accepts, but received {received:?}"
            );
            received
        }
    }

    /// Takes all items that the probe has received and the test has not taken yet.
    ///
    /// ```
    /// use regrow::testing::Probe;
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut probe = Probe::new(&rt);
    /// rt.send(probe.pid(), b"one".to_vec());
    /// rt.send(probe.pid(), b"two".to_vec());
    /// let texts: Vec<_> = probe.so_far().into_iter().filter_map(|item| item.message()).collect();
    /// assert_eq!(texts, [b"one", b"two"]);
    /// probe.assert_silent();
    /// # }));
    /// ```
    pub fn so_far(&mut self) -> Vec<Received> {
        let mut received = Vec::new();
        // The poll is unconstrained, since tokio's budget would end the loop before the mailbox is
        // empty.
        while unconstrained(poll_fn(|cx| self.mailbox.poll_some(cx))).now_or_never().is_some() {
            received.push(self.mailbox.take().received);
        }
        received
    }

    /// Asserts that the probe has received no item that the test has not taken yet. Under a paused
    /// clock, sleep for 1 ms before this call, so that every process has finished its work.
    /// [`Probe`] has an example.
    ///
    /// # Panics
    ///
    /// If there is an item; the panic message shows it.
    #[track_caller]
    pub fn assert_silent(&mut self) {
        let received = self.so_far();
        assert!(received.is_empty(), "expected silence, but received {received:?}");
    }

    /// Turns the trapping of exits on or off, and returns the old value, as
    /// [`Runtime::set_trap_exit`] does.
    ///
    /// ```
    /// use regrow::testing::Probe;
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut probe = Probe::new(&rt);
    /// probe.trap_exit(true);
    /// let worker = rt.spawn(|_| std::future::pending()).pid();
    /// assert!(probe.link(worker));
    /// rt.kill(worker);
    /// probe.expect(Received::Exit { from: worker, reason: ExitReason::Killed }).await;
    /// # }));
    /// ```
    pub fn trap_exit(&self, trap: bool) -> bool {
        self.process.runtime().set_trap_exit(self.pid(), trap).unwrap_or(false)
    }

    /// Links the probe to a process, as [`Runtime::link`] does. Returns false if that process is
    /// dead. [`trap_exit`](Self::trap_exit) has an example.
    pub fn link(&self, other: Pid) -> bool {
        self.process.runtime().link(self.pid(), other)
    }

    /// Monitors a process, as [`Runtime::monitor`] does. [`Probe`] has an example.
    pub fn monitor(&self, target: Pid) -> MonitorRef {
        self.process.runtime().monitor(self.pid(), target)
    }
}

impl sealed::Sealed for Probe {}

impl Inside for Probe {
    fn pid(&self) -> Pid {
        Probe::pid(self)
    }

    fn runtime(&self) -> Runtime {
        self.process.runtime()
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({})", self.pid())
    }
}
