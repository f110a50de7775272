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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_caller_of_crashing_and_killed_machines_gets_an_outcome() {
    const MACHINES: usize = 8;
    const CALLS: u64 = 300;
    let rt = Runtime::new();
    let ids: Vec<String> = (0..MACHINES).map(|n| format!("gate{n}")).collect();
    let spec = ids.iter().fold(Supervisor::one_for_one().intensity(100_000, Duration::from_secs(1)), |spec, id| {
        spec.child(Gate::child(()).with_id(id.clone()).named(id.clone()))
    });
    let tree = spec.start(&rt).await.unwrap();
    let (answered, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..MACHINES * 2)
        .map(|caller| {
            let (rt, name) = (rt.clone(), ids[caller % MACHINES].clone());
            let (answered, ended) = (answered.clone(), ended.clone());
            tokio::spawn(async move {
                let gate = rt.server::<Machine<Gate>>(name.as_str());
                for n in 0..CALLS {
                    if n % 50 == 49 {
                        gate.cast(Cast::Crash);
                    } else if n % 70 == 69 {
                        gate.pid().map(|pid| rt.kill(pid));
                    } else if n % 3 == 0 {
                        gate.cast(Cast::Toggle);
                    }
                    let call = |reply| Call::Pass(n, reply);
                    match gate.call_waiting(call, Duration::from_secs(30)).await {
                        Ok(answer) => {
                            assert_eq!(answer, n);
                            answered.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(CallError::Exited(_)) => {
                            ended.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let (answered, ended) = (answered.load(Ordering::SeqCst), ended.load(Ordering::SeqCst));
    assert_eq!(answered + ended, MACHINES * 2 * usize::try_from(CALLS).unwrap());
    assert!(answered > ended, "{answered} answered, {ended} ended");
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}
