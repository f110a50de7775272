//! How a handler postpones its event. [`event_queue`](crate::machine::event_queue) keeps the
//! postponed events, and [`event_order`](crate::machine::event_order) decides when they are handled again.

use crate::base::eviction::evict;
use crate::call::Reply;
use crate::machine::event::Queued;
use crate::machine::{EnterContext, Event, MachineContext, Next, StateMachine};
use crate::mailbox::CallerWaits;
use crate::observe::DeadLetterCause;

impl<M: StateMachine> MachineContext<'_, M> {
    /// Postpones the event that is being handled; a call keeps its reply. The machine handles the
    /// event again after the next change of state, in the order in which the postponed events were
    /// received. If this callback changes the state, the event is handled again at once. OTP:
    /// `postpone`.
    ///
    /// Returns [`Next::Keep`], so that a handler that only postpones can return this value. A
    /// handler that changes the state ignores the value. If
    /// [as many events as allowed](StateMachine::MAX_POSTPONED) are postponed already, the event is
    /// dropped as from a full mailbox: a caller gets [`Overloaded`](crate::CallError::Overloaded),
    /// and a [`DeadLetter`](crate::DeadLetter) is published.
    ///
    /// A call whose caller has stopped waiting is handled again nevertheless, unless
    /// [`postpone_awaited`](Self::postpone_awaited) has postponed it.
    ///
    /// A postponed event is lost when the machine ends: the caller of a call gets
    /// [`Exited`](crate::CallError::Exited), and an event that was a message is counted by
    /// [`LeftUnhandled`](crate::LifecycleEvent::LeftUnhandled), also if the child
    /// [keeps its queue](crate::ChildSpec::keep_queue). To leave a message to the next incarnation,
    /// use [`stash_call`](crate::ServerContext::stash_call) or one of its siblings in the place of
    /// this method. A postponed byte stream is kept open.
    pub fn postpone(&mut self, event: Event<M>) -> Next<M::State> {
        self.keep(event, None)
    }

    /// Postpones a call as [`postpone`](Self::postpone) does. If its caller has stopped waiting when
    /// it would be handled again, the call is dropped, and no handler receives it. Such calls also
    /// make room for others when [as many events as allowed](StateMachine::MAX_POSTPONED) are
    /// postponed: at the latest when an eighth as many further events were refused. `make` makes the
    /// call from its reply; usually it is the variant itself. OTP has no counterpart: there a server
    /// does not know whether a caller waits.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Event, MachineContext, Next, Reply, Result, Runtime, StateMachine};
    ///
    /// /// Dispenses coffee when it is hot.
    /// struct Maker(u32);
    ///
    /// #[derive(PartialEq)]
    /// enum State {
    ///     Cold,
    ///     Hot,
    /// }
    ///
    /// enum Call {
    ///     Coffee { sugar: bool, cups: Reply<u32> },
    /// }
    ///
    /// impl StateMachine for Maker {
    ///     type Args = ();
    ///     type State = State;
    ///     type Call = Call;
    ///     type Cast = State;
    ///     type Payload = ();
    ///
    ///     async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(State, Self)> {
    ///         Ok((State::Cold, Maker(0)))
    ///     }
    ///     async fn handle_event(
    ///         &mut self,
    ///         state: &State,
    ///         event: Event<Self>,
    ///         ctx: &mut MachineContext<'_, Self>,
    ///     ) -> Result<Next<State>> {
    ///         Ok(match (state, event) {
    ///             (State::Cold, Event::Call(Call::Coffee { sugar, cups })) => {
    ///                 ctx.postpone_awaited(cups, |cups| Call::Coffee { sugar, cups })
    ///             }
    ///             (State::Hot, Event::Call(Call::Coffee { cups, .. })) => {
    ///                 self.0 += 1; // no cup is filled for a client that has left
    ///                 cups.send(self.0);
    ///                 Next::Keep
    ///             }
    ///             (_, Event::Cast(state)) => Next::State(state),
    ///             (state, event) => event.unhandled(state)?,
    ///         })
    ///     }
    ///     fn state_name(state: &State) -> &'static str {
    ///         if *state == State::Hot { "hot" } else { "cold" }
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let maker = Maker::start(&Runtime::new(), ()).await?;
    /// let impatient = |cups| Call::Coffee { sugar: true, cups };
    /// assert!(maker.call_timeout(impatient, Duration::from_secs(1)).await.is_err());
    /// maker.cast(State::Hot);
    /// assert_eq!(maker.call(|cups| Call::Coffee { sugar: false, cups }).await?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn postpone_awaited<T: Send + 'static>(
        &mut self,
        reply: Reply<T>,
        make: impl FnOnce(Reply<T>) -> M::Call,
    ) -> Next<M::State> {
        let caller = reply.caller_waits();
        self.keep(Event::Call(make(reply)), caller)
    }

    fn keep(&mut self, event: Event<M>, caller: Option<CallerWaits>) -> Next<M::State> {
        let EnterContext { engine, server } = &mut self.0;
        let process = &server.process;
        if !engine.has_room() {
            let (pid, message) = (server.pid(), event.description());
            process.kernel.report_dead_letter(pid, message, DeadLetterCause::Full);
            evict(process.head.address(), event);
            return Next::Keep;
        }
        let metadata = process.kernel.captured_for_later();
        let limit = match event {
            Event::Call(_) => server.handled_call_limit(),
            _ => None,
        };
        engine.requested.postponed.push(Queued { event, metadata, limit, caller });
        Next::Keep
    }
}
