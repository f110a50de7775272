//! The stash of a server: [`mailbox::stash`](crate::mailbox::stash) has the guarantees.
//!
//! An item is put aside with all that it was queued with. Each item keeps the metadata of its
//! sender. A call also keeps the limit of its caller, and the slot of its caller if the server
//! keeps its queue. The loop handles an item that was taken back as any queued item, so a server
//! that has no stash executes no code for stashes.

use crate::call::Reply;
use crate::mailbox::{CallerWaits, Item, Stash};
use crate::message::{Envelope, Received};
use crate::process::AnyProcess;
use crate::runtime::StashFull;
use crate::server::item::{KeptCall, LimitedCall};
use crate::server::{GenServer, ServerContext, ServerItem};

impl<S: GenServer> ServerContext<S> {
    /// Puts aside the call that is being handled, to handle it later: after
    /// [`unstash_all`](Self::unstash_all) or [`unstash`](Self::unstash), `handle_call` receives it
    /// again, with the metadata of its sender and the deadline of its caller. Use this in a server
    /// that cannot handle a request yet, for example until it is connected. To keep a call that
    /// only needs its answer later, store its [`Reply`]. OTP: `postpone` of `gen_statem`, which
    /// takes everything back at each change of the state. Akka: `stash()`.
    ///
    /// * The caller waits on, up to its time limit. A call whose caller has given up is still
    ///   received again, as any queued call is. A call that was put aside by
    ///   [`stash_awaited`](Self::stash_awaited) is dropped in this case.
    /// * When the server ends, the calls of the stash get [`Exited`](crate::CallError::Exited) with the
    ///   reason, and all items are counted as left
    ///   [unhandled](crate::LifecycleEvent::LeftUnhandled). A server that
    ///   [keeps its queue](crate::ChildSpec::keep_queue) leaves its stash to its successor, in front of
    ///   the queue.
    /// * A request to stop takes nothing back, not even with a [drain](Self::drain_on_stop). Items
    ///   that a handler takes back before the server takes the request are handled.
    /// * In a mailbox with a bound, the items of the stash count in
    ///   [`ProcessInfo::mailbox_depth`](crate::ProcessInfo::mailbox_depth), and not towards the
    ///   bound. So a full stash does not prevent the arrival of the message that the server waits
    ///   for.
    ///
    /// # Errors
    ///
    /// [`StashFull`] with the call if the stash holds [as many items as it
    /// may](Self::stash_capacity). A call that is then dropped gets
    /// [`NoReply`](crate::CallError::NoReply).
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// struct Database {
    ///     rows: Option<u32>,
    /// }
    ///
    /// # impl GenServer for Database {
    /// #     type Args = ();
    /// #     type Call = Reply<u32>;
    /// #     type Cast = u32;
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Database { rows: None })
    /// #     }
    /// // … of its `GenServer`: requests wait until the connection is there.
    /// async fn handle_call(&mut self, call: Reply<u32>, ctx: &mut ServerContext<Self>) -> Result {
    ///     match self.rows {
    ///         None => ctx.stash_call(call).map_err(|full| full.to_string())?,
    ///         Some(rows) => call.send(rows),
    ///     }
    ///     Ok(())
    /// }
    /// async fn handle_cast(&mut self, connected: u32, ctx: &mut ServerContext<Self>) -> Result {
    ///     self.rows = Some(connected);
    ///     ctx.unstash_all();
    ///     Ok(())
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let database = Database::start(&rt, ()).await?;
    /// let (rows, _) = tokio::join!(database.call(|reply| reply), async { database.cast(7) });
    /// assert_eq!(rows?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn stash_call(&mut self, call: S::Call) -> Result<(), StashFull<S::Call>> {
        if let Some(capacity) = self.stash_is_full() {
            return Err(StashFull::new(call, capacity));
        }
        self.put_call_aside(call, None);
        Ok(())
    }

    /// Puts a call aside as [`stash_call`](Self::stash_call) does. If its caller does not wait any
    /// more when the call is taken back, the call is dropped and no handler receives it. `make` makes
    /// the call from its reply; usually it is the variant itself.
    ///
    /// # Errors
    ///
    /// As [`stash_call`](Self::stash_call), with the reply. `make` did not run.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// # struct Printer { has_paper: bool }
    /// enum Call {
    ///     Print { page: u32, done: Reply<()> },
    /// }
    ///
    /// # impl GenServer for Printer {
    /// #     type Args = ();
    /// #     type Call = Call;
    /// #     type Cast = ();
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Printer { has_paper: false })
    /// #     }
    /// // … of its `GenServer`:
    /// async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
    ///     let Call::Print { page, done } = call;
    ///     if self.has_paper {
    ///         done.send(());
    ///     } else if let Err(full) = ctx.stash_awaited(done, |done| Call::Print { page, done }) {
    ///         drop(full.message); // the caller gets `NoReply`
    ///     }
    ///     Ok(())
    /// }
    /// #     async fn handle_cast(&mut self, (): (), ctx: &mut ServerContext<Self>) -> Result {
    /// #         self.has_paper = true;
    /// #         assert_eq!(ctx.unstash_all(), 1);
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let printer = Printer::start(&rt, ()).await?;
    /// let impatient = printer.call(|done| Call::Print { page: 1, done });
    /// assert!(impatient.await.is_err()); // after five seconds; page 1 is never printed
    /// let (printed, _) = tokio::join!(
    ///     printer.call(|done| Call::Print { page: 2, done }),
    ///     async { printer.cast(()) } // paper
    /// );
    /// assert_eq!(printed, Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn stash_awaited<T: Send + 'static>(
        &mut self,
        reply: Reply<T>,
        make: impl FnOnce(Reply<T>) -> S::Call,
    ) -> Result<(), StashFull<Reply<T>>> {
        if let Some(capacity) = self.stash_is_full() {
            return Err(StashFull::new(reply, capacity));
        }
        let caller = reply.caller_waits();
        self.put_call_aside(make(reply), caller);
        Ok(())
    }

    /// Puts the cast aside that is being handled, as [`stash_call`](Self::stash_call) does with a call.
    /// `handle_cast` receives it again.
    ///
    /// # Errors
    ///
    /// As [`stash_call`](Self::stash_call), with the cast.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// #[derive(Default)]
    /// struct Player {
    ///     plays: bool,
    ///     played: Vec<u32>,
    /// }
    /// enum Cast {
    ///     Start,
    ///     Play(u32),
    /// }
    ///
    /// # impl GenServer for Player {
    /// #     type Args = ();
    /// #     type Call = Reply<Vec<u32>>;
    /// #     type Cast = Cast;
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Player::default())
    /// #     }
    /// #     async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(self.played.clone());
    /// #         Ok(())
    /// #     }
    /// // … of its `GenServer`:
    /// async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
    ///     match cast {
    ///         Cast::Start => {
    ///             self.plays = true;
    ///             ctx.unstash_all();
    ///         }
    ///         early @ Cast::Play(_) if !self.plays => ctx.stash_cast(early)?,
    ///         Cast::Play(song) => self.played.push(song),
    ///     }
    ///     Ok(())
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let player = Player::start(&rt, ()).await?;
    /// for cast in [Cast::Play(1), Cast::Play(2), Cast::Start, Cast::Play(3)] {
    ///     player.cast(cast);
    /// }
    /// assert_eq!(player.call(|reply| reply).await?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn stash_cast(&mut self, cast: S::Cast) -> Result<(), StashFull<S::Cast>> {
        if let Some(capacity) = self.stash_is_full() {
            return Err(StashFull::new(cast, capacity));
        }
        self.put_aside(ServerItem::Cast(cast), None);
        Ok(())
    }

    /// Puts the message, stream or signal aside that `handle_info` is handling, as
    /// [`stash_call`](Self::stash_call) does with a call. `handle_info` receives it again.
    /// [`stash_cast`](Self::stash_cast) has an example.
    ///
    /// # Errors
    ///
    /// As [`stash_call`](Self::stash_call), with the message.
    pub fn stash_info(&mut self, info: Received) -> Result<(), StashFull<Received>> {
        if let Some(capacity) = self.stash_is_full() {
            return Err(StashFull::new(info, capacity));
        }
        self.put_aside(ServerItem::from_envelope(Envelope::plain(info)), None);
        Ok(())
    }

    /// Takes back the oldest `count` items of the stash, or all if there are fewer. After this
    /// handler the server handles these items in the order in which they were put aside. They come
    /// after the casts that were given to [`continue_with`](Self::continue_with), before all queued
    /// items, and before items that an earlier call has taken back. Returns the number of items
    /// that were taken back. Akka: `unstash()`.
    ///
    /// Items that were taken back count towards the bound of the mailbox again. They may exceed the
    /// bound: no overflow policy drops them.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// /// Lends out licences, in the order of the requests.
    /// struct Licences {
    ///     free: u32,
    /// }
    ///
    /// # impl GenServer for Licences {
    /// #     type Args = u32;
    /// #     type Call = Reply<()>;
    /// #     type Cast = ();
    /// #     async fn init(free: u32, _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Licences { free })
    /// #     }
    /// // … of its `GenServer`:
    /// async fn handle_call(&mut self, lent: Reply<()>, ctx: &mut ServerContext<Self>) -> Result {
    ///     match self.free {
    ///         0 => ctx.stash_awaited(lent, |lent| lent).map_err(|full| full.to_string())?,
    ///         _ => {
    ///             self.free -= 1;
    ///             lent.send(());
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// async fn handle_cast(&mut self, (): (), ctx: &mut ServerContext<Self>) -> Result {
    ///     self.free += 1; // one has come back
    ///     ctx.unstash(1);
    ///     Ok(())
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let licences = Licences::start(&rt, 1).await?;
    /// licences.call(|lent| lent).await?;
    /// let (lent, _) = tokio::join!(licences.call(|lent| lent), async { licences.cast(()) });
    /// assert_eq!(lent, Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn unstash(&mut self, count: usize) -> usize {
        let inner = self.inner();
        match inner.extras.as_mut().and_then(|extras| extras.stash.as_mut()) {
            Some(stash) => stash.take_back(count, &mut inner.mailbox),
            None => 0,
        }
    }

    /// Takes back all items of the stash, as [`unstash`](Self::unstash) does. Returns the number of
    /// items. [`stash_call`](Self::stash_call) has an example.
    pub fn unstash_all(&mut self) -> usize {
        self.unstash(usize::MAX)
    }

    /// The number of items in the stash.
    pub fn stashed(&mut self) -> usize {
        let stash = self.inner().extras.as_ref().and_then(|extras| extras.stash.as_ref());
        stash.map_or(0, |stash| stash.len())
    }

    /// Sets how many items the stash holds at most. By default it holds as many as the mailbox has
    /// room for, and any number if the mailbox has no bound. Items that are in the stash already stay
    /// there. With 0 nothing can be put aside.
    /// [`Context::stash_capacity`](crate::Context::stash_capacity) has an example.
    pub fn stash_capacity(&mut self, capacity: usize) {
        self.own_stash().set_capacity(capacity);
    }

    fn own_stash(&mut self) -> &mut Stash<ServerItem<S>> {
        let process = self.process.clone();
        self.inner().extras().stash.get_or_insert_with(|| Box::new(Stash::new(process)))
    }

    fn stash_is_full(&mut self) -> Option<usize> {
        self.own_stash().full_at()
    }

    /// Puts the call aside as it was queued: with the limit of its caller, and its origin if a
    /// successor may take it over.
    fn put_call_aside(&mut self, call: S::Call, caller: Option<CallerWaits>) {
        let process: &dyn AnyProcess = &*self.process;
        let limit = process.with(|locked| locked.core().registrations()?.handled_call.clone());
        let item = match limit {
            Some(limit) => ServerItem::Limited(Box::new(LimitedCall { call, limit })),
            None => ServerItem::Call(call),
        };
        let item = match self.inner().extras().origin.take() {
            Some(origin) => ServerItem::Kept(Box::new(KeptCall { item, origin })),
            None => item,
        };
        self.put_aside(item, caller);
    }

    fn put_aside(&mut self, item: ServerItem<S>, caller: Option<CallerWaits>) {
        let metadata = self.process.kernel.captured_for_later();
        let item = match self.process.kernel.carries(&metadata) {
            true => item.carrying(metadata),
            false => item,
        };
        let item = if self.inner().is_watched() { item.stamped() } else { item };
        self.own_stash().push(item, caller);
    }
}
