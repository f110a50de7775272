//! Values that outlive restarts.
//!
//! A tokio mutex protects the value, and a [`KeepGuard`] keeps the mutex locked while the value is
//! lent. When an incarnation ends, its body and the guard in that body are dropped before the end
//! is announced. So the next incarnation finds the mutex unlocked.
//!
//! * *The constructor fails, panics or is dropped*: no value is kept, and the next use calls the
//!   constructor again.
//! * *The borrower panics*: a guard in the body of a task or a thread is dropped while the thread
//!   panics. The guard detects the panic, and drops or keeps the value as `discard_on_panic` says.
//!   A guard in the state of a server is dropped after `terminate` has run, and keeps the value.
//! * *The borrower is killed*: its guard is dropped with its body, and the value stays as it was at
//!   the await where the kill took effect.
//! * *The supervisor ends, or removes the child*: the child's specification is dropped, and the
//!   handle in it. The value is dropped with the last handle or guard.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::exit::{ExitReason, Result, reason_of};

type Making<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A value that outlives the incarnations of a child: constructed at its first use, or given by
/// [`Keep::of`], and lent to
/// each incarnation in turn.
///
/// The `Keep` is a cheap handle that the child's closure or arguments capture. The value lives as
/// long as one of its handles, and so as long as the supervisor keeps the child's specification.
///
/// Use a `Keep` for a value that is expensive to construct again and cannot be the cause of a
/// crash: a bound listener, so that no client finds the port closed; a warm cache; a pool of
/// connections.
///
/// | | |
/// |---|---|
/// | [`lend`](Self::lend) | the value itself, until the [`KeepGuard`] is dropped |
/// | [`get`](Self::get) | a clone of it: for an `Arc`, or another cheap handle |
/// | [`reset`](Self::reset) | drops it; the next use constructs another, except after [`of`](Self::of) |
///
/// **When not to use it.** A restart helps because it begins from a state that is known to be good.
/// If the kept value is what made the child crash, each incarnation crashes at once, until the
/// supervisor gives up. So keep no value that a message could have corrupted, or drop the value
/// after a crash: by [`discard_on_panic`](Self::discard_on_panic), or, where the child checks
/// [why it was started](crate::TaskContext::start_cause), by [`reset`](Self::reset). A value that
/// must survive the program belongs in a database.
///
/// OTP: an ETS table whose heir is the supervisor, or another process that only holds the value.
///
/// # Examples
///
/// A server whose state survives its crashes, in every strategy:
///
/// ```
/// use std::collections::HashMap;
/// use regrow::{GenServer, Keep, KeepGuard, Reply, Result, Runtime, ServerContext};
/// use regrow::{Name, Supervisor};
///
/// type Entries = HashMap<String, String>;
/// struct Cache(KeepGuard<Entries>);
/// enum Call { Get(String, Reply<Option<String>>) }
/// enum Cast { Put(String, String), Crash }
/// const CACHE: Name<Cache> = Name::new("cache");
///
/// impl GenServer for Cache {
///     type Args = Keep<Entries>;
///     type Call = Call;
///     type Cast = Cast;
///
///     async fn init(entries: Keep<Entries>, _: &mut ServerContext<Self>) -> Result<Self> {
///         Ok(Cache(entries.lend().await?)) // returned when this incarnation is dropped
///     }
///
///     async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
///         let Call::Get(key, reply) = call;
///         reply.send(self.0.get(&key).cloned());
///         Ok(())
///     }
///
///     async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
///         match cast {
///             Cast::Put(key, value) => drop(self.0.insert(key, value)),
///             Cast::Crash => panic!("as asked"),
///         }
///         Ok(())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let child = Cache::child(Keep::with(HashMap::new)).named(CACHE);
/// let _tree = Supervisor::one_for_one().child(child).start(&rt).await?;
/// let cache = rt.server(CACHE);
/// cache.cast(Cast::Put("milk".into(), "3".into()));
/// cache.cast(Cast::Crash);
/// # let old = rt.whereis("cache");
/// # while rt.whereis("cache").is_none() || rt.whereis("cache") == old {
/// #     tokio::task::yield_now().await;
/// # }
/// let milk = cache.call(|reply| Call::Get("milk".into(), reply)).await?;
/// assert_eq!(milk.as_deref(), Some("3"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
///
/// A port that stays open while the server behind it is restarted:
///
/// ```
/// use regrow::{ChildSpec, Keep, Runtime, Supervisor};
/// use tokio::net::{TcpListener, TcpStream};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
/// let port = Keep::new(|| TcpListener::bind("127.0.0.1:0"));
/// let server = ChildSpec::task("server", |_| async move {
///     let port = port.lend().await?;
///     sender.send(port.local_addr()?)?;
///     let (_client, _) = port.accept().await?;
///     Err("the client sent nonsense")?
/// });
/// let _tree = Supervisor::one_for_one().child(server).start(&rt).await?;
/// let address = receiver.recv().await.unwrap();
/// TcpStream::connect(address).await?;
/// assert_eq!(receiver.recv().await, Some(address)); // the next incarnation, with the same socket
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct Keep<T> {
    make: Arc<dyn Fn() -> Making<T> + Send + Sync>,
    slot: Arc<Mutex<Option<T>>>,
    discard_on_panic: bool,
}

impl<T: Send + 'static> Keep<T> {
    /// Makes a handle to a value that `make` constructs. `make` is called at the first use, and at
    /// the next use after `make` has failed or the value was dropped or [taken](KeepGuard::take).
    /// [`Keep`] has an example.
    pub fn new<F, Fut, E>(make: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<ExitReason> + 'static,
    {
        let make = move || -> Making<T> {
            let making = make();
            Box::pin(async move { making.await.map_err(reason_of) })
        };
        Keep { make: Arc::new(make), slot: Arc::default(), discard_on_panic: false }
    }

    /// Makes a handle to a value that `make` constructs without waiting and without an error.
    /// [`Keep`] has an example.
    pub fn with(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Keep::new(move || std::future::ready(Result::<T>::Ok(make())))
    }

    /// Makes a handle to a value that exists already: a socket that the program inherited, or the
    /// receiver of a channel. The value can't be constructed again: after the value was dropped, by
    /// [`reset`](Self::reset) or [`discard_on_panic`](Self::discard_on_panic), or taken by
    /// [`KeepGuard::take`], each use returns an error.
    ///
    /// ```
    /// use regrow::{ChildSpec, Keep, Runtime, Supervisor};
    /// use tokio::sync::mpsc::unbounded_channel;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (requests, receiver) = unbounded_channel();
    /// let (answers, mut answered) = unbounded_channel();
    /// let receiver = Keep::of(receiver);
    /// let worker = ChildSpec::task("worker", |_| async move {
    ///     let mut receiver = receiver.lend().await?;
    ///     while let Some(n) = receiver.recv().await {
    ///         answers.send(100 / n)?; // a crash loses one request, but not the channel
    ///     }
    ///     Ok(())
    /// });
    /// let _tree = Supervisor::one_for_one().child(worker).start(&rt).await?;
    /// for n in [0, 5] {
    ///     requests.send(n)?;
    /// }
    /// assert_eq!(answered.recv().await, Some(20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn of(value: T) -> Self {
        let gone = "the value that was given to `Keep::of` has been dropped, and there is no other";
        let keep = Keep::new(move || std::future::ready(Err(gone)));
        Keep { slot: Arc::new(Mutex::new(Some(value))), ..keep }
    }

    /// Drops the value when the body that borrows it panics, so that the next incarnation gets a
    /// new one. By default the value stays as it was at the panic, perhaps in the middle of a
    /// change. A returned error and a kill do not count as panics.
    ///
    /// The panic must drop the [`KeepGuard`]. A panic in the body of a task or a thread drops a
    /// guard in that body. A panic in a handler of a [`GenServer`](crate::GenServer) does not drop
    /// the server's state, which lives until `terminate` has run. So a server calls
    /// [`reset`](Self::reset) in its `init` instead, if it was started after a crash.
    ///
    /// ```
    /// use regrow::{ChildSpec, Keep, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    /// let pair = Keep::with(|| (0, 0)).discard_on_panic();
    /// let child = ChildSpec::task("child", |ctx| async move {
    ///     let mut pair = pair.lend().await?;
    ///     sender.send(*pair)?;
    ///     pair.0 += 1; // both should change together, but …
    ///     assert!(ctx.start_cause().restarts() > 0, "half way");
    ///     std::future::pending().await
    /// });
    /// let _tree = Supervisor::one_for_one().child(child).start(&rt).await?;
    /// assert_eq!((receiver.recv().await, receiver.recv().await), (Some((0, 0)), Some((0, 0))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    #[must_use = "this handle and its clones discard, and no others"]
    pub fn discard_on_panic(mut self) -> Self {
        self.discard_on_panic = true;
        self
    }

    /// Borrows the value until the guard is dropped. The end of the incarnation drops a guard in
    /// the child's body or state. Constructs the value first, if there is none. [`Keep`] has an
    /// example.
    ///
    /// Waits while the value is lent to another borrower. Children that share a value use it in
    /// turn. A child that calls `lend` while it still holds the guard waits for ever.
    ///
    /// # Errors
    ///
    /// The error of the constructor, as an exit reason: a child that returns it by `?` ends with
    /// this reason. The next use calls the constructor again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe if the constructor is: dropping the future drops an unfinished construction.
    pub async fn lend(&self) -> Result<KeepGuard<T>> {
        let mut slot = Arc::clone(&self.slot).lock_owned().await;
        if slot.is_none() {
            *slot = Some((self.make)().await?);
        }
        Ok(KeepGuard { slot, discard_on_panic: self.discard_on_panic })
    }

    /// Returns a clone of the value. Constructs the value first, if there is none. Use this for
    /// shared handles that are cheap to clone: an `Arc`, a pool, a channel's sender.
    ///
    /// Waits while the value is [lent](Self::lend).
    ///
    /// # Errors
    ///
    /// As [`lend`](Self::lend).
    ///
    /// # Cancel safety
    ///
    /// As [`lend`](Self::lend).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use regrow::Keep;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let hits = Keep::with(|| Arc::new(AtomicU32::new(0)));
    /// hits.get().await?.fetch_add(1, Ordering::Relaxed);
    /// assert_eq!(hits.clone().get().await?.load(Ordering::Relaxed), 1);
    ///
    /// hits.reset().await;
    /// assert_eq!(hits.get().await?.load(Ordering::Relaxed), 0);
    /// # Ok::<(), regrow::ExitReason>(())
    /// # })).unwrap();
    /// ```
    pub async fn get(&self) -> Result<T>
    where
        T: Clone,
    {
        self.lend().await.map(|guard| (*guard).clone())
    }

    /// Drops the value, so that the next use constructs another. Returns whether there was a value.
    /// Waits while the value is [lent](Self::lend). [`get`](Self::get) has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future leaves the value as it is.
    pub async fn reset(&self) -> bool {
        let value = self.slot.lock().await.take();
        value.is_some()
    }

    /// Drops the value, unless it is lent out. Returns whether it dropped one.
    #[cfg(feature = "net")]
    pub(crate) fn reset_unless_lent(&self) -> bool {
        let value = self.slot.try_lock().ok().and_then(|mut slot| slot.take());
        value.is_some()
    }
}

/// The clone is a handle to the same value.
impl<T> Clone for Keep<T> {
    fn clone(&self) -> Self {
        let (make, slot) = (Arc::clone(&self.make), Arc::clone(&self.slot));
        Keep { make, slot, discard_on_panic: self.discard_on_panic }
    }
}

/// Shows whether there is a value and whether it is lent. Does not show the value.
impl<T> fmt::Debug for Keep<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.slot.try_lock().map(|slot| slot.is_some()) {
            Ok(true) => "made",
            Ok(false) => "not made",
            Err(_) => "lent out",
        };
        f.debug_struct("Keep").field("state", &state).finish_non_exhaustive()
    }
}

/// A guard through which a kept value is borrowed. Dropping the guard returns the value. [`Keep`]
/// has an example.
#[must_use = "dropping the guard returns the value at once"]
pub struct KeepGuard<T> {
    slot: OwnedMutexGuard<Option<T>>,
    discard_on_panic: bool,
}

/// A guard's slot holds the value from the construction of the guard until `take` or the drop of
/// the guard.
const LENT: &str = "the slot of a guard holds the value";

impl<T> KeepGuard<T> {
    /// Takes the value out of the [`Keep`] and returns it. The next use constructs another value.
    ///
    /// ```
    /// use regrow::Keep;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let kept = Keep::with(Vec::new);
    /// kept.lend().await?.push(1);
    /// assert_eq!(kept.lend().await?.take(), [1]);
    /// assert!(kept.lend().await?.is_empty());
    /// # Ok::<(), regrow::ExitReason>(())
    /// # })).unwrap();
    /// ```
    pub fn take(mut self) -> T {
        self.slot.take().expect(LENT)
    }
}

impl<T> Deref for KeepGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.slot.as_ref().expect(LENT)
    }
}

impl<T> DerefMut for KeepGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.slot.as_mut().expect(LENT)
    }
}

impl<T> Drop for KeepGuard<T> {
    fn drop(&mut self) {
        if self.discard_on_panic && std::thread::panicking() {
            // The value's destructor may panic. During an unwind, a panic that leaves `drop` aborts
            // the program.
            let value = self.slot.take();
            crate::base::user_panics::ignore_panic(|| drop(value));
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for KeepGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
