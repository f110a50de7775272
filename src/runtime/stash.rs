//! The stash of a process that receives by itself: [`mailbox::stash`](crate::mailbox::stash) has the
//! guarantees.

use crate::mailbox::Stash;
use crate::message::{Envelope, Received};
use crate::runtime::{Context, StashFull};

impl Context {
    /// Puts the item aside that was received last, to receive it later: after
    /// [`unstash_all`](Self::unstash_all), or [`unstash`](Self::unstash). Unlike an item that
    /// [`recv_match`](Self::recv_match) skips, an item of the stash is not searched again by each
    /// receive. Akka: `stash()`. OTP: the selective `receive`, and `postpone` of `gen_statem`.
    ///
    /// The item keeps the [metadata](Self::metadata) of the message that was received last. So put an
    /// item aside before you receive the next one.
    ///
    /// In a mailbox with a bound, the items of the stash count in
    /// [`ProcessInfo::mailbox_depth`](crate::ProcessInfo::mailbox_depth), and not towards the bound.
    /// Items that are in the stash when the process ends are counted as left
    /// [unhandled](crate::LifecycleEvent::LeftUnhandled). If the process is a child that
    /// [keeps its queue](crate::ChildSpec::keep_queue), the messages and streams of the stash go to its
    /// successor instead, in front of the queue.
    ///
    /// # Errors
    ///
    /// [`StashFull`] with the item if the stash holds [as many items as it
    /// may](Self::stash_capacity).
    ///
    /// ```
    /// use regrow::{ExitReason, Received, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let door = rt.spawn(|mut ctx| async move {
    ///     loop {
    ///         match ctx.recv().await {
    ///             Received::Message(text) if text == b"open" => break,
    ///             guest => ctx.stash(guest).unwrap(),
    ///         }
    ///     }
    ///     assert_eq!(ctx.unstash_all(), 2);
    ///     assert_eq!(ctx.recv().await.message().unwrap(), b"ann");
    ///     assert_eq!(ctx.recv().await.message().unwrap(), b"bob");
    /// });
    /// for text in ["ann", "bob", "open"] {
    ///     rt.send(door.pid(), text.into());
    /// }
    /// assert_eq!(door.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub fn stash(&mut self, item: Received) -> Result<(), StashFull<Received>> {
        let metadata = self.metadata.clone();
        let stash = self.own_stash();
        if let Some(capacity) = stash.full_at() {
            return Err(StashFull::new(item, capacity));
        }
        stash.push(Envelope { metadata, ..Envelope::plain(item) }, None);
        Ok(())
    }

    /// Takes back the oldest `count` items of the stash, or all if there are fewer. The next receives
    /// get them, in the order in which they were put aside, before everything that is queued, and
    /// before what an earlier call has taken back. Returns how many they are. Akka: `unstash()`.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let body = rt.spawn(|mut ctx| async move {
    ///     for _ in 0..2 {
    ///         let item = ctx.recv().await;
    ///         ctx.stash(item).unwrap();
    ///     }
    ///     assert_eq!((ctx.unstash(1), ctx.stashed()), (1, 1));
    ///     assert_eq!(ctx.recv().await.message().unwrap(), b"a");
    ///     assert_eq!(ctx.recv().await.message().unwrap(), b"c"); // "b" is in the stash
    /// });
    /// for text in ["a", "b", "c"] {
    ///     rt.send(body.pid(), text.into());
    /// }
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub fn unstash(&mut self, count: usize) -> usize {
        match &mut self.stash {
            Some(stash) => stash.take_back(count, &mut self.mailbox),
            None => 0,
        }
    }

    /// Takes back all items of the stash, as [`unstash`](Self::unstash) does. Returns how many they
    /// are. [`stash`](Self::stash) has an example.
    pub fn unstash_all(&mut self) -> usize {
        self.unstash(usize::MAX)
    }

    /// The number of items in the stash. [`unstash`](Self::unstash) has an example.
    pub fn stashed(&self) -> usize {
        self.stash.as_ref().map_or(0, |stash| stash.len())
    }

    /// Sets how many items the stash holds at most. By default it holds as many as the mailbox has
    /// room for, and any number if the mailbox has no bound. Items that are in the stash already stay
    /// there. With 0 nothing can be put aside.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let body = rt.spawn(|mut ctx| async move {
    ///     ctx.stash_capacity(1);
    ///     let (first, second) = (ctx.recv().await, ctx.recv().await);
    ///     assert!(ctx.stash(first).is_ok());
    ///     let full = ctx.stash(second).unwrap_err();
    ///     assert_eq!((full.capacity, full.message.message().unwrap()), (1, b"b".to_vec()));
    /// });
    /// rt.send(body.pid(), b"a".to_vec());
    /// rt.send(body.pid(), b"b".to_vec());
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub fn stash_capacity(&mut self, capacity: usize) {
        self.own_stash().set_capacity(capacity);
    }

    fn own_stash(&mut self) -> &mut Stash<Envelope> {
        let process = &self.mailbox.process;
        self.stash.get_or_insert_with(|| Box::new(Stash::new(process.clone())))
    }
}
