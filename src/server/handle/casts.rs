//! Telling a server something: without waiting, or waiting for room.

use crate::base::coop::consume_budget;
use crate::mailbox::queued_send::QueuedSend;
use crate::mailbox::record::Sent;
use crate::process::IfFull;
use crate::process::any::Refused;
use crate::runtime::errors::call_error::CallError;
use crate::runtime::errors::cast_error::CastError;
use crate::server::handle::request::{refuse_self, wait_edge};
use crate::server::item::ServerItem;
use crate::server::{GenServer, ServerRef};

impl<S: GenServer> ServerRef<S> {
    /// Tells the server something, and doesn't wait. False if it is dead or full, and then
    /// the message is dropped: [`try_cast`](Self::try_cast) says why and gives it back. True
    /// is no promise that it is handled: the server may end before, and a mailbox whose
    /// policy is to drop says true as well ([`Overflow`](crate::Overflow)).
    ///
    /// Casts and calls of one sender are handled in the order they were sent. Unless its
    /// mailbox has a bound, nothing slows down who casts faster than the server handles:
    /// where that can be, call, or [`cast_wait`](Self::cast_wait). OTP: `gen_server:cast/2`,
    /// which doesn't say. [`ServerRef`] has an example.
    pub fn cast(&self, cast: S::Cast) -> bool {
        self.resolve()
            .is_ok_and(|process| process.send_as(cast, ServerItem::Cast, IfFull::Lose).is_ok())
    }

    /// As [`cast`](Self::cast), but gives back what is refused, and says why. OTP has no
    /// counterpart. [`CastError`] has an example.
    ///
    /// # Errors
    ///
    /// [`CastError`], with the message: the server is dead, is being restarted, is full, or
    /// is none of this type.
    pub fn try_cast(&self, cast: S::Cast) -> Result<(), CastError<S::Cast>> {
        let process = match self.resolve() {
            Ok(process) => process,
            Err(reason) => return Err(CastError::new(reason, cast)),
        };
        let sent = process.send_as(cast, ServerItem::Cast, IfFull::GiveBack);
        sent.map(|_| ()).map_err(|(work, refused)| {
            given_back(work, self.refine_error(refused.into(), &process))
        })
    }

    /// Tells the server something; if its mailbox is full, waits for room, however long
    /// that takes. Those who wait are let in in the order they came, calls that wait among
    /// them. A mailbox whose policy is to drop never makes anybody wait, one without a bound
    /// neither. OTP has no counterpart.
    ///
    /// A named handle waits for who holds the name when it is called, and for no successor.
    ///
    /// # Errors
    ///
    /// [`CastError`], with the message: as [`try_cast`](Self::try_cast), but not for being
    /// full. If the server ends while this waits, at once
    /// [`NoProc`](CallError::NoProc), or by name, where it is restarted,
    /// [`Restarting`](CallError::Restarting); from one of its own handlers, which alone could make
    /// room, [`CallingSelf`](CallError::CallingSelf).
    ///
    /// # Cancel safety
    ///
    /// The message is the server's from the moment there is room for it, whether this is
    /// polled by then or not. Dropped before, it takes the message along, and nothing was
    /// told; dropped after, all was. Who must know which, lets it finish.
    ///
    /// ```
    /// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
    /// # use counter::{Call, Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::Overflow;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::spec(0).mailbox_capacity(8, Overflow::Wait).start(&rt).await?;
    /// for _ in 0..1_000 {
    ///     counter.cast_wait(Cast::Add(1)).await?; // at the server's pace
    /// }
    /// assert_eq!(counter.call(Call::Get).await?, 1_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn cast_wait(&self, cast: S::Cast) -> Result<(), CastError<S::Cast>> {
        consume_budget().await;
        let full = match self.try_cast(cast) {
            Err(CastError { reason: CallError::Overloaded, cast }) => cast,
            done => return done,
        };
        let process = match self.resolve() {
            Ok(process) => process,
            Err(reason) => return Err(CastError::new(reason, full)),
        };
        let edge = refuse_self(&process).and_then(|caller| wait_edge(&process, caller));
        let _waits = match edge {
            Ok(edge) => edge,
            Err(reason) => return Err(CastError::new(reason, full)),
        };
        match process.send_or(ServerItem::Cast(full), IfFull::Wait) {
            Ok(Sent::Taken) => Ok(()),
            Ok(Sent::InLine(number)) => {
                let queued_send = QueuedSend::new(process.clone().into_owned(), number);
                queued_send.await.map_err(|work| given_back(work, self.refusal(&process)))
            }
            Err((work, refused)) => {
                Err(given_back(work, self.refine_error(refused.into(), &process)))
            }
        }
    }
}

impl<S: GenServer> ServerRef<S> {
    /// Sends the server something that it asked for itself and that comes once: the end of a pipe or
    /// the result of a task. It is lost only if the server ends. It waits for room; where the
    /// policy of the mailbox is to drop, it is exempt from the bound.
    pub(crate) async fn cast_exempt(&self, cast: S::Cast) {
        let Ok(process) = self.resolve() else { return };
        let drops = process.with_counts(|counts| counts.overflow.drops());
        if drops == Some(true) {
            // A server that is ending needs it no more.
            drop(process.send(ServerItem::Exempt(Box::new(cast))));
        } else {
            drop(self.cast_wait(cast).await);
        }
    }
}

/// The error of a cast that was not taken.
fn given_back<S: GenServer>(work: ServerItem<S>, reason: CallError) -> CastError<S::Cast> {
    match work {
        ServerItem::Cast(cast) => CastError::new(reason, cast),
        _ => unreachable!("a mailbox gives back what it was given"),
    }
}

impl From<Refused> for CallError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Dead => CallError::NoProc,
            Refused::Full => CallError::Overloaded,
        }
    }
}
