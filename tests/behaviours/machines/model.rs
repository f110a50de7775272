//! Random programs on a machine, and on a model that is written after the documentation of OTP's
//! `gen_statem`: both handle the same events in the same order and states.

use std::collections::VecDeque;
use std::time::Duration;

use regrow::{Event, MachineContext, Next, Result, Runtime, StateMachine};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::rng::Rng;
use crate::support::{drained, settled};

pub(super) const STATES: usize = 3;
pub(super) const NAMES: [&str; 2] = ["x", "y"];

/// An event: its number, the states that postpone it, and what its handler does.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    pub(super) number: usize,
    pub(super) postponed_in: [bool; STATES],
    pub(super) requests: Vec<Request>,
    pub(super) next: Then,
}

#[derive(Debug, Clone)]
pub(super) enum Request {
    Insert(Step),
    /// Sets the state time-out, the event time-out or a named one to zero.
    Zero(Kind, Step),
    Cancel(Kind),
    Update(Kind, Step),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    State,
    Event,
    Named(usize),
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Then {
    #[default]
    Keep,
    Go(usize),
    Repeat,
}

/// What was handled, or entered: the state, the kind, the number of the event.
pub(super) type Line = (usize, &'static str, usize);

struct Modelled(UnboundedSender<Line>);

impl StateMachine for Modelled {
    type Args = UnboundedSender<Line>;
    type State = usize;
    type Call = ();
    type Cast = Step;
    type Payload = Step;

    async fn init(log: Self::Args, _: &mut MachineContext<'_, Self>) -> Result<(usize, Self)> {
        Ok((0, Modelled(log)))
    }

    async fn state_enter(
        &mut self,
        _: Option<&usize>,
        state: &usize,
        _: &mut regrow::EnterContext<'_, Self>,
    ) -> Result {
        Ok(self.0.send((*state, "enter", 0))?)
    }

    async fn handle_event(
        &mut self,
        state: &usize,
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> Result<Next<usize>> {
        let kind = event.kind();
        let step = match &event {
            Event::Cast(step)
            | Event::Internal(step)
            | Event::StateTimeout(step)
            | Event::EventTimeout(step)
            | Event::Timeout(_, step) => step.clone(),
            event => panic!("{event:?}"),
        };
        if step.postponed_in[*state] {
            return Ok(ctx.postpone(event));
        }
        self.0.send((*state, kind, step.number))?;
        for request in step.requests {
            match request {
                Request::Insert(step) => ctx.next_event(Event::Internal(step)),
                Request::Zero(Kind::State, step) => ctx.state_timeout(Duration::ZERO, step),
                Request::Zero(Kind::Event, step) => ctx.event_timeout(Duration::ZERO, step),
                Request::Zero(Kind::Named(n), step) => ctx.timeout(NAMES[n], Duration::ZERO, step),
                Request::Cancel(Kind::Named(n)) => ctx.cancel_timeout(NAMES[n]),
                Request::Cancel(_) => ctx.cancel_state_timeout(),
                Request::Update(Kind::Named(n), step) => ctx.update_timeout(NAMES[n], step),
                Request::Update(_, step) => ctx.update_state_timeout(step),
            }
        }
        Ok(match step.next {
            Then::Keep => Next::Keep,
            Then::Go(state) => Next::State(state),
            Then::Repeat => Next::Repeat,
        })
    }

    fn state_name(_: &usize) -> &'static str {
        "state"
    }
}

#[derive(Default)]
struct Model {
    state: usize,
    queue: VecDeque<(&'static str, Step)>,
    postponed: Vec<(&'static str, Step)>,
    zeros: Vec<(Kind, Step)>,
    log: Vec<Line>,
}

impl Model {
    fn run(mut self, mailbox: Vec<Step>) -> Vec<Line> {
        self.log.push((0, "enter", 0));
        let mut mailbox = VecDeque::from(mailbox);
        loop {
            let next = self.queue.pop_front();
            let next = next.or_else(|| (!self.zeros.is_empty()).then(|| self.zero()));
            let Some((kind, step)) = next.or_else(|| Some(("cast", mailbox.pop_front()?))) else {
                return self.log;
            };
            self.handle(kind, step);
        }
    }

    fn zero(&mut self) -> (&'static str, Step) {
        let (kind, step) = self.zeros.remove(0);
        let name = match kind {
            Kind::State => "state_timeout",
            Kind::Event => "event_timeout",
            Kind::Named(_) => "timeout",
        };
        (name, step)
    }

    fn handle(&mut self, kind: &'static str, step: Step) {
        self.zeros.retain(|(kind, _)| *kind != Kind::Event);
        if step.postponed_in[self.state] {
            self.postponed.push((kind, step));
            return;
        }
        self.log.push((self.state, kind, step.number));
        let is_change = matches!(step.next, Then::Go(state) if state != self.state);
        if let Then::Go(state) = step.next {
            self.state = state;
        }
        if is_change || matches!(step.next, Then::Repeat) {
            self.log.push((self.state, "enter", 0));
        }
        if is_change {
            self.zeros.retain(|(kind, _)| *kind != Kind::State);
            for event in self.postponed.drain(..).rev() {
                self.queue.push_front(event);
            }
        }
        let mut inserted = Vec::new();
        for request in step.requests {
            match request {
                Request::Insert(step) => inserted.push(("internal", step)),
                Request::Zero(kind, step) => {
                    self.zeros.retain(|(set, _)| *set != kind);
                    self.zeros.push((kind, step));
                }
                Request::Cancel(kind) => self.zeros.retain(|(set, _)| *set != kind),
                Request::Update(kind, step) => {
                    match self.zeros.iter_mut().find(|(set, _)| *set == kind) {
                        Some((_, old)) => *old = step,
                        None => self.zeros.push((kind, step)),
                    }
                }
            }
        }
        for event in inserted.into_iter().rev() {
            self.queue.push_front(event);
        }
    }
}

/// Makes a random event. Events inside of events have ever fewer requests.
fn step(random: &mut Rng, number: &mut usize, depth: usize) -> Step {
    *number += 1;
    let mut made = Step { number: *number, ..Step::default() };
    // No event is postponed in all states.
    made.postponed_in = [0, 1, 2].map(|_| random.below(4) == 0);
    made.postponed_in[random.below(STATES)] = false;
    made.next = match random.below(5) {
        0 | 1 => Then::Go(random.below(STATES)),
        2 => Then::Repeat,
        _ => Then::Keep,
    };
    if depth == 0 {
        return made;
    }
    for _ in 0..random.below(4) {
        let named = Kind::Named(random.below(2));
        let kind = [Kind::State, Kind::Event, named][random.below(3)];
        let kept = if kind == Kind::Event { named } else { kind };
        made.requests.push(match random.below(6) {
            0 | 1 => Request::Insert(step(random, number, depth - 1)),
            2 | 3 => Request::Zero(kind, step(random, number, depth - 1)),
            4 => Request::Cancel(kept),
            _ => Request::Update(kept, step(random, number, depth - 1)),
        });
    }
    made
}

/// The random program of this seed.
pub(super) fn program(seed: u64) -> Vec<Step> {
    let (mut random, mut number) = (Rng::new(seed), 0);
    (0..12).map(|_| step(&mut random, &mut number, 3)).collect()
}

/// What a machine handles that gets these events as casts. Requires paused time.
pub(super) async fn handled(rt: &Runtime, steps: &[Step]) -> Vec<Line> {
    let (log, mut logged) = unbounded_channel();
    let machine = Modelled::start(rt, log).await.unwrap();
    steps.iter().for_each(|step| assert!(machine.cast(step.clone())));
    settled().await;
    rt.kill(machine.pid().unwrap());
    drained(&mut logged)
}

#[tokio::test(start_paused = true)]
async fn a_machine_handles_random_events_in_the_order_of_gen_statem() {
    let rt = Runtime::new();
    for seed in 0..400 {
        let steps = program(seed);
        let lines = handled(&rt, &steps).await;
        assert_eq!(lines, Model::default().run(steps), "seed {seed}");
    }
}
