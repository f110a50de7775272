//! Registries: processes by keys of any type.

use crate::support;

use std::sync::Arc;

use futures_util::StreamExt;
use regrow::{
    GenServer, Pid, Registry, RegistryChange, RegistryError, Reply, Result, Runtime, ServerContext,
};
use support::{dead, idle, idler, killed};

#[tokio::test]
async fn a_key_of_a_unique_registry_has_one_holder() {
    let rt = Runtime::new();
    let registry: Registry<(u8, &str), u32> = Registry::unique(&rt);
    let (a, b) = (idle(&rt), idle(&rt));
    assert_eq!(registry.register(a, (1, "x"), 10), Ok(()));
    let taken = Err(RegistryError::AlreadyRegistered { pid: a });
    assert_eq!(registry.register(b, (1, "x"), 20), taken);
    assert_eq!(registry.register(a, (1, "x"), 30), taken);
    assert_eq!(registry.register(a, (2, "y"), 40), Ok(()));
    assert_eq!(registry.lookup(&(1, "x")), [(a, 10)]);
    assert_eq!((registry.keys(a), registry.count()), (vec![(1, "x"), (2, "y")], 2));
    assert!(registry.unregister(a, &(1, "x")));
    assert_eq!(registry.register(b, (1, "x"), 50), Ok(()));
}

#[tokio::test]
async fn a_key_of_a_duplicate_registry_has_many() {
    let rt = Runtime::new();
    let topics: Registry<&str, u32> = Registry::duplicate(&rt);
    let pids = [idle(&rt), idle(&rt), idle(&rt)];
    for (pid, n) in pids.into_iter().zip(0..) {
        topics.register(pid, "news", n).unwrap();
    }
    let mut told = Vec::new();
    topics.dispatch(&"news", |pid, n| told.push((pid, n)));
    assert_eq!(told, [(pids[0], 0), (pids[1], 1), (pids[2], 2)]);
    killed(&rt, pids[0]).await;
    assert_eq!(topics.whereis(&"news"), Some(pids[1]));
    assert_eq!(topics.all_keys(), ["news"]);
}

/// When an end is announced, the entry is already removed and its value dropped.
#[tokio::test]
async fn a_registry_entry_is_removed_before_the_end_is_announced() {
    let rt = Runtime::new();
    let registry: Registry<u64, Arc<()>> = Registry::unique(&rt);
    let value = Arc::new(());
    for key in 0..100 {
        let holder = idler(&rt);
        registry.register(holder.pid(), key, value.clone()).unwrap();
        let (seen, looked) = (registry.clone(), rt.clone());
        let pid = holder.pid();
        let watcher = rt.spawn(move |mut ctx| async move {
            looked.monitor(ctx.pid(), pid);
            ctx.recv().await;
            assert_eq!((seen.whereis(&key), seen.keys(pid)), (None, vec![]));
        });
        holder.kill();
        assert_eq!(watcher.join().await, regrow::ExitReason::Normal);
    }
    assert_eq!((Arc::strong_count(&value), registry.count()), (1, 0));
}

#[tokio::test]
async fn register_refuses_ended_and_unknown_pids() {
    let rt = Runtime::new();
    let registry: Registry<u64> = Registry::unique(&rt);
    let (dead, unknown) = (dead(&rt).await, regrow::Pid::from_raw(1 << 40));
    for pid in [dead, unknown, regrow::Pid::OUTSIDE] {
        assert_eq!(registry.register(pid, 1, ()), Err(RegistryError::NoProc(pid)));
    }
    assert_eq!((registry.count(), registry.unregister(dead, &1)), (0, false));
}

/// A panicking destructor of a key's value affects no process.
#[tokio::test]
async fn a_registry_value_that_panics_when_dropped_is_caught() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let rt = Runtime::new();
    let registry: Registry<u64, Bad> = Registry::unique(&rt);
    let holder = idler(&rt);
    for key in 0..3 {
        registry.register(holder.pid(), key, Bad).unwrap();
    }
    holder.kill();
    assert_eq!(holder.join().await, regrow::ExitReason::Killed);
    assert_eq!((registry.count(), rt.process_count()), (0, 0));
}

/// A registration races with the end of its process: no entry of an ended process is left, and
/// additions and removals are reported in pairs.
#[test]
fn a_registration_during_an_exit_leaves_no_entry() {
    let make = |rt: &Runtime| {
        let registry: Registry<u64> = Registry::unique(rt);
        let changes = std::sync::Mutex::new(registry.changes());
        (registry, changes, idle(rt))
    };
    support::race::race(
        make,
        |_, (registry, _, pid)| registry.register(*pid, 1, ()),
        |rt, (_, _, pid)| rt.kill(*pid),
        async |rt, (registry, changes, pid), registered, _| {
            rt.ended(pid).await;
            assert_eq!((registry.count(), registry.whereis(&1)), (0, None));
            drop(registry);
            let mut changes = changes.into_inner().unwrap();
            let first = changes.next().await;
            if registered.is_ok() {
                assert_eq!(first, Some(RegistryChange::Registered { key: 1, pid, value: () }));
            }
            if first.is_some() {
                let gone = Some(RegistryChange::Unregistered { key: 1, pid, value: () });
                assert_eq!(changes.next().await, gone);
            }
            assert_eq!(changes.next().await, None);
        },
    );
}

/// After an end is announced, no entry of that process is visible, not even during a concurrent
/// registration.
#[test]
fn no_entry_of_an_ended_process_is_visible_during_a_registration() {
    support::race::on_workers(async |rt| {
        let registry: Registry<u64> = Registry::unique(&rt);
        let (register, mut wanted) = tokio::sync::mpsc::unbounded_channel::<Pid>();
        let registrar = registry.clone();
        let registrar = std::thread::spawn(move || {
            while let Some(pid) = wanted.blocking_recv() {
                drop(registrar.register(pid, 1, ()));
            }
        });
        for _ in 0..5_000 {
            let holder = idler(&rt);
            register.send(holder.pid()).unwrap();
            holder.kill();
            holder.join().await;
            assert_eq!(registry.lookup(&1), []);
        }
        drop(register);
        registrar.join().unwrap();
    });
}

/// A value that is rejected, removed or replaced is dropped only when the registry can be used
/// again.
#[tokio::test]
async fn a_value_may_use_the_registry_when_it_is_dropped() {
    #[derive(Clone)]
    struct Curious(Registry<u64, Curious>);
    impl Drop for Curious {
        fn drop(&mut self) {
            self.0.count();
        }
    }
    let rt = Runtime::new();
    let registry: Registry<u64, Curious> = Registry::unique(&rt);
    let pid = idle(&rt);
    registry.register(pid, 1, Curious(registry.clone())).unwrap();
    assert!(registry.register(pid, 1, Curious(registry.clone())).is_err());
    assert!(registry.update(pid, &1, |value| *value = Curious(value.0.clone())));
    assert!(registry.unregister(pid, &1));
    registry.register(pid, 1, Curious(registry.clone())).unwrap();
    killed(&rt, pid).await;
    assert_eq!(registry.count(), 0);
}

/// Each key that a registry clones, refuses, shares or removes is dropped only when the registry can
/// be used again.
#[tokio::test]
async fn a_key_may_use_the_registry_when_it_is_dropped() {
    #[derive(Clone)]
    struct Curious(u64, Registry<Curious>);
    impl PartialEq for Curious {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Curious {}
    impl std::hash::Hash for Curious {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
    impl Drop for Curious {
        fn drop(&mut self) {
            self.1.count();
        }
    }
    let rt = Runtime::new();
    for registry in [Registry::unique(&rt), Registry::duplicate(&rt)] {
        let (one, two) = (idle(&rt), idle(&rt));
        let key = || Curious(1, registry.clone());
        assert_eq!(registry.register(one, key(), ()), Ok(()));
        // A second holder of the key, or a refusal.
        let second = registry.register(two, key(), ()).is_ok();
        assert_eq!(registry.count(), 1 + usize::from(second));
        assert!(registry.unregister(one, &key()));
        registry.register(one, key(), ()).unwrap_or_default();
        killed(&rt, one).await;
        killed(&rt, two).await;
        assert_eq!(registry.count(), 0);
    }
}

/// As in Elixir, a process may register one key of a duplicate registry many times.
#[tokio::test]
async fn a_process_may_register_a_duplicate_key_several_times() {
    let rt = Runtime::new();
    let topics: Registry<&str, u32> = Registry::duplicate(&rt);
    let (one, two) = (idle(&rt), idle(&rt));
    for (pid, value) in [(one, 1), (two, 2), (one, 3)] {
        assert_eq!(topics.register(pid, "news", value), Ok(()));
    }
    assert_eq!(topics.lookup(&"news"), [(one, 1), (two, 2), (one, 3)]);
    assert_eq!((topics.keys(one), topics.count()), (vec!["news", "news"], 3));
    assert!(topics.unregister(one, &"news"));
    assert_eq!(topics.lookup(&"news"), [(two, 2)]);
    assert_eq!(topics.keys(one), Vec::<&str>::new());
}

/// A process that outlives a registry keeps no value of it.
#[tokio::test]
async fn a_registry_is_dropped_with_its_last_handle() {
    let rt = Runtime::new();
    let (pid, value) = (idle(&rt), Arc::new(()));
    let registry: Registry<u64, Arc<()>> = Registry::unique(&rt);
    let mut changes = registry.changes();
    registry.register(pid, 1, value.clone()).unwrap();
    drop(registry);
    assert_eq!(Arc::strong_count(&value), 2); // here, and in the change
    let registered = RegistryChange::Registered { key: 1, pid, value: value.clone() };
    assert_eq!(changes.next().await, Some(registered));
    assert_eq!(Arc::strong_count(&value), 1);
    assert_eq!(changes.next().await, None);
    killed(&rt, pid).await;
}

/// T46: many processes register and leave one key, and no removal searches through the others.
#[tokio::test]
async fn a_key_may_have_very_many_holders() {
    let rt = Runtime::new();
    let topics: Registry<&str> = Registry::duplicate(&rt);
    let all: Vec<_> = (0..20_000).map(|_| idler(&rt)).collect();
    for one in &all {
        topics.register(one.pid(), "news", ()).unwrap();
    }
    let mut seen = Vec::new();
    topics.dispatch(&"news", |pid, ()| seen.push(pid));
    assert_eq!(seen, all.iter().map(|one| one.pid()).collect::<Vec<_>>());
    rt.shutdown();
    for one in all.iter().rev() {
        one.join().await;
    }
    assert_eq!(topics.count(), 0);
}

/// Every listener receives every change in order, however late it reads.
#[tokio::test]
async fn every_listener_receives_every_change_in_order() {
    let rt = Runtime::new();
    let registry: Registry<u64> = Registry::duplicate(&rt);
    let (mut one, two) = (registry.changes(), registry.changes());
    let pid = idle(&rt);
    for key in 0..2_000 {
        registry.register(pid, key, ()).unwrap();
    }
    let late = registry.changes();
    assert!(registry.unregister(pid, &1));
    assert!(!registry.unregister(pid, &1));
    killed(&rt, pid).await;
    drop(registry);

    let registered = (0..2_000).map(|key| RegistryChange::Registered { key, pid, value: () });
    let gone = [1, 0].into_iter().chain(2..2_000);
    let gone = gone.map(|key| RegistryChange::Unregistered { key, pid, value: () });
    let all: Vec<_> = registered.chain(gone.clone()).collect();
    assert_eq!(two.collect::<Vec<_>>().await, all);
    assert_eq!(late.collect::<Vec<_>>().await, gone.collect::<Vec<_>>());
    assert_eq!(one.next().await.as_ref(), all.first());
}

/// A change has the value that the entry has then; a registry without listeners needs no `Clone`.
#[tokio::test]
async fn a_change_of_a_registry_has_the_value_of_the_entry() {
    let rt = Runtime::new();
    let registry: Registry<u64, String> = Registry::duplicate(&rt);
    let mut changes = registry.changes();
    let pid = idle(&rt);
    registry.register(pid, 1, "one".into()).unwrap();
    registry.update(pid, &1, |value| value.push('!'));
    registry.register(pid, 1, "two".into()).unwrap();
    killed(&rt, pid).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(match changes.next().await {
            Some(RegistryChange::Registered { value, .. }) => format!("+{value}"),
            Some(RegistryChange::Unregistered { value, .. }) => format!("-{value}"),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, ["+one", "+two", "-one!", "-two"]);

    struct Unique;
    let plain: Registry<u64, Unique> = Registry::unique(&rt);
    plain.register(idle(&rt), 1, Unique).unwrap();
    assert!(plain.whereis(&1).is_some());
}

/// A server that keeps the last change of a registry as its state.
struct Mirror(Option<RegistryChange<u64>>);

impl GenServer for Mirror {
    type Args = Registry<u64>;
    type Call = Reply<Option<RegistryChange<u64>>>;
    type Cast = Option<RegistryChange<u64>>;

    async fn init(registry: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.pipe(registry.changes(), |change| change);
        Ok(Mirror(None))
    }

    async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0.clone());
        Ok(())
    }

    async fn handle_cast(&mut self, last: Self::Cast, _: &mut ServerContext<Self>) -> Result {
        self.0 = last;
        Ok(())
    }
}

/// A pipe delivers changes into the mailbox of a server.
#[tokio::test(start_paused = true)]
async fn a_server_receives_registry_changes_through_a_pipe() {
    let rt = Runtime::new();
    let registry: Registry<u64> = Registry::unique(&rt);
    let mirror = Mirror::start(&rt, registry.clone()).await.unwrap();
    let pid = idle(&rt);
    registry.register(pid, 7, ()).unwrap();
    support::settled().await;
    let last = mirror.call(|reply| reply).await.unwrap();
    assert_eq!(last, Some(RegistryChange::Registered { key: 7, pid, value: () }));
    killed(&rt, pid).await;
    support::settled().await;
    let last = mirror.call(|reply| reply).await.unwrap();
    assert_eq!(last, Some(RegistryChange::Unregistered { key: 7, pid, value: () }));
}

/// OTP's `via`: the call looks up the holder of a key when it is made.
#[tokio::test(start_paused = true)]
async fn a_server_is_reached_by_its_key() {
    let rt = Runtime::new();
    let (changes, mirrors) = (Registry::unique(&rt), Registry::<(u8, &str)>::unique(&rt));
    let mirror = Mirror::start(&rt, changes).await.unwrap();
    let (pid, key) = (mirror.pid().unwrap(), (7, "east"));
    mirrors.register(pid, key, ()).unwrap();
    let found = mirrors.server::<Mirror>(&key).unwrap();
    assert_eq!(found.call(|reply| reply).await, Ok(None));
    killed(&rt, pid).await;
    assert!(mirrors.server::<Mirror>(&key).is_none());
}

/// Concurrent updates of one entry are each applied exactly once.
#[test]
fn concurrent_updates_are_all_applied() {
    support::race::on_workers(async |rt| {
        let registry: Registry<u64, u64> = Registry::unique(&rt);
        let pid = idle(&rt);
        registry.register(pid, 1, 0).unwrap();
        let adders = (0..8).map(|_| {
            let registry = registry.clone();
            tokio::spawn(async move {
                for _ in 0..500 {
                    assert!(registry.update(pid, &1, |value| *value += 1));
                }
            })
        });
        for adder in adders.collect::<Vec<_>>() {
            adder.await.unwrap();
        }
        assert_eq!(registry.entries(), [(1, pid, 4_000)]);
        assert!(!registry.update(pid, &2, |value| *value += 1));
    });
}
