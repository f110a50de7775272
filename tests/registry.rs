//! Registries: processes by keys of any type.

mod support;

use std::sync::Arc;

use regrow::{Registry, RegistryChange, RegistryError, Runtime};
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
    let again = Err(RegistryError::AlreadyRegistered { pid: pids[1] });
    assert_eq!(topics.register(pids[1], "news", 9), again);
    let mut told = Vec::new();
    topics.dispatch(&"news", |pid, n| told.push((pid, n)));
    assert_eq!(told, [(pids[0], 0), (pids[1], 1), (pids[2], 2)]);
    killed(&rt, pids[0]).await;
    assert_eq!(topics.whereis(&"news"), Some(pids[1]));
    assert_eq!(topics.all_keys(), ["news"]);
}

/// Whoever sees an end sees the entry gone, and its value dropped.
#[tokio::test]
async fn an_entry_is_gone_before_an_end_is_told() {
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
async fn the_dead_and_the_made_up_are_refused() {
    let rt = Runtime::new();
    let registry: Registry<u64> = Registry::unique(&rt);
    let (dead, unknown) = (dead(&rt).await, regrow::Pid::from_raw(1 << 40));
    for pid in [dead, unknown, regrow::Pid::OUTSIDE] {
        assert_eq!(registry.register(pid, 1, ()), Err(RegistryError::NoProc(pid)));
    }
    assert_eq!((registry.count(), registry.unregister(dead, &1)), (0, false));
}

/// A destructor of a key's value that panics harms nobody.
#[tokio::test]
async fn a_value_that_panics_when_it_is_dropped_harms_nobody() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let rt = Runtime::new();
    let registry: Registry<u64, Bad> = Registry::unique(&rt);
    let holder = idler(&rt);
    registry.register(holder.pid(), 1, Bad).unwrap();
    holder.kill();
    assert_eq!(holder.join().await, regrow::ExitReason::Killed);
    assert_eq!((registry.count(), rt.process_count()), (0, 0));
}

/// A registration and the end of its process, in every order: never an entry of the dead,
/// and changes are told in pairs.
#[test]
fn a_registration_races_the_end_of_its_process() {
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
                assert_eq!(first, Some(RegistryChange::Registered { key: 1, pid }));
            }
            if first.is_some() {
                let gone = Some(RegistryChange::Unregistered { key: 1, pid });
                assert_eq!(changes.next().await, gone);
            }
            assert_eq!(changes.next().await, None);
        },
    );
}
