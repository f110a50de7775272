//! What outlives a restart.
//!
//! The value lies behind a lock of tokio's, which is held for as long as it is lent out. An
//! incarnation that ends gives it back by being dropped, before its end is told; so the next
//! one finds it there. Whatever happens in between:
//!
//! * *the making fails, panics or is dropped half way*: nothing is kept, and the next use
//!   makes it anew;
//! * *the borrower panics*: its guard is dropped while its thread is panicking, by which it
//!   knows; then the policy decides;
//! * *the borrower is killed*: its guard is dropped as its body is, and the value is as it was
//!   at the await where that happened;
//! * *the supervisor ends, or forgets the child*: its description is dropped, with the last
//!   handle that it holds, and the value with it, once nobody borrows it any more.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::child::stop_signals::reason_of;
use crate::exit::reason::{ExitReason, Result};

type Making<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A value that outlives the incarnations of a child: made once, at its first use, and handed
/// to each of them in turn. A cheap handle, to be captured by the child's closure or arguments;
/// the value lives as long as one of the handles does, so with the description of the child that
/// its supervisor keeps.
///
/// Where a restart would lose something that is costly to get again and can't be at fault: a
/// bound listener, so that no client finds the port closed; a warm cache; a pool of connections.
///
/// | | |
/// |---|---|
/// | [`lend`](Self::lend) | the value itself, until the [`KeepGuard`] is dropped |
/// | [`get`](Self::get) | a clone of it: for an `Arc`, or another cheap handle |
/// | [`reset`](Self::reset) | forget it; the next use makes it anew |
///
/// **When not to use it.** A restart helps because it begins from a state that is known to be
/// good. A value that is kept may be the very one that made the child crash, and then each
/// incarnation crashes at once, until the supervisor gives up. So keep nothing that a message
/// could have spoiled; or drop what was kept after a crash, by
/// [`discard_on_panic`](Self::discard_on_panic) or, where the child knows
/// [why it was started](crate::TaskContext::start_cause), by [`reset`](Self::reset). And what
/// must survive the program belongs into a database.
///
/// OTP: an ETS table whose heir is the supervisor, or one more process that only holds it.
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
///         Ok(Cache(entries.lend().await?)) // given back when this incarnation is dropped
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
/// # .build().unwrap().block_on(async {
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
/// # }).unwrap();
/// ```
///
/// A port that stays open while the server behind it is started again:
///
/// ```
/// use regrow::{ChildSpec, Keep, Runtime, Supervisor};
/// use tokio::net::{TcpListener, TcpStream};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
/// let port = Keep::new(|| TcpListener::bind("127.0.0.1:0"));
/// let server = ChildSpec::task("server", |_| async move {
///     let port = port.lend().await?;
///     told.send(port.local_addr()?)?;
///     let (_client, _) = port.accept().await?;
///     Err("fell over its client")?
/// });
/// let _tree = Supervisor::one_for_one().child(server).start(&rt).await?;
/// let address = hear.recv().await.unwrap();
/// TcpStream::connect(address).await?;
/// assert_eq!(hear.recv().await, Some(address)); // another server behind the same socket
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Keep<T> {
    make: Arc<dyn Fn() -> Making<T> + Send + Sync>,
    slot: Arc<Mutex<Option<T>>>,
    discard_on_panic: bool,
}

impl<T: Send + 'static> Keep<T> {
    /// Keeps what this makes. It is called at the first use, and again after that failed, or
    /// the value was given up. [`Keep`] has an example.
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

    /// Keeps what this makes, at once and without fail. [`Keep`] has an example.
    pub fn with(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Keep::new(move || std::future::ready(Result::<T>::Ok(make())))
    }

    /// Gives the value up when the body that borrows it panics, so that the next incarnation
    /// begins with a new one. By default it stays, as it was at that moment, perhaps half way
    /// through a change. An error that is returned, and a kill, are no panic.
    ///
    /// It goes by the [`KeepGuard`], which must be dropped by the panic. So it does for guards in
    /// a task's or a thread's body. The state of a [`GenServer`](crate::GenServer) outlives the
    /// panic of a handler, for its `terminate`: a server says
    /// [`reset`](Self::reset) in its `init` instead, if it was started after a crash.
    ///
    /// ```
    /// use regrow::{ChildSpec, Keep, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
    /// let pair = Keep::with(|| (0, 0)).discard_on_panic();
    /// let child = ChildSpec::task("child", |ctx| async move {
    ///     let mut pair = pair.lend().await?;
    ///     told.send(*pair)?;
    ///     pair.0 += 1; // both should change together, but …
    ///     assert!(ctx.start_cause().restarts() > 0, "half way");
    ///     std::future::pending().await
    /// });
    /// let _tree = Supervisor::one_for_one().child(child).start(&rt).await?;
    /// assert_eq!((hear.recv().await, hear.recv().await), (Some((0, 0)), Some((0, 0))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use = "this handle and its clones discard, and no others"]
    pub fn discard_on_panic(mut self) -> Self {
        self.discard_on_panic = true;
        self
    }

    /// Borrows the value until the guard is dropped: by hand, or by the end of the incarnation,
    /// however that comes. Makes it first, if there is none. [`Keep`] has an example.
    ///
    /// Waits while it is lent to another. Two children that share one take turns; one that
    /// borrows it twice waits for itself, for ever.
    ///
    /// # Errors
    ///
    /// What the making failed with; `?` makes it the crash of the child. The next use tries
    /// again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, if the making is: a value that is half made is dropped.
    pub async fn lend(&self) -> Result<KeepGuard<T>> {
        let mut slot = Arc::clone(&self.slot).lock_owned().await;
        if slot.is_none() {
            *slot = Some((self.make)().await?);
        }
        Ok(KeepGuard { slot, discard_on_panic: self.discard_on_panic })
    }

    /// A clone of the value, which is made first, if there is none. For handles that are cheap
    /// to clone and mean the same to all who have one: an `Arc`, a pool, a channel's sender.
    ///
    /// Waits while it is [lent](Self::lend) out.
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
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let hits = Keep::with(|| Arc::new(AtomicU32::new(0)));
    /// hits.get().await?.fetch_add(1, Ordering::Relaxed);
    /// assert_eq!(hits.clone().get().await?.load(Ordering::Relaxed), 1);
    ///
    /// hits.reset().await;
    /// assert_eq!(hits.get().await?.load(Ordering::Relaxed), 0);
    /// # Ok::<(), regrow::ExitReason>(())
    /// # }).unwrap();
    /// ```
    pub async fn get(&self) -> Result<T>
    where
        T: Clone,
    {
        self.lend().await.map(|guard| (*guard).clone())
    }

    /// Forgets the value, so that the next use makes it anew. Whether there was one. Waits while
    /// it is [lent](Self::lend) out. [`get`](Self::get) has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped, it has forgotten nothing.
    pub async fn reset(&self) -> bool {
        let value = self.slot.lock().await.take();
        value.is_some()
    }
}

/// A handle to the same value.
impl<T> Clone for Keep<T> {
    fn clone(&self) -> Self {
        let (make, slot) = (Arc::clone(&self.make), Arc::clone(&self.slot));
        Keep { make, slot, discard_on_panic: self.discard_on_panic }
    }
}

/// Whether there is a value, or it is lent out; and nothing of it.
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

/// The loan of a value that is kept: dropped, it is given back. [`Keep`] has an example.
#[must_use = "dropped, it is given back at once"]
pub struct KeepGuard<T> {
    slot: OwnedMutexGuard<Option<T>>,
    discard_on_panic: bool,
}

/// The slot of a guard is filled when it is made, and emptied when it goes.
const LENT: &str = "what is lent out is there";

impl<T> KeepGuard<T> {
    /// Takes the value out instead of giving it back, so that the next use makes it anew.
    ///
    /// ```
    /// use regrow::Keep;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let kept = Keep::with(Vec::new);
    /// kept.lend().await?.push(1);
    /// assert_eq!(kept.lend().await?.take(), [1]);
    /// assert!(kept.lend().await?.is_empty());
    /// # Ok::<(), regrow::ExitReason>(())
    /// # }).unwrap();
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
            // Its own destructor may panic, and a second panic would end the program.
            let value = self.slot.take();
            crate::base::catch::ignore_panic(|| drop(value));
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for KeepGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
