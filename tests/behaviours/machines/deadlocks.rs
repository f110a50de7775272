//! Machines while deadlocks are detected.

use regrow::{
    CallError, Event, MachineContext, MachineRef, Next, Pid, Reply, Result, Runtime, StateMachine,
};
use tokio::sync::oneshot;

use crate::support::settled;

type Outcome = Result<(), CallError>;

/// Calls other machines in its handlers. Closed, it postpones the calls that end at it.
struct Peer;

/// A call along this path, the last machine first. The answer is that of the end of the path.
struct Via(Vec<MachineRef<Peer>>, Reply<Outcome>);

/// Opens the machine, after it has called this one.
struct CallAndOpen(MachineRef<Peer>, oneshot::Sender<Outcome>);

async fn through(peer: &MachineRef<Peer>, path: Vec<MachineRef<Peer>>) -> Outcome {
    peer.call(|reply| Via(path, reply)).await?
}

impl StateMachine for Peer {
    type Args = bool;
    type State = bool;
    type Call = Via;
    type Cast = CallAndOpen;
    type Payload = ();

    async fn init(open: bool, _: &mut MachineContext<'_, Self>) -> Result<(bool, Self)> {
        Ok((open, Peer))
    }

    async fn handle_event(
        &mut self,
        open: &bool,
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> Result<Next<bool>> {
        match event {
            Event::Call(Via(mut path, reply)) => {
                let outcome = match path.pop() {
                    None if !open => return Ok(ctx.postpone_awaited(reply, |it| Via(path, it))),
                    None => Ok(()),
                    Some(next) => through(&next, path).await,
                };
                reply.send(outcome);
                Ok(Next::Keep)
            }
            Event::Cast(CallAndOpen(other, told)) => {
                let _ = told.send(through(&other, Vec::new()).await);
                Ok(Next::State(true))
            }
            event => event.unhandled(open),
        }
    }

    fn state_name(open: &bool) -> &'static str {
        if *open { "open" } else { "closed" }
    }
}

async fn two(open: [bool; 2]) -> (Runtime, MachineRef<Peer>, MachineRef<Peer>) {
    let rt = Runtime::new();
    rt.detect_deadlocks(true);
    let first = Peer::start(&rt, open[0]).await.unwrap();
    let second = Peer::start(&rt, open[1]).await.unwrap();
    (rt, first, second)
}

#[track_caller]
fn assert_cycle(outcome: &Outcome, expected: [&MachineRef<Peer>; 3]) {
    let Err(CallError::Deadlock { cycle }) = outcome else { panic!("{outcome:?}") };
    let expected: Vec<Pid> = expected.iter().map(|peer| peer.pid().unwrap()).collect();
    assert_eq!(cycle, &expected);
}

#[tokio::test(start_paused = true)]
async fn a_cycle_of_calls_through_machines_is_refused() {
    let (_rt, first, second) = two([true, true]).await;
    assert_eq!(through(&first, vec![second.clone()]).await, Ok(()));
    let outcome = through(&first, vec![first.clone(), second.clone()]).await;
    assert_cycle(&outcome, [&second, &first, &second]);
    assert_eq!(through(&first, vec![first.clone()]).await, Err(CallError::CallingSelf));
    assert_eq!(through(&second, vec![first.clone()]).await, Ok(()), "both are alive");
}

/// The caller waits for the machine that has postponed its call, as for one that handles it.
#[tokio::test(start_paused = true)]
async fn a_machine_that_calls_the_caller_of_a_call_that_it_has_postponed_gets_a_deadlock_error() {
    let (rt, first, second) = two([true, false]).await;
    let asked = tokio::spawn({
        let (first, second) = (first.clone(), second.clone());
        async move { through(&first, vec![second]).await }
    });
    settled().await;
    assert_eq!(rt.machine_status(second.pid().unwrap()).unwrap().postponed, 1);
    let (told, outcome) = oneshot::channel();
    assert!(second.cast(CallAndOpen(first.clone(), told)));
    assert_cycle(&outcome.await.unwrap(), [&second, &first, &second]);
    assert_eq!(asked.await.unwrap(), Ok(()), "the postponed call is answered after the change");
    let (told, outcome) = oneshot::channel();
    assert!(second.cast(CallAndOpen(first, told)));
    assert_eq!(outcome.await.unwrap(), Ok(()), "the first machine waits no longer");
}
