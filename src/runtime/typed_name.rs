//! A name with the type of the server that holds it.

use std::fmt;
use std::marker::PhantomData;

use crate::base::SharedStr;
use crate::message::Dest;

/// The name of a server of type `S`: a constant that the server and its callers share. OTP: a
/// registered name.
///
/// [`Runtime::server`](crate::Runtime::server) makes a handle from a name. Each call through that
/// handle looks up the process that holds the name, so the handle stays valid across restarts. Each
/// call also checks that the process is an `S`.
///
/// While no process handles calls under the name, calls fail at once: with
/// [`Restarting`](crate::CallError::Restarting) if the holder's supervisor will start a successor,
/// and otherwise with [`NoProc`](crate::CallError::NoProc).
///
/// # Examples
///
/// Do not look a process up once and keep its pid. A pid refers to one incarnation, so messages to
/// it are lost after a restart. Keep the name:
///
/// ```
/// # use regrow::doc_counter::{Call, Counter};
/// # use regrow::{GenServer, Runtime};
/// use regrow::{Name, Supervisor};
///
/// const COUNTER: Name<Counter> = Name::new("counter");
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let tree = Supervisor::one_for_one().child(Counter::child(0).named(COUNTER)).start(&rt).await?;
///
/// // Wrong.
/// let pid = rt.whereis("counter").unwrap();
/// let ended = rt.ended(pid);
/// rt.kill(pid);
/// ended.await;
/// tree.count_children().await?; // returns after the restart
/// assert!(!rt.send(pid, b"hello".to_vec()));
///
/// // Right.
/// let counter = rt.server(COUNTER);
/// assert_eq!(counter.call(Call::Get).await?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct Name<S> {
    text: &'static str,
    server: PhantomData<fn() -> S>,
}

impl<S> Name<S> {
    /// Creates a name with this text. This does not register a process. Two names with the same
    /// text are the same name.
    ///
    /// ```
    /// use regrow::Name;
    ///
    /// struct Cache;
    /// const CACHE: Name<Cache> = Name::new("cache");
    /// assert_eq!(CACHE.as_str(), "cache");
    /// ```
    pub const fn new(text: &'static str) -> Self {
        Name { text, server: PhantomData }
    }

    /// The text. [`new`](Self::new) has an example.
    pub const fn as_str(self) -> &'static str {
        self.text
    }
}

impl<S> Clone for Name<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Name<S> {}

impl<S> fmt::Debug for Name<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({:?})", self.text)
    }
}

impl<S> fmt::Display for Name<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text)
    }
}

impl<S> From<Name<S>> for String {
    fn from(name: Name<S>) -> Self {
        name.text.to_owned()
    }
}

impl<S> From<Name<S>> for SharedStr {
    fn from(name: Name<S>) -> Self {
        name.text.into()
    }
}

impl<S> From<Name<S>> for Dest {
    fn from(name: Name<S>) -> Self {
        Dest::Name(name.into())
    }
}
