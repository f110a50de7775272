//! State machines. The machine of these tests does what its events say, and logs each event with the
//! state in which it was handled.

mod order;
mod timeouts;
mod enter;
mod ends;
mod resumed;
mod postponed;
mod kept_queue;
mod deadlocks;
mod beam;
mod by_hand;
mod system;
mod carried;
mod status;
mod model;
mod stress;

use std::sync::Arc;
use std::time::Duration;

use regrow::{
    EnterContext, Event, ExitReason, MachineContext, MachineRef, Next, Reply, Result, Runtime,
    StateMachine,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::{drained, settled};

/// The data of a variant is a part of the state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    A,
    B,
    C,
    Nth(u32),
}

/// What a handler does.
type Act = Box<dyn FnOnce(&mut MachineContext<'_, Script>) -> Result<Next<State>> + Send>;

/// What the entry of a state does.
type Entry = dyn Fn(&State, &mut EnterContext<'_, Script>) -> Result + Send + Sync;

/// An event with a name, which is logged. State A postpones each event whose name begins with `p`.
pub(crate) struct Do(&'static str, Option<Act>);

pub(crate) enum Call {
    /// Answered with the state in which it was handled. Postponed by A if the name begins with `p`.
    Ask(&'static str, Reply<State>),
    /// Kept.
    Keep(Reply<State>),
    /// Answered with the time that the caller has left. Postponed by A.
    TimeLeft(Reply<Option<Duration>>),
}

/// A machine that does what its events say.
pub(crate) struct Script {
    log: UnboundedSender<String>,
    entry: Arc<Entry>,
    kept: Vec<Reply<State>>,
}

#[derive(Clone)]
pub(crate) struct Args {
    log: UnboundedSender<String>,
    entry: Arc<Entry>,
    begin: fn(&mut MachineContext<'_, Script>),
}

impl StateMachine for Script {
    type Args = Args;
    type State = State;
    type Call = Call;
    type Cast = Do;
    type Payload = Do;

    const MAX_POSTPONED: Option<usize> = Some(2_000);

    async fn init(args: Args, ctx: &mut MachineContext<'_, Self>) -> Result<(State, Self)> {
        (args.begin)(ctx);
        Ok((State::A, Script { log: args.log, entry: args.entry, kept: Vec::new() }))
    }

    async fn state_enter(
        &mut self,
        old: Option<&State>,
        state: &State,
        ctx: &mut EnterContext<'_, Self>,
    ) -> Result {
        let old = old.map_or("start".to_owned(), |old| format!("{old:?}"));
        let _ = self.log.send(format!("{state:?} enter from {old}"));
        (self.entry)(state, ctx)
    }

    async fn handle_event(
        &mut self,
        state: &State,
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> Result<Next<State>> {
        let name = name(&event);
        if *state == State::A && name.starts_with('p') {
            return Ok(ctx.postpone(event));
        }
        if name == "then fail" {
            ctx.postpone(event);
            return Event::<Self>::Idle.unhandled(state);
        }
        let kind = match &event {
            Event::Timeout(timeout, _) => timeout.to_string(),
            event => event.kind().to_owned(),
        };
        let _ = self.log.send(format!("{state:?} {kind} {name}"));
        if name == "drop" {
            return Ok(Next::Keep);
        }
        let act = self.answer(state, event, ctx);
        if name == "panic" {
            panic!("as asked");
        }
        if name == "reply and stop" {
            self.kept.drain(..).for_each(|reply| reply.send(*state));
            return ctx.stop(ExitReason::Shutdown);
        }
        if name == "unhandled" {
            return Event::<Self>::Idle.unhandled(state);
        }
        tokio::task::yield_now().await;
        act.map_or(Ok(Next::Keep), |act| act(ctx))
    }

    async fn terminate(&mut self, state: &State, reason: &ExitReason) {
        let _ = self.log.send(format!("{state:?} terminate {reason}, {} kept", self.kept.len()));
    }

    fn state_name(state: &State) -> &'static str {
        match state {
            State::A => "a",
            State::B => "b",
            State::C => "c",
            State::Nth(_) => "nth",
        }
    }
}

impl Script {
    /// Answers or keeps a call. Returns what any other event does.
    fn answer(
        &mut self,
        state: &State,
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> Option<Act> {
        match event {
            Event::Call(Call::Ask(_, reply)) => {
                reply.send(*state);
                None
            }
            Event::Call(Call::TimeLeft(reply)) => {
                reply.send(ctx.deadline().time_left());
                None
            }
            Event::Call(Call::Keep(reply)) => {
                self.kept.push(reply);
                None
            }
            Event::Cast(Do(_, act))
            | Event::Internal(Do(_, act))
            | Event::StateTimeout(Do(_, act))
            | Event::EventTimeout(Do(_, act))
            | Event::Timeout(_, Do(_, act)) => act,
            _ => None,
        }
    }
}

fn name(event: &Event<Script>) -> &'static str {
    match event {
        Event::Call(Call::Ask(name, _)) => name,
        Event::Call(Call::TimeLeft(_)) => "p time left",
        Event::Call(_) | Event::Idle => "-",
        Event::Cast(event)
        | Event::Internal(event)
        | Event::StateTimeout(event)
        | Event::EventTimeout(event)
        | Event::Timeout(_, event) => event.0,
        _ => "info",
    }
}

/// An event that is only logged.
pub(crate) fn log(name: &'static str) -> Do {
    Do(name, None)
}

/// An event that does something.
pub(crate) fn act(
    name: &'static str,
    act: impl FnOnce(&mut MachineContext<'_, Script>) -> Result<Next<State>> + Send + 'static,
) -> Do {
    Do(name, Some(Box::new(act)))
}

/// An event that changes the state.
pub(crate) fn go(name: &'static str, state: State) -> Do {
    act(name, move |_| Ok(Next::State(state)))
}

/// A running machine and its log.
pub(crate) struct Running {
    pub(crate) rt: Runtime,
    pub(crate) machine: MachineRef<Script>,
    log: UnboundedReceiver<String>,
}

impl Running {
    /// Starts a machine whose entries do nothing.
    pub(crate) async fn new() -> Running {
        Running::with(|_, _| Ok(())).await
    }

    pub(crate) async fn with(
        entry: impl Fn(&State, &mut EnterContext<'_, Script>) -> Result + Send + Sync + 'static,
    ) -> Running {
        Running::begun(|_| (), entry).await
    }

    pub(crate) async fn begun(
        begin: fn(&mut MachineContext<'_, Script>),
        entry: impl Fn(&State, &mut EnterContext<'_, Script>) -> Result + Send + Sync + 'static,
    ) -> Running {
        let rt = Runtime::new();
        let (args, log) = args(begin, entry);
        let machine = Script::start(&rt, args).await.unwrap();
        Running { rt, machine, log }
    }

    pub(crate) fn cast(&self, event: Do) {
        assert!(self.machine.cast(event));
    }

    pub(crate) fn cast_all<const N: usize>(&self, events: [Do; N]) {
        events.into_iter().for_each(|event| self.cast(event));
    }

    /// What was logged so far, after the machine has nothing left to do.
    pub(crate) async fn logged(&mut self) -> Vec<String> {
        settled().await;
        self.logged_by_now()
    }

    pub(crate) fn logged_by_now(&mut self) -> Vec<String> {
        drained(&mut self.log)
    }

    /// What was logged, without the entry of the first state.
    pub(crate) async fn events(&mut self) -> Vec<String> {
        let mut logged = self.logged().await;
        logged.retain(|line| line != "A enter from start");
        logged
    }
}

pub(crate) fn args(
    begin: fn(&mut MachineContext<'_, Script>),
    entry: impl Fn(&State, &mut EnterContext<'_, Script>) -> Result + Send + Sync + 'static,
) -> (Args, UnboundedReceiver<String>) {
    let (log, logged) = unbounded_channel();
    (Args { log, entry: Arc::new(entry), begin }, logged)
}
