//! Requests that are spread over partitions, and resizes of partitions.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use regrow::{
    CallError, ChildError, ChildSpec, GenServer, Overflow, PartitionSupervisor,
    PartitionSupervisorRef, Reply, Result, Runtime, ServerContext, Shutdown, StartError,
    Supervisor,
};

use super::SECOND;
use crate::support::{assert_nothing_left, killed, settled};

/// The index of a partition, and the sum of what it was sent.
struct Adder(usize, u64);

enum Call {
    /// Answers with the index and the sum.
    Sum(Reply<(usize, u64)>),
    /// Is answered after this number of seconds.
    Work(u32, Reply<usize>),
}

impl GenServer for Adder {
    type Args = usize;
    type Call = Call;
    type Cast = u64;

    async fn init(index: usize, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.drain_on_stop(60 * SECOND);
        Ok(Adder(index, 0))
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Sum(reply) => reply.send((self.0, self.1)),
            Call::Work(seconds, reply) => {
                tokio::time::sleep(seconds * SECOND).await;
                reply.send(self.0);
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, n: u64, _: &mut ServerContext<Self>) -> Result {
        self.1 += n;
        Ok(())
    }
}

fn adders(count: usize) -> PartitionSupervisor<Adder> {
    PartitionSupervisor::new("adders", |index| index).partitions(count)
}

async fn sums(adders: &PartitionSupervisorRef<Adder>) -> Vec<u64> {
    let mut sums = Vec::new();
    for adder in adders.all() {
        sums.push(adder.call(Call::Sum).await.unwrap().1);
    }
    sums
}

#[tokio::test(start_paused = true)]
async fn round_robin_visits_all_partitions_in_turn_and_passes_over_one_that_is_restarted() {
    let rt = Runtime::new();
    let adders = adders(3).start(&rt).await.unwrap();
    for _ in 0..300 {
        let own = adders.clone();
        assert!(own.round_robin().cast(1));
    }
    assert_eq!(sums(&adders).await, [100, 100, 100]);
    killed(&rt, adders.at(1).pid().unwrap()).await;
    for _ in 0..3 {
        assert!(adders.round_robin().cast(1)); // before the restart
    }
    assert_eq!(sums(&adders).await.iter().sum::<u64>(), 203);
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_to_the_least_loaded_partition() {
    let rt = Runtime::new();
    let adders = adders(3).partition_spec(|child| child.mailbox_capacity(100, Overflow::Reject));
    let adders = adders.start(&rt).await.unwrap();
    let mut calls = Vec::new();
    for (at, seconds) in [(0, 5), (0, 1), (1, 5)] {
        let adder = adders.at(at);
        let work = move |reply| Call::Work(seconds, reply);
        calls.push(tokio::spawn(async move { adder.call_unlimited(work).await }));
        settled().await;
    }
    for _ in 0..10 {
        assert_eq!(adders.least_loaded().pid(), adders.at(2).pid());
    }
    let (adder, work) = (adders.at(2), |reply| Call::Work(5, reply));
    calls.push(tokio::spawn(async move { adder.call_unlimited(work).await }));
    settled().await;
    let chosen: HashSet<_> = (0..10).map(|_| adders.least_loaded().pid()).collect();
    assert_eq!(chosen, [1, 2].map(|at| adders.at(at).pid()).into());
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_partition_gives_a_cast_back_or_drops_the_oldest() {
    let rt = Runtime::new();
    for policy in [Overflow::Reject, Overflow::DropOldest] {
        let adders = adders(1).partition_spec(move |child| child.mailbox_capacity(2, policy));
        let adders = adders.start(&rt).await.unwrap();
        let sent: Vec<_> = [1, 10, 100].map(|n| adders.round_robin().try_cast(n)).into();
        settled().await;
        match policy {
            Overflow::Reject => {
                let refused = sent[2].as_ref().unwrap_err();
                assert_eq!((&refused.reason, refused.cast), (&CallError::Overloaded, 100));
                assert_eq!(sums(&adders).await, [11]);
            }
            _ => assert_eq!((sent[2].is_ok(), sums(&adders).await), (true, vec![110])),
        }
        adders.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_consistent_key_moves_only_to_a_new_partition_or_from_a_stopped_one() {
    let rt = Runtime::new();
    let adders = adders(1).start(&rt).await.unwrap();
    let index = |key: u64| {
        let pid = adders.consistent(key).pid();
        adders.all().iter().position(|adder| adder.pid() == pid).unwrap()
    };
    let all = || (0..2_000).map(index).collect::<Vec<usize>>();
    let mut before = all();
    for count in 2..10 {
        adders.resize(count).await.unwrap();
        let now = all();
        let moved: Vec<_> = now.iter().zip(&before).filter(|(now, before)| now != before).collect();
        assert!(moved.iter().all(|(now, _)| **now == count - 1));
        let share = 2_000 / count;
        assert!((share * 3 / 4..share * 5 / 4).contains(&moved.len()), "{count}: {}", moved.len());
        before = now;
    }
    adders.resize(8).await.unwrap();
    let now = all();
    assert!(now.iter().zip(&before).all(|(now, before)| now == before || *before == 8));
}

/// PAR-001, PAR-002 after a resize.
#[tokio::test(start_paused = true)]
async fn all_handles_use_the_new_number_of_partitions_after_a_resize() {
    let rt = Runtime::new();
    let early = PartitionSupervisorRef::<Adder>::named(&rt, "adders", 7);
    assert_eq!(early.partitions(), 7);
    let tree = Supervisor::one_for_one().child(adders(2).spec().unwrap()).start(&rt).await.unwrap();
    assert_eq!(early.partitions(), 2);
    let late = PartitionSupervisorRef::<Adder>::named(&rt, "adders", 1);
    early.resize(5).await.unwrap();
    for handle in [&early, &late] {
        assert_eq!((handle.partitions(), handle.all().len()), (5, 5));
        assert_eq!(handle.partition(-4).call(Call::Sum).await.unwrap().0, 4);
    }
    let children = late.supervisor().which_children().await.unwrap();
    assert_eq!(
        children.iter().map(|child| &*child.id).collect::<Vec<_>>(),
        ["0", "1", "2", "3", "4"]
    );
    late.resize(3).await.unwrap();
    assert_eq!(early.partition(4).call(Call::Sum).await.unwrap().0, 1);
    assert!(matches!(early.at(4).call(Call::Sum).await, Err(CallError::NoHolder(_))));

    // The number survives a restart of the supervisor.
    killed(&rt, early.supervisor().pid().unwrap()).await;
    settled().await;
    assert_eq!(early.supervisor().count_children().await.unwrap().active, 3);
    assert_eq!(early.partition(5).call(Call::Sum).await.unwrap().0, 2);
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn all_handles_use_the_partitions_of_the_supervisor_that_was_started_last() {
    let rt = Runtime::new();
    let early = PartitionSupervisorRef::<Adder>::named(&rt, "adders", 7);
    let first = adders(2).start(&rt).await.unwrap();
    let copy = first.clone();
    assert_eq!((early.partitions(), first.partitions(), copy.partitions()), (2, 2, 2));
    first.stop().await.unwrap();
    assert_eq!(early.partitions(), 2); // the supervisor may come back
    let second = adders(5).start(&rt).await.unwrap();
    for handle in [&early, &first, &copy, &second] {
        assert_eq!((handle.partitions(), handle.all().len()), (5, 5));
        assert_eq!(handle.partition(4).call(Call::Sum).await.unwrap().0, 4);
    }
    first.resize(6).await.unwrap();
    for handle in [&early, &first, &copy, &second] {
        assert_eq!(handle.partition(5).call(Call::Sum).await.unwrap().0, 5);
    }
    assert_eq!(early.supervisor().count_children().await.unwrap().active, 6);
}

#[tokio::test(start_paused = true)]
async fn handles_use_the_number_that_an_init_chooses_at_each_restart() {
    let rt = Runtime::new();
    let starts = Arc::new(AtomicUsize::new(2));
    let init = move |_| {
        let count = starts.fetch_add(1, Ordering::SeqCst);
        async move { Ok(adders(count).spec()?) }
    };
    let adders = Supervisor::with_init(init).named("adders");
    let tree = Supervisor::one_for_one().child(adders).start(&rt).await.unwrap();
    let adders = PartitionSupervisorRef::<Adder>::named(&rt, "adders", 1);
    for count in 2..5 {
        assert_eq!((adders.partitions(), adders.all().len()), (count, count));
        assert_eq!(adders.partition(count - 1).call(Call::Sum).await.unwrap().0, count - 1);
        killed(&rt, adders.supervisor().pid().unwrap()).await;
        settled().await;
    }
    tree.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_to_a_partition_that_a_resize_stops_gets_the_reason() {
    let rt = Runtime::new();
    let adders = adders(2).partition_spec(|child| child.shutdown(Shutdown::BrutalKill));
    let adders = adders.start(&rt).await.unwrap();
    let (stopped, kept) = (adders.at(1), adders.at(0));
    let in_flight = tokio::spawn(async move { stopped.call(|reply| Call::Work(3, reply)).await });
    let beside = tokio::spawn(async move { kept.call(|reply| Call::Work(3, reply)).await });
    settled().await;
    adders.resize(1).await.unwrap();
    assert!(matches!(in_flight.await.unwrap(), Err(CallError::Exited(_))));
    assert_eq!(beside.await.unwrap(), Ok(0));
}

#[tokio::test(start_paused = true)]
async fn resizes_take_turns_and_one_that_was_dropped_is_completed_by_the_next() {
    let rt = Runtime::new();
    let adders = adders(4).start(&rt).await.unwrap();
    let sizes = [1, 6, 2, 5, 3].map(|size| {
        let adders = adders.clone();
        tokio::spawn(async move { adders.resize(size).await })
    });
    for resize in sizes {
        resize.await.unwrap().unwrap();
    }
    assert_eq!(adders.supervisor().count_children().await.unwrap().active, adders.partitions());

    let busy = adders.at(adders.partitions() - 1);
    tokio::spawn(async move { busy.call(|reply| Call::Work(60, reply)).await });
    settled().await;
    tokio::time::timeout(SECOND, adders.resize(1)).await.unwrap_err(); // waits for the shutdown time
    assert_eq!(adders.partitions(), 1);
    adders.resize(2).await.unwrap();
    assert_eq!(adders.supervisor().count_children().await.unwrap().active, 2);
    assert_eq!(adders.partition(1).call(Call::Sum).await.unwrap().0, 1);
}

/// The dropped resize has stopped the partition, and has not removed it.
#[tokio::test(start_paused = true)]
async fn a_partition_that_a_dropped_resize_has_stopped_is_started_by_the_next() {
    let rt = Runtime::new();
    let adders = adders(3).start(&rt).await.unwrap();
    adders.supervisor().terminate_child("2").await.unwrap();
    adders.resize(3).await.unwrap();
    assert_eq!(adders.partition(2).call(Call::Sum).await.unwrap().0, 2);
    adders.supervisor().terminate_child("1").await.unwrap();
    adders.resize(4).await.unwrap();
    assert_eq!(adders.supervisor().count_children().await.unwrap().active, 4);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_added_to_the_description_of_partitions_runs_beside_them() {
    let rt = Runtime::new();
    let clock = ChildSpec::task("clock", |_| std::future::pending());
    let tree = adders(2).spec().unwrap().child(clock).start(&rt).await.unwrap();
    assert_eq!(tree.count_children().await.unwrap().active, 3);
    let adders = PartitionSupervisorRef::<Adder>::named(&rt, "adders", 2);
    adders.resize(1).await.unwrap();
    let children = tree.which_children().await.unwrap();
    let ids: Vec<&str> = children.iter().map(|child| &*child.id).collect();
    assert_eq!(ids, ["0", "clock"]);
}

#[tokio::test(start_paused = true)]
async fn a_resize_to_zero_and_one_without_a_supervisor_are_refused() {
    let rt = Runtime::new();
    let none = PartitionSupervisorRef::<Adder>::named(&rt, "adders", 3);
    assert!(matches!(none.resize(2).await, Err(ChildError::Unreachable(_))));
    let adders = adders(2).start(&rt).await.unwrap();
    let refused = adders.resize(0).await.unwrap_err();
    assert!(matches!(refused, ChildError::NotStarted(StartError::Invalid(_))), "{refused}");
    assert_eq!(adders.partitions(), 2);
}
