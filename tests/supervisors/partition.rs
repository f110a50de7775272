//! Partitions: several instances of one server, selected by key.

use crate::support;

use std::collections::HashSet;

use regrow::{
    CallError, ChildSpec, DynamicSupervisor, GenServer, PartitionKey, PartitionSupervisor,
    PartitionSupervisorRef, Pid, Reply, Result, Runtime, ServerContext, StartError, TaskSupervisor,
};
use support::settled;

/// The index of a partition, and the number of its earlier starts.
struct Partition(usize, u32);

impl GenServer for Partition {
    type Args = usize;
    type Call = Reply<(usize, u32, Pid)>;
    type Cast = ();

    async fn init(index: usize, ctx: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Partition(index, ctx.start_cause().restarts()))
    }

    async fn handle_call(&mut self, reply: Self::Call, ctx: &mut ServerContext<Self>) -> Result {
        reply.send((self.0, self.1, ctx.pid()));
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        panic!("as asked")
    }
}

fn partitions() -> PartitionSupervisor<Partition> {
    PartitionSupervisor::new("partitions", |index| index)
}

async fn index(all: &PartitionSupervisorRef<Partition>, key: impl Into<PartitionKey>) -> usize {
    all.partition(key).call(|reply| reply).await.unwrap().0
}

/// PAR-001.
#[tokio::test(start_paused = true)]
async fn partitions_are_numbered_children() {
    let rt = Runtime::new();
    let all = partitions().partitions(3).start(&rt).await.unwrap();
    let children = all.supervisor().which_children().await.unwrap();
    let ids: Vec<&str> = children.iter().map(|child| child.id.as_str()).collect();
    assert_eq!((ids, all.partitions()), (vec!["0", "1", "2"], 3));
    all.stop().await.unwrap();
    let all = partitions().start(&rt).await.unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(all.supervisor().count_children().await.unwrap().active, cores);
}

/// PAR-002.
#[tokio::test(start_paused = true)]
async fn an_integer_key_selects_a_partition_by_its_absolute_value() {
    let rt = Runtime::new();
    let all = partitions().partitions(3).start(&rt).await.unwrap();
    let mut found = Vec::new();
    for key in [0, 1, 2, 3, -1] {
        found.push(index(&all, key).await);
    }
    assert_eq!(found, [0, 1, 2, 0, 1]);
    for key in [i64::MIN, i64::MAX] {
        assert_eq!(index(&all, key).await, (key.unsigned_abs() % 3) as usize);
    }
}

/// PAR-003.
#[tokio::test(start_paused = true)]
async fn other_keys_are_hashed_and_always_select_the_same_partition() {
    let rt = Runtime::new();
    let all = partitions().partitions(8).start(&rt).await.unwrap();
    let mut used = HashSet::new();
    for n in 0..1_000 {
        let key = format!("key {n}");
        let first = index(&all, &key).await;
        assert_eq!(index(&all, key.as_str()).await, first);
        used.insert(first);
    }
    assert_eq!(used.len(), 8);
}

/// PAR-004.
#[tokio::test]
async fn zero_partitions_are_refused() {
    let rt = Runtime::new();
    let refused = partitions().partitions(0).start(&rt).await.unwrap_err();
    assert!(matches!(&refused, StartError::Invalid(what) if what.contains("partitions")));
    assert_eq!(rt.spawned(), 0);
}

/// PAR-006.
#[tokio::test(start_paused = true)]
async fn a_partition_keeps_its_index_after_a_restart() {
    let rt = Runtime::new();
    let all = partitions().partitions(3).start(&rt).await.unwrap();
    let ask = async |at: usize| all.at(at).call(|reply| reply).await.unwrap();
    let before = (ask(0).await, ask(1).await, ask(2).await);
    assert_eq!((before.0.0, before.1.0, before.2.0), (0, 1, 2));
    all.at(1).cast(());
    settled().await;
    let after = ask(1).await;
    assert_eq!((after.0, after.1), (1, 1));
    assert_ne!(after.2, before.1.2);
    assert_eq!(ask(2).await, before.2);
}

/// Children are spread over several dynamic supervisors. A supervisor that is killed takes only its
/// own children with it, and is restarted without children under the same key.
#[tokio::test(start_paused = true)]
async fn dynamic_supervisors_can_be_partitioned() {
    let rt = Runtime::new();
    let spec = |index| DynamicSupervisor::new().max_children(index + 1);
    let jobs = PartitionSupervisor::<DynamicSupervisor>::new("jobs", spec);
    let jobs = jobs.partitions(2).start(&rt).await.unwrap();
    let job = || ChildSpec::task("job", |_| std::future::pending());
    let first = jobs.partition(0).start_child(job()).await.unwrap();
    let second = jobs.partition(1).start_child(job()).await.unwrap();
    assert_eq!(jobs.partition(2).start_child(job()).await, Err(StartError::MaxChildren(1)));
    assert!(jobs.partition(-3).start_child(job()).await.is_ok());

    rt.kill(jobs.at(0).pid().unwrap());
    settled().await;
    assert!(!rt.is_alive(first) && rt.is_alive(second));
    let mut active = Vec::new();
    for partition in jobs.all() {
        active.push(partition.count_children().await.unwrap().active);
    }
    assert_eq!(active, [0, 2]);
    assert!(jobs.partition(0).start_child(job()).await.is_ok());
    assert_eq!(jobs.partition(0).start_child(job()).await, Err(StartError::MaxChildren(1)));
    jobs.stop().await.unwrap();
    assert_eq!(rt.process_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn task_supervisors_can_be_partitioned() {
    let rt = Runtime::new();
    let tasks = PartitionSupervisor::<TaskSupervisor>::new("tasks", |_| TaskSupervisor::new());
    let tasks = tasks.partitions(3).start(&rt).await.unwrap();
    let body = |_| std::future::pending();
    let pid = tasks.partition("ann").start_child(body).await.unwrap();
    let found = tasks.partition("ann").children().await.unwrap();
    assert_eq!(found, [pid]);
    assert_eq!(tasks.all().len(), 3);
}

/// The index is beyond the last partition.
#[tokio::test(start_paused = true)]
async fn a_partition_index_beyond_the_last_fails_with_noproc() {
    let rt = Runtime::new();
    let all = partitions().partitions(3).start(&rt).await.unwrap();
    assert_eq!(
        all.at(3).call(|reply| reply).await,
        Err(CallError::NoHolder("partitions/3".into()))
    );
    assert_eq!(all.at(2).call(|reply| reply).await.unwrap().0, 2);
}
