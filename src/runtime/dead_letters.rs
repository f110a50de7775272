//! The stream of dead letters.

use crate::base::sync::atomic::Ordering;
use crate::observe::DeadLetter;
use crate::runtime::Runtime;
use crate::runtime::listener::Listener;

/// A listener for the dead letters of a runtime. [`Runtime::dead_letters`] creates it, and has an
/// example.
///
/// A listener that is more than 1,024 dead letters behind loses the oldest, and
/// [`missed`](Self::missed) counts these.
#[derive(Debug)]
pub struct DeadLetters {
    listener: Listener<DeadLetter>,
}

impl DeadLetters {
    /// Waits for the next dead letter. Returns `None` when the runtime is gone: its last process
    /// has ended and its last handle was dropped. [`Runtime::dead_letters`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has taken no dead letter.
    pub async fn next(&mut self) -> Option<DeadLetter> {
        self.listener.next().await
    }

    /// The number of dead letters that this listener has lost because it was too far behind.
    pub fn missed(&self) -> u64 {
        self.listener.missed()
    }
}

impl Runtime {
    /// Creates a listener for all dead letters from now on: messages, streams, casts and calls that
    /// were sent and will never be handled, each with its kind, its type, its addressee, its sender
    /// if that is known, and the cause. OTP has no counterpart.
    ///
    /// | what happens to the message | |
    /// |---|---|
    /// | A cast, a message, a stream, or the message of a timer to a name is sent to a process or a name that does not exist. | a dead letter |
    /// | One of these is refused by a full mailbox, or by a server that is stopping. | a dead letter |
    /// | A full mailbox drops it, or drops an older message for it; also if that is a call. | a dead letter |
    /// | It is left in the mailbox at the end of its process; also if it is a call. | a dead letter |
    /// | [`try_cast`], [`cast_wait`] or [`cast_timeout`] gives it back, or a call is refused. | none: the sender has the error |
    /// | A sender stops waiting for room, or a timer is cancelled. | none |
    ///
    /// Use it while you look for a message that gets lost, or to count losses by their type. While
    /// there is no listener, a message that is lost costs one load more, and other messages cost
    /// nothing. No process waits for a listener.
    ///
    /// [`try_cast`]: crate::ServerRef::try_cast
    /// [`cast_wait`]: crate::ServerRef::cast_wait
    /// [`cast_timeout`]: crate::ServerRef::cast_timeout
    ///
    /// ```
    /// # use regrow::doc_counter::{Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{DeadLetterCause, MessageKind};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut dead_letters = rt.dead_letters();
    /// let counter = Counter::start(&rt, 0).await?;
    /// let pid = counter.pid();
    /// assert!(counter.cast(Cast::Crash) && counter.cast(Cast::Add(1)));
    /// counter.ended().await;
    /// assert!(!counter.cast(Cast::Add(2)));
    ///
    /// let left = dead_letters.next().await.unwrap();
    /// assert_eq!((left.kind, left.pid), (MessageKind::Cast, pid));
    /// assert_eq!(left.cause, DeadLetterCause::Unhandled); // queued behind the crash
    /// let late = dead_letters.next().await.unwrap();
    /// assert_eq!((late.cause, late.pid), (DeadLetterCause::NoProcess, pid));
    /// assert!(late.message_type.ends_with("Cast"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters { listener: Listener::new(self.kernel.dead_letters.subscribe()) }
    }

    /// The number of messages, streams, casts and calls that processes had accepted and left
    /// unhandled when they ended. [`LifecycleEvent::LeftUnhandled`] has the numbers for one
    /// process, and says what is not counted.
    ///
    /// [`LifecycleEvent::LeftUnhandled`]: crate::LifecycleEvent::LeftUnhandled
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let idle = rt.spawn(|_| std::future::pending());
    /// assert!(rt.send(idle.pid(), b"one".to_vec()) && rt.send(idle.pid(), b"two".to_vec()));
    /// idle.kill();
    /// idle.join().await;
    /// assert_eq!(rt.unhandled_messages(), 2);
    /// # }));
    /// ```
    pub fn unhandled_messages(&self) -> u64 {
        self.kernel.unhandled.load(Ordering::SeqCst)
    }
}
