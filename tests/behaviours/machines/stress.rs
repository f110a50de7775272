//! Many machines under load, with kills and crashes: every caller gets an outcome, and nothing is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regrow::{
    CallError, Event, Machine, MachineContext, Next, Reply, Result, Runtime, StateMachine,
    Supervisor,
};

use crate::support::assert_nothing_left;

/// Answers only when it is open, and opens and closes by itself.
struct Gate;

enum Call {
    Pass(u64, Reply<u64>),
}

enum Cast {
    Toggle,
    Crash,
}

impl StateMachine for Gate {
    type Args = ();
    type State = bool;
    type Call = Call;
    type Cast = Cast;
    type Payload = ();

    async fn init((): (), ctx: &mut MachineContext<'_, Self>) -> Result<(bool, Self)> {
        ctx.timeout("toggle", Duration::from_millis(1), ());
        Ok((false, Gate))
    }

    async fn handle_event(
        &mut self,
        open: &bool,
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> Result<Next<bool>> {
        match (open, event) {
            (true, Event::Call(Call::Pass(n, reply))) => {
                reply.send(n);
                Ok(Next::Keep)
            }
            (false, event @ Event::Call(_)) => Ok(ctx.postpone(event)),
            (_, Event::Cast(Cast::Toggle)) => {
                ctx.next_event(Event::Internal(()));
                ctx.state_timeout(Duration::ZERO, ());
                Ok(Next::State(!open))
            }
            (_, Event::Cast(Cast::Crash)) => panic!("as asked"),
            (_, Event::Timeout(..)) => {
                ctx.timeout("toggle", Duration::from_millis(1), ());
                Ok(Next::State(!open))
            }
            _ => Ok(Next::Keep),
        }
    }

    fn state_name(open: &bool) -> &'static str {
        if *open { "open" } else { "closed" }
    }
}

const MACHINES: usize = 8;
const CALLS: u64 = 300;

#[derive(Default)]
struct Outcomes {
    answered: AtomicUsize,
    ended: AtomicUsize,
}

/// Calls a machine, and toggles, crashes and kills it.
async fn call_it(rt: Runtime, name: String, outcomes: Arc<Outcomes>) {
    let gate = rt.server::<Machine<Gate>>(name);
    for n in 0..CALLS {
        if n % 50 == 49 {
            gate.cast(Cast::Crash);
        } else if n % 70 == 69 {
            gate.pid().map(|pid| rt.kill(pid));
        } else if n % 3 == 0 {
            gate.cast(Cast::Toggle);
        }
        let call = |reply| Call::Pass(n, reply);
        let counted = match gate.call_waiting(call, Duration::from_secs(30)).await {
            Ok(answer) if answer == n => &outcomes.answered,
            Err(CallError::Exited(_)) => &outcomes.ended,
            other => panic!("{other:?}"),
        };
        counted.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_caller_of_crashing_and_killed_machines_gets_an_outcome() {
    let rt = Runtime::new();
    let ids: Vec<String> = (0..MACHINES).map(|n| format!("gate{n}")).collect();
    let gates = ids.iter().map(|id| Gate::child(()).with_id(id.clone()).named(id.clone()));
    let spec = Supervisor::one_for_one().unlimited_restarts();
    let tree = gates.fold(spec, |spec, gate| spec.child(gate)).start(&rt).await.unwrap();
    let outcomes = Arc::new(Outcomes::default());
    let callers = ids.iter().chain(&ids);
    let callers = callers.map(|id| call_it(rt.clone(), id.clone(), outcomes.clone()));
    let callers: Vec<_> = callers.map(tokio::spawn).collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let answered = outcomes.answered.load(Ordering::SeqCst);
    let ended = outcomes.ended.load(Ordering::SeqCst);
    assert_eq!(answered + ended, MACHINES * 2 * usize::try_from(CALLS).unwrap());
    assert!(answered > ended, "{answered} answered, {ended} ended");
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}
