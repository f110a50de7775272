//! The overflow policy of a bounded mailbox, as a user sets it. `mailbox_full` applies it.

/// The policy of a bounded mailbox for a message that is sent while the mailbox is full.
///
/// The policy is set together with the bound: for a server by
/// [`ServerSpec::mailbox_capacity`](crate::ServerSpec::mailbox_capacity), for a child by
/// [`ChildSpec::mailbox_capacity`](crate::ChildSpec::mailbox_capacity), for a plain process by
/// [`ProcessBuilder::mailbox_capacity`](crate::ProcessBuilder::mailbox_capacity). Messages and streams sent
/// to the server's pid count like its casts and calls. Signals, the server's own timers,
/// [`continue_with`](crate::ServerContext::continue_with) and [`stop`](crate::ServerRef::stop) are
/// exempt: they never wait and are never dropped. The result of a
/// [`spawn_task`](crate::ServerContext::spawn_task) and the end of a
/// [`pipe`](crate::ServerContext::pipe), which are sent only once, are exempt under `DropOldest`
/// and `DropNewest`; under the other policies they wait for room.
///
/// | policy, when full | `cast`, a message | [`try_cast`] | [`cast_wait`], [`cast_timeout`] | a call |
/// |---|---|---|---|---|
/// | `Reject` | returns `false` | returns the cast | waits | `Overloaded` at once |
/// | `Wait` | returns `false` | returns the cast | waits | waits; `Overloaded` when time is up |
/// | `DropOldest` | queued | queued | queued | queued |
/// | `DropNewest` | dropped: `true` | dropped: `Ok` | dropped: `Ok` | `Overloaded` at once |
///
/// With `Reject` and `Wait` the sender learns that its message was not queued. With `DropOldest`
/// and `DropNewest` a cast always succeeds, and its sender does not learn of a loss. A call that is
/// refused or dropped always fails with [`Overloaded`](crate::CallError::Overloaded), which means
/// that the call was not handled. Waiting calls and casts are queued in the order in which they
/// were sent, and no later message overtakes them. [`ProcessInfo`](crate::ProcessInfo) and
/// [`dropped_messages`](crate::Runtime::dropped_messages) count each message that is refused or
/// dropped, except a cast that `try_cast` or `cast_timeout` returns, and
/// [`dead_letters`](crate::Runtime::dead_letters) describes each.
///
/// OTP has no counterpart: its mailboxes are unbounded.
///
/// [`try_cast`]: crate::ServerRef::try_cast
/// [`cast_wait`]: crate::ServerRef::cast_wait
/// [`cast_timeout`]: crate::ServerRef::cast_timeout
///
/// # Examples
///
/// A display needs the newest prices; older ones may be lost:
///
/// ```
/// use regrow::{GenServer, Overflow, Reply, Result, Runtime, ServerContext};
///
/// struct Display(Vec<u32>);
/// # impl GenServer for Display {
/// #     type Args = ();
/// #     type Call = Reply<Vec<u32>>;
/// #     type Cast = u32;
/// #     async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
/// #         for price in [101, 102, 103] {
/// #             assert!(ctx.this().cast(price));
/// #         }
/// #         Ok(Display(Vec::new()))
/// #     }
/// #     async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
/// #         reply.send(self.0.clone());
/// #         Ok(())
/// #     }
/// #     async fn handle_cast(&mut self, price: u32, _: &mut ServerContext<Self>) -> Result {
/// #         self.0.push(price);
/// #         Ok(())
/// #     }
/// # }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// // Three prices are sent while its `init` still runs.
/// let display = Display::spec(()).mailbox_capacity(2, Overflow::DropOldest).start(&rt).await?;
/// assert_eq!(rt.info(display.pid().unwrap()).unwrap().dropped_messages, 1);
/// assert_eq!(display.call(|reply| reply).await?, [102, 103]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Overflow {
    /// The message is refused, and the sender gets an error. Use this for servers whose callers
    /// should not wait.
    #[default]
    Reject,
    /// Calls wait for room, within their deadline; a plain `cast` fails. Use this for callers that
    /// have to slow down to the pace of the server.
    Wait,
    /// The oldest message is dropped; if it was a call, its caller gets an error. Use this for data
    /// that becomes outdated.
    DropOldest,
    /// The new message is dropped, and a cast still returns success. Use this for data of which
    /// some may be lost.
    DropNewest,
}

impl Overflow {
    /// Whether a full mailbox drops messages without an error for the sender of a cast.
    pub(crate) fn drops(self) -> bool {
        matches!(self, Overflow::DropOldest | Overflow::DropNewest)
    }
}
