//! A machine whose events a test runs one by one, in a `TestContext`.

use regrow::testing::TestContext;
use regrow::{GenServer, Machine, Runtime};

use super::{Call, Script, State, args, go};
use crate::support::drained;

/// The test calls two handlers directly, each while the machine has a next event.
#[tokio::test(start_paused = true)]
async fn a_test_runs_the_entries_and_the_events_of_a_machine_one_by_one() {
    let (args, mut log) = args(|_| (), |_, _| Ok(()));
    let mut ctx = TestContext::new(&Runtime::new());
    let mut machine = Machine::<Script>::init(args, &mut ctx).await.unwrap();
    let (ask, answer) = ctx.question(|reply| Call::Ask("p1", reply));
    machine.handle_call(ask, &mut ctx).await.unwrap();
    assert_eq!((*machine.state(), machine.postponed()), (State::A, 1));
    assert!(ctx.take_continues().is_empty());
    ctx.handle_next(&mut machine).await.unwrap();
    assert_eq!(log.try_recv().unwrap(), "A enter from start");

    machine.handle_cast(go("go", State::B), &mut ctx).await.unwrap();
    machine.handle_cast(super::log("later"), &mut ctx).await.unwrap();
    ctx.handle_next(&mut machine).await.unwrap();
    assert_eq!(answer.await, Ok(State::B));
    assert_eq!(drained(&mut log), ["A cast go", "B enter from A", "B cast later", "B call p1"]);
}
