//! Typed names.

use std::fmt;
use std::marker::PhantomData;

use crate::base::shared_str::SharedStr;
use crate::message::dest::Dest;

/// The name of a server of type `S`: a constant that both sides share.
///
/// [`Runtime::server`](crate::Runtime::server) turns it into a handle that reaches
/// whoever holds the name at the time of each call, so it lives through restarts. That
/// the holder really is an `S` is checked at each call. OTP: a registered name.
///
/// While nobody takes calls under the name, they fail at once: with
/// [`Restarting`](crate::CallError::Restarting) if the holder's supervisor will start a
/// successor, else with [`NoProc`](crate::CallError::NoProc).
///
/// # Examples
///
/// It is tempting to look a process up once and keep its pid. A pid is one incarnation;
/// after a restart nobody is there any more. Keep the name:
///
/// ```
/// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
/// # use counter::{Call, Counter};
/// # use regrow::{GenServer, Runtime};
/// use regrow::{Name, Supervisor};
///
/// const COUNTER: Name<Counter> = Name::new("counter");
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let tree = Supervisor::one_for_one().child(Counter::child(0).named(COUNTER)).start(&rt).await?;
///
/// // Wrong.
/// let pid = rt.whereis("counter").unwrap();
/// let ended = rt.ended(pid);
/// rt.kill(pid);
/// ended.await;
/// tree.count_children().await?; // answered after the restart
/// assert!(!rt.send(pid, b"hello".to_vec()));
///
/// // Right.
/// let counter = rt.server(COUNTER);
/// assert_eq!(counter.call(Call::Get).await?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Name<S> {
    text: &'static str,
    server: PhantomData<fn() -> S>,
}

impl<S> Name<S> {
    /// A name of this text. It holds nothing and registers nobody; two names of one text are
    /// the same name.
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
