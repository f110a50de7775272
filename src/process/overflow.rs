//! What a full mailbox does.

/// What a mailbox that has a bound does when it is full and one more message comes.
///
/// It is given with the bound: to a server by
/// [`ServerSpec::mailbox_capacity`](crate::ServerSpec::mailbox_capacity), to a child by
/// [`ChildSpec::mailbox_capacity`](crate::ChildSpec::mailbox_capacity). Messages and
/// streams sent to the server's pid count like its casts and calls. Signals, timers of the
/// server's own, [`continue_with`](crate::ServerContext::continue_with) and
/// [`stop`](crate::ServerRef::stop) are exempt: they never wait and are never dropped. So are,
/// where the policy is to drop, the result of a
/// [`spawn_task`](crate::ServerContext::spawn_task) and the end of a
/// [`pipe`](crate::ServerContext::pipe), which come once; elsewhere they wait for room.
///
/// | full, and | `cast`, a message | [`try_cast`] | [`cast_wait`] | a call |
/// |---|---|---|---|---|
/// | `Reject` | `false`, counted | gives it back | waits | `Overloaded` at once, counted |
/// | `Wait` | `false`, counted | gives it back | waits | waits; `Overloaded` when its time is up, counted |
/// | `DropOldest` | takes it | takes it | takes it | takes it |
/// | `DropNewest` | drops it, counted: `true` | as `cast`: `Ok` | as `cast`: `Ok` | `Overloaded` at once, counted |
///
/// `Reject` and `Wait` tell the sender. `DropOldest` and `DropNewest` spare whoever casts
/// the trouble: what is lost is the server's own affair. A caller is always told:
/// [`Overloaded`](crate::CallError::Overloaded) means that the question was not handled.
/// Those who wait are served in the order they came, calls and casts alike; nobody gets
/// past them. What is counted shows in [`ProcessInfo`](crate::ProcessInfo) and in
/// [`dropped_messages`](crate::Runtime::dropped_messages).
///
/// OTP has no counterpart: its mailboxes are unbounded.
///
/// [`try_cast`]: crate::ServerRef::try_cast
/// [`cast_wait`]: crate::ServerRef::cast_wait
///
/// # Examples
///
/// A display needs the newest prices, and can do without older ones:
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
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// // Three prices come while its `init` still runs.
/// let display = Display::spec(()).mailbox_capacity(2, Overflow::DropOldest).start(&rt).await?;
/// assert_eq!(rt.info(display.pid().unwrap()).unwrap().dropped_messages, 1);
/// assert_eq!(display.call(|reply| reply).await?, [102, 103]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Overflow {
    /// It is refused, and the sender told. For servers whose callers have something better
    /// to do than to wait.
    #[default]
    Reject,
    /// Calls wait for room, within their deadline; nobody else has to. For callers that are
    /// to slow down to the server's pace.
    Wait,
    /// The oldest message makes room; if it was a call, its caller is told. For data that
    /// ages.
    DropOldest,
    /// The new one is dropped, and whoever cast it isn't told. For data that may be thinned
    /// out.
    DropNewest,
}

impl Overflow {
    /// Whether a full mailbox loses messages without a word to their sender.
    pub(crate) fn drops(self) -> bool {
        matches!(self, Overflow::DropOldest | Overflow::DropNewest)
    }
}
