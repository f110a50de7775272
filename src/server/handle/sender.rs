//! Handles by message type, for code that must not know the server's type.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::base::Pid;
use crate::call::Reply;
use crate::runtime::{CallError, Ended};
use crate::server::{CALL_TIMEOUT, GenServer, ServerRef};

/// A handle to a server of any type that accepts an `M` as a cast. A sender is cheap to clone;
/// dropping it does not affect the server.
///
/// [`ServerRef::sender`] makes a sender from a handle and a function from `M` to the server's cast.
/// The sender reaches the process that the handle reaches: one incarnation, or, by a named handle,
/// the process that holds the name at each send. Code that knows the server's type should use
/// [`ServerRef::cast`], which saves an indirect call.
///
/// OTP has no counterpart: there any pid accepts any message.
///
/// # Examples
///
/// An alarm clock that rings for servers of any type:
///
/// ```
/// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
/// # use std::time::Duration;
/// # use tokio::time::sleep;
/// use regrow::Sender;
///
/// struct Rang(u32);
///
/// /// Knows nothing of the types of the servers.
/// async fn ring(after: Duration, bells: Vec<Sender<Rang>>) {
///     sleep(after).await;
///     for bell in &bells {
///         bell.send(Rang(7));
///     }
/// }
///
/// struct Sleeper(Vec<u32>);
/// enum Cast {
///     Rang(Rang),
/// }
/// struct Cook(Vec<String>);
/// enum Timed {
///     Done(String),
/// }
/// # impl GenServer for Sleeper {
/// #     type Args = ();
/// #     type Call = Reply<Vec<u32>>;
/// #     type Cast = Cast;
/// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> { Ok(Sleeper(vec![])) }
/// #     async fn handle_call(&mut self, r: Self::Call, _: &mut ServerContext<Self>) -> Result {
/// #         r.send(self.0.clone());
/// #         Ok(())
/// #     }
/// #     async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
/// #         let Cast::Rang(Rang(hour)) = cast;
/// #         self.0.push(hour);
/// #         Ok(())
/// #     }
/// # }
/// # impl GenServer for Cook {
/// #     type Args = ();
/// #     type Call = Reply<Vec<String>>;
/// #     type Cast = Timed;
/// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> { Ok(Cook(vec![])) }
/// #     async fn handle_call(&mut self, r: Self::Call, _: &mut ServerContext<Self>) -> Result {
/// #         r.send(self.0.clone());
/// #         Ok(())
/// #     }
/// #     async fn handle_cast(&mut self, cast: Timed, _: &mut ServerContext<Self>) -> Result {
/// #         let Timed::Done(what) = cast;
/// #         self.0.push(what);
/// #         Ok(())
/// #     }
/// # }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let (sleeper, cook) = (Sleeper::start(&rt, ()).await?, Cook::start(&rt, ()).await?);
/// let wake = sleeper.sender(Cast::Rang); // the variant says how an M becomes a cast
/// let done = cook.sender(|Rang(hour)| Timed::Done(format!("eggs, at {hour}")));
/// ring(Duration::from_secs(60), vec![wake, done]).await;
/// assert_eq!(sleeper.call(|reply| reply).await?, [7]);
/// assert_eq!(cook.call(|reply| reply).await?, ["eggs, at 7"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct Sender<M> {
    target: Arc<dyn CastTarget<M>>,
}

/// A handle to a server of any type that answers an `M` with a `T`: a [`Sender`] for calls.
///
/// Each call boxes its future, which is one allocation more than [`ServerRef::call`] makes.
///
/// # Examples
///
/// ```
/// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
/// use regrow::{CallError, Caller};
///
/// /// Needs prices, from a server of any type.
/// async fn total(prices: &Caller<&'static str, u32>) -> Result<u32, CallError> {
///     Ok(prices.call("milk").await? + prices.call("bread").await?)
/// }
///
/// struct Shop;
/// enum Call {
///     Price { of: &'static str, reply: Reply<u32> },
/// }
/// # impl GenServer for Shop {
/// #     type Args = ();
/// #     type Call = Call;
/// #     type Cast = ();
/// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> { Ok(Shop) }
/// #     async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
/// #         let Call::Price { of, reply } = call;
/// #         reply.send(of.len() as u32);
/// #         Ok(())
/// #     }
/// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result { Ok(()) }
/// # }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let shop = Shop::start(&rt, ()).await?;
/// let prices = shop.caller(|of, reply| Call::Price { of, reply });
/// assert_eq!(total(&prices).await?, 9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct Caller<M, T> {
    target: Arc<dyn CallTarget<M, T>>,
}

type BoxedCall<'a, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'a>>;

/// A server that accepts an `M` as a cast.
trait CastTarget<M>: Send + Sync + fmt::Debug {
    fn pid(&self) -> Option<Pid>;
    fn ended(&self) -> Ended;
    fn take(&self, message: M) -> bool;
    fn bound(self: Arc<Self>) -> Option<(Pid, SendToProcess<M>)>;
}

/// Sends to one process, also if another one has its name by now.
pub(crate) type SendToProcess<M> = Box<dyn Fn(M) -> bool + Send + Sync>;

/// A server that answers an `M` with a `T`.
trait CallTarget<M, T>: Send + Sync + fmt::Debug {
    fn pid(&self) -> Option<Pid>;
    fn ended(&self) -> Ended;
    fn ask(&self, message: M, limit: Duration) -> BoxedCall<'_, T>;
}

/// A handle, and the function that turns an `M` into a message for that handle.
struct Mapped<To, F> {
    to: To,
    make: F,
}

impl<S: GenServer> ServerRef<S> {
    /// Returns a handle that accepts an `M`. `make` turns the `M` into a cast; usually `make` is
    /// the variant itself. [`Sender`] has an example.
    pub fn sender<M: Send + 'static>(
        &self,
        make: impl Fn(M) -> S::Cast + Send + Sync + 'static,
    ) -> Sender<M> {
        Sender { target: Arc::new(Mapped { to: self.clone(), make }) }
    }

    /// Returns a handle by which the server answers an `M` with a `T`. `make` turns the `M` and the
    /// reply into a call. [`Caller`] has an example.
    pub fn caller<M: Send + 'static, T: Send + 'static>(
        &self,
        make: impl Fn(M, Reply<T>) -> S::Call + Send + Sync + 'static,
    ) -> Caller<M, T> {
        Caller { target: Arc::new(Mapped { to: self.clone(), make }) }
    }
}

impl<M: Send + 'static> Sender<M> {
    /// Sends the message and doesn't wait. Returns the result of [`ServerRef::cast`]: if it is
    /// false, the message was dropped. [`Sender`] has an example.
    pub fn send(&self, message: M) -> bool {
        self.target.take(message)
    }

    /// Returns the pid of the server, as [`ServerRef::pid`] does: a server can monitor the process
    /// behind a sender.
    ///
    /// ```
    /// # use regrow::doc_counter::{Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{ExitReason, Sender};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::start(&rt, 0).await?;
    /// let more: Sender<u64> = counter.sender(Cast::Add);
    /// assert_eq!(more.pid(), counter.pid());
    ///
    /// let ended = more.ended();
    /// counter.stop(ExitReason::Normal).await?;
    /// assert_eq!(ended.await, ExitReason::Normal);
    /// assert!(!more.send(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn pid(&self) -> Option<Pid> {
        self.target.pid()
    }

    /// Resolves with the exit reason of the server when the server has ended, as
    /// [`ServerRef::ended`] does. [`pid`](Self::pid) has an example.
    pub fn ended(&self) -> Ended {
        self.target.ended()
    }

    /// Returns a handle that accepts an `N`, which `make` turns into an `M`.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// # struct Sum(u64);
    /// # impl GenServer for Sum {
    /// #     type Args = ();
    /// #     type Call = Reply<u64>;
    /// #     type Cast = u64;
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> { Ok(Sum(0)) }
    /// #     async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(self.0);
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, n: u64, _: &mut ServerContext<Self>) -> Result {
    /// #         self.0 += n;
    /// #         Ok(())
    /// #     }
    /// # }
    /// use regrow::Sender;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let sum = Sum::start(&rt, ()).await?;
    /// let wide: Sender<u64> = sum.sender(|n| n);
    /// let narrow: Sender<u8> = wide.map(u64::from);
    /// assert!(narrow.send(7) && wide.send(70));
    /// assert_eq!(sum.call(|reply| reply).await?, 77);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn map<N: Send + 'static>(
        &self,
        make: impl Fn(N) -> M + Send + Sync + 'static,
    ) -> Sender<N> {
        Sender { target: Arc::new(Mapped { to: self.clone(), make }) }
    }
}

impl<M> Sender<M> {
    /// Returns the process that a send made now would reach, and what sends to that process. Returns
    /// `None` if there is no such process.
    pub(crate) fn bound(&self) -> Option<(Pid, SendToProcess<M>)> {
        self.target.clone().bound()
    }
}

impl<M: Send + 'static, T: Send + 'static> Caller<M, T> {
    /// Returns the pid of the server, as [`ServerRef::pid`] does. [`Sender::pid`] has an example.
    pub fn pid(&self) -> Option<Pid> {
        self.target.pid()
    }

    /// Resolves with the exit reason of the server when the server has ended, as
    /// [`ServerRef::ended`] does. [`Sender::pid`] has an example.
    pub fn ended(&self) -> Ended {
        self.target.ended()
    }

    /// Calls the server, and waits up to five seconds for the answer, as [`ServerRef::call`] does.
    /// [`Caller`] has an example.
    ///
    /// # Errors
    ///
    /// As [`ServerRef::call`].
    ///
    /// # Cancel safety
    ///
    /// As [`ServerRef::call`].
    pub async fn call(&self, message: M) -> Result<T, CallError> {
        self.call_timeout(message, CALL_TIMEOUT).await
    }

    /// Calls the server, and waits up to `limit` for the answer, as [`ServerRef::call_timeout`]
    /// does.
    ///
    /// # Errors
    ///
    /// As [`ServerRef::call`].
    ///
    /// # Cancel safety
    ///
    /// As [`ServerRef::call`].
    pub async fn call_timeout(&self, message: M, limit: Duration) -> Result<T, CallError> {
        self.target.ask(message, limit).await
    }
}

impl<S, M, F> CastTarget<M> for Mapped<ServerRef<S>, F>
where
    S: GenServer,
    F: Fn(M) -> S::Cast + Send + Sync + 'static,
{
    fn pid(&self) -> Option<Pid> {
        self.to.pid()
    }

    fn ended(&self) -> Ended {
        self.to.ended()
    }

    fn take(&self, message: M) -> bool {
        self.to.cast((self.make)(message))
    }

    fn bound(self: Arc<Self>) -> Option<(Pid, SendToProcess<M>)> {
        let process = self.to.resolve().ok()?.into_owned();
        let (pid, to) = (process.pid(), ServerRef::direct(process));
        Some((pid, Box::new(move |message| to.cast((self.make)(message)))))
    }
}

impl<N, M, F> CastTarget<N> for Mapped<Sender<M>, F>
where
    M: Send + 'static,
    F: Fn(N) -> M + Send + Sync + 'static,
{
    fn pid(&self) -> Option<Pid> {
        self.to.pid()
    }

    fn ended(&self) -> Ended {
        self.to.ended()
    }

    fn take(&self, message: N) -> bool {
        self.to.send((self.make)(message))
    }

    fn bound(self: Arc<Self>) -> Option<(Pid, SendToProcess<N>)> {
        let (pid, send) = self.to.bound()?;
        Some((pid, Box::new(move |message| send((self.make)(message)))))
    }
}

impl<S, M, T, F> CallTarget<M, T> for Mapped<ServerRef<S>, F>
where
    S: GenServer,
    M: Send + 'static,
    T: Send + 'static,
    F: Fn(M, Reply<T>) -> S::Call + Send + Sync,
{
    fn pid(&self) -> Option<Pid> {
        self.to.pid()
    }

    fn ended(&self) -> Ended {
        self.to.ended()
    }

    fn ask(&self, message: M, limit: Duration) -> BoxedCall<'_, T> {
        Box::pin(self.to.call_timeout(move |reply| (self.make)(message, reply), limit))
    }
}

impl<M> Clone for Sender<M> {
    fn clone(&self) -> Self {
        Sender { target: self.target.clone() }
    }
}

impl<M, T> Clone for Caller<M, T> {
    fn clone(&self) -> Self {
        Caller { target: self.target.clone() }
    }
}

impl<To: fmt::Debug, F> fmt::Debug for Mapped<To, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to.fmt(f)
    }
}

/// Shows the handle from which the sender was made.
impl<M> fmt::Debug for Sender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({:?})", self.target)
    }
}

impl<M, T> fmt::Debug for Caller<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({:?})", self.target)
    }
}
