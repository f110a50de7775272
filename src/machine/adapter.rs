//! The server that a state machine is.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::exit::{ExitReason, Result};
use crate::machine::changes::Seen;
use crate::machine::event_order::Engine;
use crate::machine::{
    EnterContext, Event, Machine, MachineContext, Next, StateMachine, Transition,
};
use crate::message::Received;
use crate::server::{GenServer, ServerContext};

impl<M: StateMachine> Machine<M> {
    /// Returns the state.
    ///
    /// ```
    /// # use regrow::{Event, MachineContext, Next, Result, Runtime, StateMachine};
    /// # struct Lamp(u8);
    /// # impl StateMachine for Lamp {
    /// #     type Args = ();
    /// #     type State = u8;
    /// #     type Call = ();
    /// #     type Cast = u8;
    /// #     type Payload = ();
    /// #     async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(u8, Self)> {
    /// #         Ok((0, Lamp(7)))
    /// #     }
    /// #     async fn handle_event(
    /// #         &mut self, _: &u8, event: Event<Self>, _: &mut MachineContext<'_, Self>,
    /// #     ) -> Result<Next<u8>> {
    /// #         let Event::Cast(level) = event else { return Ok(Next::Keep) };
    /// #         Ok(Next::State(level))
    /// #     }
    /// #     fn state_name(level: &u8) -> &'static str { if *level == 0 { "off" } else { "on" } }
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let lamp = Lamp::start(&Runtime::new(), ()).await?; // its state is its level
    /// lamp.cast(40);
    /// assert_eq!(lamp.peek(|machine| (*machine.state(), machine.data().0)).await?, (40, 7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn state(&self) -> &M::State {
        &self.state
    }

    /// Returns the data: the value that implements [`StateMachine`]. [`state`](Self::state) has an
    /// example.
    pub fn data(&self) -> &M {
        &self.data
    }

    /// Returns the data, to change it in an [`update`](crate::ServerRef::update).
    pub fn data_mut(&mut self) -> &mut M {
        &mut self.data
    }

    /// Returns the number of postponed events.
    pub fn postponed(&self) -> usize {
        self.engine.postponed()
    }

    /// Lets a test watch the transitions.
    pub(crate) fn watch(&mut self, seen: Seen) {
        self.engine.changes.watch(seen);
    }

    /// Handles an event, and does what its handler has requested.
    #[inline]
    #[expect(clippy::manual_async_fn, reason = "an `async fn` would hold its arguments twice")]
    fn handle(
        &mut self,
        event: Event<M>,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        async move {
            let name = M::event_name(&event);
            self.engine.begin_event(ctx);
            let mut context = MachineContext::new(&mut self.engine, ctx);
            let (handled, has_waited) =
                watched(pin!(self.data.handle_event(&self.state, event, &mut context))).await;
            if has_waited {
                self.engine.changes.forget_time();
            }
            match handled {
                Ok(Next::Keep) => {}
                Ok(Next::State(state)) if state == self.state => self.state = state,
                Ok(Next::State(state)) => {
                    let old = std::mem::replace(&mut self.state, state);
                    self.engine.begin_change();
                    self.enter(Some(&old), name, ctx).await?;
                }
                Ok(Next::Repeat) => self.enter_again(name, ctx).await?,
                Err(reason) => {
                    self.engine.changes.see(|| Transition::end(M::state_name(&self.state), name));
                    return Err(reason);
                }
            }
            self.engine.settle(ctx);
            Ok(())
        }
    }

    /// Runs the entry of the state after a change.
    async fn enter(
        &mut self,
        old: Option<&M::State>,
        event: &'static str,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        if let Some(old) = old {
            self.engine.changes.note(M::state_name(old), M::state_name(&self.state), event);
        }
        let mut context = EnterContext::new(&mut self.engine, ctx);
        let (entered, has_waited) =
            watched(pin!(self.data.state_enter(old, &self.state, &mut context))).await;
        if has_waited {
            self.engine.changes.forget_time();
        }
        entered
    }

    async fn enter_again(&mut self, event: &'static str, ctx: &mut ServerContext<Self>) -> Result {
        let state = M::state_name(&self.state);
        self.engine.changes.note(state, state, event);
        let mut context = EnterContext::new(&mut self.engine, ctx);
        let (entered, has_waited) =
            watched(pin!(self.data.state_enter(Some(&self.state), &self.state, &mut context)))
                .await;
        if has_waited {
            self.engine.changes.forget_time();
        }
        entered
    }
}

impl<M: StateMachine> GenServer for Machine<M> {
    type Args = M::Args;
    type Call = M::Call;
    type Cast = M::Cast;

    async fn init(args: M::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let mut engine = Engine::new(ctx);
        let (state, data) = M::init(args, &mut MachineContext::new(&mut engine, ctx)).await?;
        engine.begin(M::state_name(&state), ctx);
        Ok(Machine { data, state, engine })
    }

    #[inline]
    fn handle_call(
        &mut self,
        call: M::Call,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        self.handle(Event::Call(call), ctx)
    }

    #[inline]
    fn handle_cast(
        &mut self,
        cast: M::Cast,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        self.handle(Event::Cast(cast), ctx)
    }

    #[inline]
    fn handle_info(
        &mut self,
        info: Received,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        self.handle(Event::Info(info), ctx)
    }

    fn handle_timeout(
        &mut self,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        self.handle(Event::Idle, ctx)
    }

    /// Handles the event of an expired timer, or the machine's next event. If there is neither a
    /// timer nor an event, enters the first state.
    async fn handle_own(&mut self, timer: Option<u64>, ctx: &mut ServerContext<Self>) -> Result {
        match self.engine.take_own(timer) {
            Some(event) => self.handle(event, ctx).await,
            None if timer.is_some() => Ok(()),
            None if self.engine.take_pause() => {
                self.engine.settle(ctx);
                Ok(())
            }
            None => {
                self.engine.begin_first_entry();
                self.enter(None, "", ctx).await?;
                self.engine.settle(ctx);
                Ok(())
            }
        }
    }

    #[inline]
    fn before_wait(&mut self) {
        self.engine.changes.forget_time();
    }

    fn after_resume(&mut self, ctx: &mut ServerContext<Self>) {
        self.engine.go_on(ctx);
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        self.data.terminate(&self.state, reason).await;
    }

    fn format_status(&self) -> Option<String> {
        let (state, postponed) = (M::state_name(&self.state), self.postponed());
        let mut line = match postponed {
            0 => state.to_owned(),
            count => format!("{state}, {count} postponed"),
        };
        if let Some(own) = self.data.format_status(&self.state) {
            line.push_str(": ");
            line.push_str(&own);
        }
        Some(line)
    }
}

impl<M: StateMachine> fmt::Debug for Machine<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Machine({})", M::state_name(&self.state))
    }
}

/// A callback that runs. Its output is what it has returned, and whether it has waited.
struct Watched<'a, F> {
    callback: Pin<&'a mut F>,
    has_waited: bool,
}

fn watched<F: Future>(callback: Pin<&mut F>) -> Watched<'_, F> {
    Watched { callback, has_waited: false }
}

impl<F: Future> Future for Watched<'_, F> {
    type Output = (F::Output, bool);

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.callback.as_mut().poll(cx) {
            Poll::Ready(returned) => Poll::Ready((returned, self.has_waited)),
            Poll::Pending => {
                self.has_waited = true;
                Poll::Pending
            }
        }
    }
}
