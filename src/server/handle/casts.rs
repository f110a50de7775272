//! Casts: without waiting, or waiting for room.
//!
//! **Guarantees of [`cast_wait`](ServerRef::cast_wait) and
//! [`cast_timeout`](ServerRef::cast_timeout).** The message is queued once, or given back
//! with the error. A future that is dropped has either queued the message or dropped it.
//!
//! **Steps**
//! 1. Try to cast. Only a full mailbox leads to step 2.
//! 2. Refuse a server that waits for itself, and add the edge to the wait graph.
//! 3. Send again, under the lock of the process. The message is queued if there is room by now;
//!    otherwise it joins the send queue under a number.
//! 4. Wait, by a [`QueuedSend`], until the message is queued, the process is stopping or ending, or
//!    the time is up. In the last two cases, take the message back.
//!
//! **Invariants**
//! 1. From step 3 on the process holds the message, in its mailbox or in its send queue, and the
//!    message is taken back only under the lock of the process.
//! 2. Steps 3 and 4 use the process that step 2 found: a named handle does not switch to a
//!    successor.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::{Pid, consume_budget};
use crate::mailbox::{Process, QueuedSend, Sent};
use crate::message::MessageKind;
use crate::observe::DeadLetterCause;
use crate::process::IfFull;
use crate::process::any::Refused;
use crate::runtime::{CallError, CastError, until};
use crate::server::{GenServer, ServerItem, ServerRef, Target, wait_edge};

impl<S: GenServer> ServerRef<S> {
    /// Sends the server a message and doesn't wait. If the server is dead, or its full mailbox
    /// refuses the message, drops the message and returns false; [`try_cast`](Self::try_cast)
    /// returns the reason and the message instead. The result true does not mean that the message
    /// will be handled: the server may end first, and the result is also true if the mailbox is
    /// full and its policy is to drop ([`Overflow`](crate::Overflow)). A message that is lost is
    /// counted: see [`Runtime::dead_letters`](crate::Runtime::dead_letters).
    ///
    /// A server that has been asked to stop refuses messages, so a message that it has accepted is
    /// handled before it stops, unless it ends earlier for another reason.
    ///
    /// Casts and calls of one sender are handled in the order in which they were sent. A mailbox
    /// without a bound does not slow down a sender that is faster than the server. To slow the
    /// sender down, make calls, or use a bound and [`cast_wait`](Self::cast_wait). OTP:
    /// `gen_server:cast/2`, which returns `ok` in any case. [`ServerRef`] has an example.
    pub fn cast(&self, cast: S::Cast) -> bool {
        let (pid, cause) = match self.resolve() {
            Ok(process) => match process.send_wrapped(cast, ServerItem::Cast, IfFull::Lose) {
                Ok(_) => return true,
                Err((refused, cause)) => {
                    drop(refused);
                    (Some(process.pid()), cause.into())
                }
            },
            Err(CallError::WrongType) => (None, DeadLetterCause::WrongType),
            Err(_) => (None, DeadLetterCause::NoProcess),
        };
        self.report_lost_cast(pid, cause);
        false
    }

    /// Sends the server a message as [`cast`](Self::cast) does, and returns a refused message with
    /// the reason. OTP has no counterpart. [`CastError`] has an example.
    ///
    /// # Errors
    ///
    /// [`CastError`], with the message, if the server is dead, is stopping, is being restarted, has
    /// a full mailbox that refuses the message, or is of another type.
    pub fn try_cast(&self, cast: S::Cast) -> Result<(), CastError<S::Cast>> {
        let process = match self.resolve() {
            Ok(process) => process,
            Err(reason) => return Err(CastError { reason, cast }),
        };
        let sent = process.send_wrapped(cast, ServerItem::Cast, IfFull::GiveBack);
        sent.map(|_| ()).map_err(|(item, refused)| {
            given_back(item, self.refine_error(refused.into(), &process))
        })
    }

    /// Sends a cast of the server's own pipe, and waits for room. Returns false, and reports the
    /// cast, if the cast is lost.
    pub(crate) async fn cast_piped(&self, cast: S::Cast) -> bool {
        let pid = self.pid();
        let Err(refused) = self.cast_wait(cast).await else { return true };
        let cause = match refused.reason {
            CallError::Stopping => DeadLetterCause::Stopping,
            _ => DeadLetterCause::NoProcess,
        };
        drop(refused);
        self.report_lost_cast(pid, cause);
        false
    }

    #[cold]
    #[inline(never)]
    fn report_lost_cast(&self, pid: Option<Pid>, cause: DeadLetterCause) {
        let name = match &self.target {
            Target::Direct(_) => None,
            Target::Named { name, .. } => Some(name),
        };
        let message = (MessageKind::Cast, std::any::type_name::<S::Cast>());
        self.kernel().publish_dead_letter(message, pid, name, cause);
    }

    /// Sends the server a message. If the mailbox is full, waits for room, however long that takes.
    /// Casts and calls that wait for room are queued in the order in which they began to wait. A
    /// mailbox whose policy is to drop, and one without a bound, never make a sender wait. OTP has
    /// no counterpart.
    ///
    /// A named handle waits for the process that holds the name at the time of the call, and not
    /// for its successor.
    ///
    /// # Errors
    ///
    /// [`CastError`], with the message: as [`try_cast`](Self::try_cast), except that a full mailbox
    /// is no error. If the server is asked to stop or ends during the wait, the error is returned at
    /// once: [`Stopping`](CallError::Stopping), [`NoProc`](CallError::NoProc), or, by a named handle
    /// of a server that is being restarted, [`Restarting`](CallError::Restarting). One of the
    /// server's own handlers gets [`CallingSelf`](CallError::CallingSelf) instead of a wait,
    /// because no room is made while that handler waits.
    ///
    /// # Cancel safety
    ///
    /// The message is queued as soon as there is room, whether or not this future is polled by
    /// then. If the future is dropped before that, the message is dropped too; if the future is
    /// dropped later, the message stays queued. Only a future that completes tells whether the
    /// message was queued.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::Overflow;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::spec(0).mailbox_capacity(8, Overflow::Wait).start(&rt).await?;
    /// for _ in 0..1_000 {
    ///     counter.cast_wait(Cast::Add(1)).await?; // at the server's pace
    /// }
    /// assert_eq!(counter.call(Call::Get).await?, 1_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn cast_wait(&self, cast: S::Cast) -> Result<(), CastError<S::Cast>> {
        self.cast_until(cast, None).await
    }

    /// Sends the server a message as [`cast_wait`](Self::cast_wait) does, and waits for room no
    /// longer than `limit`. With a limit of zero the message is queued at once or given back. OTP
    /// has no counterpart.
    ///
    /// # Errors
    ///
    /// [`CastError`], with the message: [`Overloaded`](CallError::Overloaded) if there was no room
    /// within `limit`. The message was not queued, and is not counted as dropped. Otherwise as
    /// [`cast_wait`](Self::cast_wait).
    ///
    /// # Cancel safety
    ///
    /// As [`cast_wait`](Self::cast_wait).
    ///
    /// # Panics
    ///
    /// If the message has to wait, and time is not enabled in the tokio that polls this future.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// # struct Stuck;
    /// # impl GenServer for Stuck {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = &'static str;
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Stuck)
    /// #     }
    /// #     async fn handle_cast(&mut self, _: Self::Cast, _: &mut ServerContext<Self>) -> Result {
    /// #         std::future::pending().await
    /// #     }
    /// # }
    /// use std::time::Duration;
    /// use regrow::{CallError, Overflow};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let stuck = Stuck::spec(()).mailbox_capacity(1, Overflow::Wait).start(&rt).await?;
    /// let limit = Duration::from_millis(250);
    /// stuck.cast_timeout("its handler awaits for ever", limit).await?;
    /// stuck.cast_timeout("fills the mailbox", limit).await?;
    /// let refused = stuck.cast_timeout("no room", limit).await.unwrap_err();
    /// assert_eq!((refused.reason, refused.cast), (CallError::Overloaded, "no room"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn cast_timeout(
        &self,
        cast: S::Cast,
        limit: Duration,
    ) -> Result<(), CastError<S::Cast>> {
        self.cast_until(cast, Instant::now().checked_add(limit)).await
    }

    /// Sends the server a message, and waits for room until `due`, or without a limit.
    async fn cast_until(
        &self,
        cast: S::Cast,
        due: Option<Instant>,
    ) -> Result<(), CastError<S::Cast>> {
        consume_budget().await;
        let full = match self.try_cast(cast) {
            Err(CastError { reason: CallError::Overloaded, cast }) => cast,
            done => return done,
        };
        let waiting = self.resolve().and_then(|process| Ok((wait_edge(&process)?, process)));
        let (_waits, process) = match waiting {
            Ok(waiting) => waiting,
            Err(reason) => return Err(CastError { reason, cast: full }),
        };
        match process.send_with(ServerItem::Cast(full), IfFull::Wait) {
            Ok(Sent::Accepted) => Ok(()),
            Ok(Sent::InSendQueue(number)) => {
                let mut queued_send = QueuedSend::new(process.clone().into_owned(), number);
                match until(&process.kernel, due, &mut queued_send).await {
                    Some(sent) => sent.map_err(|item| given_back(item, self.end_error(&process))),
                    None => match queued_send.withdraw() {
                        Some(item) => Err(given_back(item, CallError::Overloaded)),
                        // The message was queued just before.
                        None => Ok(()),
                    },
                }
            }
            Err((item, refused)) => {
                Err(given_back(item, self.refine_error(refused.into(), &process)))
            }
        }
    }
}

impl<S: GenServer> ServerRef<S> {
    /// Returns the error of a cast that waited for room until this process began to stop or to end.
    #[cold]
    fn end_error(&self, process: &Process<ServerItem<S>>) -> CallError {
        let is_stopping = process.state.lock().core.is_stopping();
        if is_stopping { CallError::Stopping } else { self.refusal(process) }
    }

    /// Sends the server a message that the server itself requested and that is sent once: the end
    /// of a pipe or the result of a task. The message is lost only if the server ends or stops. The
    /// message waits for room; if the policy of the mailbox is to drop, the message is exempt from the
    /// bound instead.
    pub(crate) async fn cast_exempt(&self, cast: S::Cast) {
        let Ok(process) = self.resolve() else { return };
        let drops = process.with_counts(|counts| counts.overflow.drops());
        let refused = if drops == Some(true) {
            // Only a server that is ending, or is asked to stop, refuses the message.
            let sent = process.send(ServerItem::Exempt(Box::new(cast)));
            sent.err().map(|(_, refused)| refused.into())
        } else {
            self.cast_wait(cast).await.err().map(CallError::from)
        };
        match refused {
            None => {}
            Some(CallError::Stopping) => {
                self.report_lost_cast(Some(process.pid()), DeadLetterCause::Stopping);
            }
            Some(_) => self.report_lost_cast(Some(process.pid()), DeadLetterCause::NoProcess),
        }
    }
}

/// Returns the error of a cast that was not queued.
fn given_back<S: GenServer>(item: ServerItem<S>, reason: CallError) -> CastError<S::Cast> {
    match item {
        ServerItem::Cast(cast) => CastError { reason, cast },
        ServerItem::Carried(carried) => given_back(carried.item, reason),
        _ => unreachable!("a mailbox gives back what it was given"),
    }
}

impl From<Refused> for CallError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Dead => CallError::NoProc,
            Refused::Full => CallError::Overloaded,
            Refused::Stopping => CallError::Stopping,
        }
    }
}
