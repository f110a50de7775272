//! Programs of events that run on a `gen_statem` of a real BEAM and on a machine, in the same order.

use regrow::Runtime;

use super::model::{Kind, Line, NAMES, Request, Step, Then, handled, program};
use crate::support::erlang::{is_full, run_module};

/// Returns the event as a term of Erlang.
fn term(step: &Step) -> String {
    let states = step.postponed_in.iter().enumerate().filter(|(_, postponed)| **postponed);
    let states: Vec<_> = states.map(|(state, _)| state).collect();
    let requests: Vec<_> = step.requests.iter().map(request).collect();
    let next = match step.next {
        Then::Keep => "keep".to_owned(),
        Then::Repeat => "repeat".to_owned(),
        Then::Go(state) => state.to_string(),
    };
    format!("{{{},{states:?},[{}],{next}}}", step.number, requests.join(","))
}

fn request(request: &Request) -> String {
    match request {
        Request::Insert(step) => format!("{{insert,{}}}", term(step)),
        Request::Zero(kind, step) => format!("{{zero,{},{}}}", atom(*kind), term(step)),
        Request::Cancel(kind) => format!("{{cancel,{}}}", atom(*kind)),
        Request::Update(kind, step) => format!("{{update,{},{}}}", atom(*kind), term(step)),
    }
}

fn atom(kind: Kind) -> &'static str {
    match kind {
        Kind::State => "state",
        Kind::Event => "event",
        Kind::Named(number) => NAMES[number],
    }
}

/// Returns the event without the requests that OTP ignores: of the requests that a callback makes for
/// one time-out, OTP carries out the last one. Here all are carried out in order, which differs only
/// before an update.
fn as_on_the_beam(step: &Step) -> Step {
    let mut kept: Vec<Request> = Vec::new();
    for request in &step.requests {
        if let Request::Update(kind, _) = request {
            kept.retain(|earlier| time_out(earlier) != Some(*kind));
        }
        kept.push(match request {
            Request::Insert(step) => Request::Insert(as_on_the_beam(step)),
            Request::Zero(kind, step) => Request::Zero(*kind, as_on_the_beam(step)),
            Request::Cancel(kind) => Request::Cancel(*kind),
            Request::Update(kind, step) => Request::Update(*kind, as_on_the_beam(step)),
        });
    }
    Step { requests: kept, ..step.clone() }
}

fn time_out(request: &Request) -> Option<Kind> {
    match request {
        Request::Insert(_) => None,
        Request::Zero(kind, _) | Request::Cancel(kind) | Request::Update(kind, _) => Some(*kind),
    }
}

fn text(lines: &[Line]) -> String {
    let lines: Vec<_> =
        lines.iter().map(|(state, kind, number)| format!("{state}:{kind}:{number}")).collect();
    lines.join(" ")
}

/// Runs programs on both sides. Returns what each handles here, after it was compared.
async fn compared(programs: &[Vec<Step>], test: &str) -> Vec<String> {
    let rt = Runtime::new();
    let mut here = Vec::new();
    for steps in programs {
        let steps: Vec<_> = steps.iter().map(as_on_the_beam).collect();
        here.push(text(&handled(&rt, &steps).await));
    }
    let terms = |steps: &Vec<Step>| {
        let steps: Vec<_> = steps.iter().map(term).collect();
        format!("[{}].\n", steps.join(","))
    };
    let input: String = programs.iter().map(terms).collect();
    if let Some(there) = run_module("tests/behaviours/machines/statem.erl", test, &input) {
        for (number, (here, there)) in here.iter().zip(there.lines()).enumerate() {
            assert!(here == there, "{}\nhere:  {here}\nOTP:   {there}", terms(&programs[number]));
        }
        assert_eq!(here.len(), there.lines().count());
    }
    here
}

fn step(number: usize, next: Then) -> Step {
    Step { number, next, ..Step::default() }
}

fn postponed(number: usize, in_states: &[usize]) -> Step {
    let mut made = step(number, Then::Keep);
    in_states.iter().for_each(|state| made.postponed_in[*state] = true);
    made
}

fn requesting(number: usize, requests: Vec<Request>, next: Then) -> Step {
    Step { requests, ..step(number, next) }
}

fn zero(kind: Kind, number: usize) -> Request {
    Request::Zero(kind, step(number, Then::Keep))
}

fn insert(number: usize) -> Request {
    Request::Insert(step(number, Then::Keep))
}

/// A state is entered before a postponed event is handled again in it.
fn entry_and_replay() -> (Vec<Step>, &'static str) {
    let steps = vec![postponed(1, &[0]), step(2, Then::Go(1)), step(3, Then::Keep)];
    (steps, "0:enter:0 0:cast:2 1:enter:0 1:cast:1 1:cast:3")
}

/// A time-out of zero comes before what is in the mailbox, and after an inserted event.
fn zero_and_mailbox() -> (Vec<Step>, &'static str) {
    let requests = vec![zero(Kind::State, 10), zero(Kind::Named(0), 11), insert(12)];
    let steps = vec![requesting(1, requests, Then::Keep), step(2, Then::Keep)];
    (steps, "0:enter:0 0:cast:1 0:internal:12 0:state_timeout:10 0:timeout:11 0:cast:2")
}

/// Events that a second state postpones again keep their order, before those that it postpones.
fn two_changes() -> (Vec<Step>, &'static str) {
    let steps = vec![
        postponed(1, &[0, 1]),
        postponed(2, &[0]),
        postponed(3, &[0, 1]),
        step(4, Then::Go(1)),
        postponed(5, &[1]),
        step(6, Then::Go(2)),
    ];
    let lines =
        "0:enter:0 0:cast:4 1:enter:0 1:cast:2 1:cast:6 2:enter:0 2:cast:1 2:cast:3 2:cast:5";
    (steps, lines)
}

/// Any event cancels the event time-out: an inserted one, one that is postponed, and a time-out.
fn event_time_out() -> (Vec<Step>, &'static str) {
    let beside =
        |number, request| requesting(number, vec![zero(Kind::Event, 10), request], Then::Keep);
    let again = Request::Insert(postponed(11, &[0]));
    let steps = vec![
        beside(1, insert(12)),
        beside(2, again),
        requesting(3, vec![zero(Kind::Named(0), 13), zero(Kind::Event, 10)], Then::Keep),
        requesting(4, vec![zero(Kind::Event, 14)], Then::Keep),
        step(5, Then::Keep),
    ];
    let lines = "0:enter:0 0:cast:1 0:internal:12 0:cast:2 0:cast:3 0:timeout:13 0:cast:4 \
                 0:event_timeout:14 0:cast:5";
    (steps, lines)
}

/// Inserted events come in order, before events that are handled again; those that an inserted event
/// inserts come before its siblings.
fn inserted() -> (Vec<Step>, &'static str) {
    let nested = Request::Insert(requesting(10, vec![insert(11)], Then::Keep));
    let steps = vec![
        postponed(1, &[0]),
        requesting(2, vec![nested, insert(12)], Then::Go(1)),
        step(3, Then::Keep),
    ];
    let lines =
        "0:enter:0 0:cast:2 1:enter:0 1:internal:10 1:internal:11 1:internal:12 1:cast:1 1:cast:3";
    (steps, lines)
}

/// A repeated state is entered, and is no change: it keeps its time-out and what is postponed.
fn repeated() -> (Vec<Step>, &'static str) {
    let zero = vec![zero(Kind::State, 10), Request::Insert(step(11, Then::Repeat))];
    let steps = vec![postponed(1, &[0]), requesting(2, zero, Then::Keep), step(3, Then::Go(0))];
    (steps, "0:enter:0 0:cast:2 0:internal:11 0:enter:0 0:state_timeout:10 0:cast:3")
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_order_hold_on_a_machine_and_on_the_beam() {
    let cases = [
        entry_and_replay(),
        zero_and_mailbox(),
        two_changes(),
        event_time_out(),
        inserted(),
        repeated(),
    ];
    let (programs, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    assert_eq!(compared(&programs, "machine_rules").await, expected);
}

#[tokio::test(start_paused = true)]
async fn random_events_are_handled_on_a_machine_and_on_the_beam_in_the_same_order() {
    let count = if is_full() { 20_000 } else { 400 };
    let programs: Vec<_> = (0..count).map(program).collect();
    compared(&programs, "machine_programs").await;
}
