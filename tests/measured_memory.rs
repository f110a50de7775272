//! The memory of processes as a counting allocator measures it.
//!
//! This file is a program of its own, because its allocator counts the allocations of the whole
//! program. The tests use one thread each, one after the other, so what the program has allocated during a
//! poll is what the poll has allocated.

use peak_alloc::PeakAlloc;
use regrow::{
    ChildSpec, GenServer, MemoryLimitReached, Reply, Restart, Result, Runtime, ServerContext,
    ServerRef, Supervisor,
};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn allocated() -> i64 {
    i64::try_from(ALLOCATOR.current_usage()).unwrap_or(i64::MAX)
}

/// A server that keeps what it is given, and passes it on.
struct Store(Vec<Vec<u8>>);

enum Do {
    Build(usize),
    Keep(Vec<u8>),
    Clear,
    BuildFor(ServerRef<Store>, usize),
}

impl GenServer for Store {
    type Args = ();
    type Call = Reply<usize>;
    type Cast = Do;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Store(Vec::new()))
    }

    async fn handle_call(&mut self, reply: Reply<usize>, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0.len());
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Do, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Do::Build(bytes) => self.0.push(vec![0; bytes]),
            Do::Keep(bytes) => self.0.push(bytes),
            Do::Clear => self.0 = Vec::new(),
            Do::BuildFor(other, bytes) => drop(other.cast(Do::Keep(vec![0; bytes]))),
        }
        Ok(())
    }
}

const MIB: u64 = 1 << 20;

/// How much a process allocates beside its state: its record, buffers, and the slots of its calls.
const SLACK: u64 = 16 * 1024;

async fn memory(rt: &Runtime, store: &ServerRef<Store>) -> u64 {
    store.call(|reply| reply).await.unwrap();
    rt.info(store.pid().unwrap()).unwrap().memory.unwrap()
}

fn block_on<Fut: Future>(future: Fut) -> Fut::Output {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().unwrap().block_on(future)
}

async fn what_a_process_keeps_is_measured_and_what_it_frees_is_subtracted() {
    let rt = Runtime::new();
    assert!(rt.measure_memory(allocated));
    assert!(!rt.measure_memory(|| 0), "the first function stays");
    let store = Store::start(&rt, ()).await.unwrap();
    store.cast(Do::Build(MIB as usize));
    let kept = memory(&rt, &store).await;
    assert!((MIB..MIB + SLACK).contains(&kept), "{kept}");
    store.cast(Do::Clear);
    let kept = memory(&rt, &store).await;
    assert!(kept < SLACK, "{kept}");
}

/// The limit of the account, as its documentation says.
async fn a_message_counts_for_the_process_that_made_it_and_not_for_the_one_that_keeps_it() {
    let rt = Runtime::new();
    rt.measure_memory(allocated);
    let (from, to) = (Store::start(&rt, ()).await.unwrap(), Store::start(&rt, ()).await.unwrap());
    from.cast(Do::BuildFor(to.clone(), MIB as usize));
    assert!(memory(&rt, &from).await >= MIB);
    assert!(memory(&rt, &to).await < SLACK);
    to.cast(Do::Clear);
    assert_eq!(memory(&rt, &to).await, 0, "it has freed more than it has allocated");
}

async fn a_child_that_keeps_too_much_is_killed_and_restarted() {
    let rt = Runtime::new();
    rt.measure_memory(allocated);
    let child = Store::child(()).named("store").max_memory(4 * MIB);
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let (store, first) = (rt.server::<Store>("store"), rt.whereis("store").unwrap());
    let ended = rt.ended(first);
    for _ in 0..5 {
        store.cast(Do::Build(MIB as usize));
    }
    let reason = ended.await;
    let limit = reason.find_error::<MemoryLimitReached>().unwrap();
    assert_eq!(limit.limit, 4 * MIB);
    assert!(limit.used > 4 * MIB);
    while rt.whereis("store").is_none_or(|pid| pid == first) {
        tokio::task::yield_now().await;
    }
    assert_eq!(rt.server::<Store>("store").call(|reply| reply).await.unwrap(), 0);
}

/// A report of the process itself replaces the measure.
async fn a_reported_number_replaces_the_measured_one() {
    let rt = Runtime::new();
    rt.measure_memory(allocated);
    let child = ChildSpec::task("a", |ctx| async move {
        ctx.set_memory(1);
        let _kept = vec![0_u8; 8 * MIB as usize];
        std::future::pending().await
    });
    let child = child.restart(Restart::Temporary).max_memory(MIB).named("a");
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    tokio::task::yield_now().await;
    let info = rt.info(rt.whereis("a").expect("it lives")).unwrap();
    assert_eq!(info.memory, Some(1));
}

/// A measure that panics is no measure.
async fn a_function_that_panics_measures_nothing() {
    let rt = Runtime::new();
    rt.measure_memory(|| std::panic::resume_unwind(Box::new("no")));
    let store = Store::start(&rt, ()).await.unwrap();
    assert_eq!(store.call(|reply| reply).await.unwrap(), 0);
    assert_eq!(rt.info(store.pid().unwrap()).unwrap().memory, None);
}

#[test]
fn memory_is_measured_per_process() {
    block_on(what_a_process_keeps_is_measured_and_what_it_frees_is_subtracted());
    block_on(a_message_counts_for_the_process_that_made_it_and_not_for_the_one_that_keeps_it());
    block_on(a_child_that_keeps_too_much_is_killed_and_restarted());
    block_on(a_reported_number_replaces_the_measured_one());
    block_on(a_function_that_panics_measures_nothing());
}
