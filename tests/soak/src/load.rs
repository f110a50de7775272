//! The load: calls, casts, failures, kills, sessions, and visitors of the page.
//!
//! Each driver works in steps. Within a step it waits for all that it has begun, and holds a permit:
//! the checks wait until no step is in progress, and then compare every number.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use regrow::{CallError, DynamicSupervisorRef, Runtime};
use tokio::sync::RwLock;
use tokio::time::{interval, timeout};
use tracing::{Instrument, info_span};

use crate::model::Model;
use crate::page::visit;
use crate::tree::{
    ACCOUNTS, Account, Ask, Booking, Drain, FUSES, Front, Get, JOBS, Slow, session_child,
};
use crate::truth::Truth;

/// What the drivers share.
pub(crate) struct Load {
    pub(crate) rt: Runtime,
    pub(crate) truth: Arc<Truth>,
    /// Each step holds it for reading.
    pub(crate) steps: RwLock<()>,
    pub(crate) page: SocketAddr,
    pub(crate) faults: Arc<Model>,
}

const STEP: Duration = Duration::from_millis(40);
/// No limit for the program, but for the test: a busy machine may be slow.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a driver for ever: a step in each interval.
async fn each<F: Future<Output = ()>>(
    load: &Load,
    every: Duration,
    mut step: impl FnMut(u64) -> F,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for number in 0.. {
        ticks.tick().await;
        let permit = load.steps.read().await;
        step(number).await;
        drop(permit);
    }
}

/// Runs all drivers for ever.
pub(crate) async fn run(load: Arc<Load>) {
    let load = &*load;
    tokio::join!(
        each(load, STEP, |step| calls(load, step)),
        each(load, STEP, |step| casts(load, step)),
        each(load, STEP, |step| failures(load, step)),
        each(load, STEP, |step| kills(load, step)),
        each(load, STEP, |step| sessions(load, step)),
        each(load, 100 * STEP, |_| fuse(load)),
        each(load, 75 * STEP, |step| visitor(load, step)),
    );
}

/// Twenty requests through `front` at once, and a call whose deadline passes.
async fn calls(load: &Load, step: u64) {
    let front = load.rt.server::<Front>("front");
    let requests = (0..20).map(|at| {
        let call = front.call_timeout(move |reply| Ask(at % ACCOUNTS, reply), LIMIT);
        call.instrument(info_span!("request", step))
    });
    for result in join_all(requests).await {
        match result {
            Ok(_) => load.truth.answered.add(1),
            Err(error) => load.faults.fault(format!("front does not fail, but: {error}")),
        }
    }
    let slow = load.rt.server::<Slow>("slow");
    match slow.call_timeout(Get, Duration::from_millis(5)).await {
        Ok(_) => load.truth.answered.add(1),
        Err(CallError::Timeout) => load.truth.timed_out.add(1),
        Err(error) => load.faults.fault(format!("slow does not fail, but: {error}")),
    }
}

/// Casts to the accounts, and more to `sink` and `gate` than their mailboxes take.
async fn casts(load: &Load, step: u64) {
    for at in 0..ACCOUNTS {
        let account = load.rt.server::<Account>(format!("account-{at}"));
        // It may be down.
        if account.cast(Booking::Add(step)) {
            load.truth.accepted.add(1);
        }
    }
    let (sink, gate) = (load.rt.server::<Drain>("sink"), load.rt.server::<Drain>("gate"));
    for number in 0..60 {
        for (drain, is_gate) in [(&sink, false), (&gate, true)] {
            match drain.cast(number) {
                true => load.truth.accepted.add(1),
                false if is_gate => load.truth.refused.add(1),
                false => load.faults.fault("the sink refuses nothing".to_owned()),
            }
        }
    }
}

/// Lets two jobs and sometimes an account and one of the trio fail.
async fn failures(load: &Load, step: u64) {
    for (at, how) in [(step * 2, "panic"), (step * 2 + 1, "error")] {
        let name = format!("job-{}", at % JOBS as u64);
        load.rt.send_named(&name, how.as_bytes().to_vec());
    }
    if step.is_multiple_of(10) {
        load.rt.send_named(&format!("trio-{}", step / 10 % 3), b"panic".to_vec());
    }
    if step.is_multiple_of(5) {
        let name = format!("account-{}", step / 5 % ACCOUNTS as u64);
        if load.rt.server::<Account>(name).cast(Booking::Fail) {
            load.truth.accepted.add(1);
        }
    }
}

async fn kills(load: &Load, step: u64) {
    for at in 0..2 {
        let pid = load.truth.victim((step * 7 + at * 11) as usize);
        if pid.is_some_and(|pid| load.rt.kill(pid)) {
            load.truth.kills.add(1);
        }
    }
}

async fn sessions(load: &Load, step: u64) {
    let sessions = DynamicSupervisorRef::named(&load.rt, "sessions");
    for number in step * 3..step * 3 + 3 {
        match sessions.start_child(session_child(number, &load.truth)).await {
            Ok(_) => load.truth.sessions.add(1),
            Err(error) => load.faults.fault(format!("a session did not start: {error}")),
        }
    }
}

/// Lets `fragile` give up: its child fails once more than it may be restarted.
async fn fuse(load: &Load) {
    for failure in 1..=FUSES {
        let Some(pid) = load.rt.whereis("fuse-0") else {
            return load.faults.fault(format!("no fuse before failure {failure}"));
        };
        load.rt.send(pid, b"error".to_vec());
        let restarted = async {
            while load.rt.whereis("fuse-0").is_none_or(|now| now == pid) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if timeout(LIMIT, restarted).await.is_err() {
            load.faults.fault(format!("the fuse is not restarted after failure {failure}"));
        }
    }
    load.truth.give_ups.add(1);
}

async fn visitor(load: &Load, step: u64) {
    let pid = load.rt.list().get(step as usize % 50).map_or(1, |pid| pid.raw());
    match timeout(LIMIT, visit(load.page, pid)).await {
        Ok(Ok(())) => {}
        failed => load.faults.fault(format!("a visitor: {failed:?}")),
    }
}
