//! Event managers: their handlers, and what becomes of a handler that fails.

use super::{Ask, Event, Init, Manager, Notes, Spy, add, crashed, manager, texts};
use crate::support;

use std::time::Duration;

use regrow::{
    CallError, EventHandlers, EventManager, ExitReason, GenServer, HandlerError, HandlerId,
    LifecycleEvent, Name, Notify, Received, Runtime, StartError, Supervisor,
};
use support::log::Log;
use support::settled;

const MANAGER: Name<EventManager<Event>> = Name::new("manager");

/// EVT-001.
#[tokio::test]
async fn handlers_are_listed_in_the_order_of_their_addition() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    assert!(texts(&manager).await.is_empty());
    add(&manager, "one", &notes).await;
    assert_eq!(texts(&manager).await, ["one"]);
    add(&manager, "two", &notes).await;
    let other = manager.add_handler::<Spy<2>>("one", (notes.clone(), Init::Fine)).await.unwrap();
    assert_eq!(texts(&manager).await, ["one", "two", "one"]);
    assert!(other.id().is::<Spy<2>>() && !other.id().is::<Spy>());
    assert_eq!(manager.get_status().await.unwrap().line.unwrap().matches("0 events").count(), 3);
}

/// EVT-001: an init error is given back, and nothing is added.
#[tokio::test]
async fn a_handler_whose_init_fails_or_panics_is_not_added() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    for (init, text) in [(Init::Fails, "no luck"), (Init::Panics, "as asked")] {
        let refused = manager.add_handler::<Spy>("bad", (notes.clone(), init)).await.unwrap_err();
        let HandlerError::InitFailed { handler, reason } = refused else { panic!("{refused:?}") };
        assert_eq!((handler.text(), crashed(&reason)), ("bad", text.to_owned()));
    }
    assert!(texts(&manager).await.is_empty());
    assert_eq!(notes.take(), [""; 0]);
}

#[tokio::test]
async fn a_second_handler_with_the_same_id_is_refused() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let one = add(&manager, "one", &notes).await;
    let again = manager.add_handler::<Spy>("one", (notes.clone(), Init::Fine)).await;
    assert_eq!(again.unwrap_err(), HandlerError::AlreadyAdded(one.id().clone()));
    assert_eq!(notes.take(), ["init one"]);
}

/// EVT-002.
#[tokio::test(start_paused = true)]
async fn all_handlers_get_all_events_in_order_and_notify_does_not_wait() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let handlers = [add(&manager, "one", &notes).await, add(&manager, "two", &notes).await];
    assert!(
        manager.notify(Event("wait")) && manager.notify(Event("a")) && manager.notify(Event("b"))
    );
    settled().await;
    assert_eq!(notes.take().last().unwrap(), "one wait"); // both handlers wait for the first one
    notes.1.add_permits(2);
    for handler in &handlers {
        assert_eq!(handler.call(Ask::Events).await.unwrap(), ["wait", "a", "b"]);
    }
    assert_eq!(notes.take(), ["two wait", "one a", "two a", "one b", "two b"]);
}

/// EVT-003.
#[tokio::test(start_paused = true)]
async fn sync_notify_returns_when_every_handler_is_done() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    for text in ["one", "two"] {
        add(&manager, text, &notes).await;
    }
    let notified = tokio::spawn({
        let manager = manager.clone();
        async move { manager.sync_notify(Event("wait")).await }
    });
    notes.1.add_permits(1);
    settled().await;
    assert!(!notified.is_finished()); // the second handler waits
    notes.1.add_permits(1);
    assert_eq!(notified.await.unwrap(), Ok(()));
}

/// EVT-004.
#[tokio::test(start_paused = true)]
async fn a_call_reaches_one_handler_and_an_absent_one_is_an_error() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let (one, _two) = (add(&manager, "one", &notes).await, add(&manager, "two", &notes).await);
    manager.notify(Event("a"));
    assert_eq!(one.call(Ask::Events).await.unwrap(), ["a"]);
    one.call(Ask::Later).await.unwrap();
    let limit = Duration::from_millis(5);
    let late = one.call_timeout(Ask::Later, limit).await.unwrap_err();
    assert_eq!(late, HandlerError::Manager(CallError::Timeout));
    let dropped = one.call(|_reply| Ask::Drop { _reply }).await.unwrap_err();
    assert_eq!(dropped, HandlerError::Manager(CallError::NoReply));
    let absent = manager.handler::<Spy>("three").call(Ask::Events).await.unwrap_err();
    assert_eq!(absent, HandlerError::NotFound(HandlerId::of::<Spy>("three")));
    let other_type = manager.handler::<Spy<2>>("one").call(Ask::Events).await.unwrap_err();
    let text = other_type.to_string();
    assert!(text.starts_with("the event manager has no handler Spy<2> \"one\": "), "{text}");
    assert_eq!(notes.take(), ["init one", "init two", "one a", "two a"]);
}

/// EVT-004: a handler that panics in a call is removed, and its caller gets the reason.
#[tokio::test]
async fn a_call_that_panics_removes_its_handler_alone() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let (one, two) = (add(&manager, "one", &notes).await, add(&manager, "two", &notes).await);
    let failed = one.call(Ask::Panic).await.unwrap_err();
    let HandlerError::Failed { handler, reason } = failed else { panic!("{failed:?}") };
    assert_eq!((&handler, crashed(&reason)), (one.id(), "as asked".to_owned()));
    assert_eq!(texts(&manager).await, ["two"]);
    assert_eq!(two.call(Ask::ReplyAndPanic).await, Ok(7)); // it had replied
    assert!(texts(&manager).await.is_empty());
}

/// EVT-005.
#[tokio::test]
async fn delete_returns_what_terminate_returns_and_fails_the_second_time() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let one = add(&manager, "one", &notes).await;
    manager.notify(Event("a"));
    assert_eq!(one.delete("bye").await.unwrap(), ["a"]);
    assert_eq!(notes.take().last().unwrap(), "terminate Deleted(\"bye\")");
    assert_eq!(one.delete("bye").await, Err(HandlerError::NotFound(one.id().clone())));
    assert_eq!(notes.take(), [""; 0]);
}

#[tokio::test]
async fn a_handler_that_panics_in_terminate_is_removed_all_the_same() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let one = add(&manager, "one", &notes).await;
    manager.notify(Event("end badly"));
    let failed = one.delete("bye").await.unwrap_err();
    assert!(matches!(failed, HandlerError::Failed { .. }), "{failed:?}");
    assert!(texts(&manager).await.is_empty());
}

/// EVT-007.
#[tokio::test]
async fn a_handler_removes_itself_and_the_others_stay() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let one = add(&manager, "one", &notes).await;
    manager.sync_notify(Event("leave")).await.unwrap();
    assert_eq!(notes.take(), ["init one", "one leave", "terminate OwnRequest"]);
    add(&manager, "one", &notes).await; // the id is free
    manager.sync_notify(Event("a")).await.unwrap();
    assert_eq!(one.call(Ask::Events).await.unwrap(), ["a"]);
}

/// EVT-007, EVT-009: the first handler fails, and the second one gets the same event.
#[tokio::test]
async fn a_handler_that_fails_is_removed_alone_and_reported() {
    let (rt, notes, log) = (Runtime::new(), Notes::new(), Log::listen());
    rt.set_log_level(regrow::LogLevel::Error);
    let manager = manager(&rt).await;
    let mut events = rt.events();
    for (event, reason) in [("panic", "panic: as asked"), ("fail", "error: failed")] {
        add(&manager, "bad", &notes).await;
        manager.sync_notify(Event(event)).await.unwrap();
        let lines = notes.take();
        assert_eq!(lines[..2], ["init bad".to_owned(), format!("bad {event}")]);
        assert!(lines[2].starts_with(&format!("terminate Failed({reason}")), "{lines:?}");
        let Some(LifecycleEvent::HandlerFailed { manager: pid, handler, reason: why }) =
            events.next().await
        else {
            panic!("another event")
        };
        assert_eq!((Some(pid), handler.as_str()), (manager.pid(), "Spy \"bad\""));
        assert!(why.to_string().starts_with(reason), "{why}");
    }
    let lines: Vec<_> =
        log.take().into_iter().filter(|line| line.target == "regrow::events").collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].head(), "ERROR event handler removed");
    assert!(manager.get_status().await.unwrap().line.unwrap().ends_with("2 failed"));
    assert!(rt.is_alive(manager.pid().unwrap()));
}

#[tokio::test]
async fn handlers_after_one_that_is_removed_get_the_same_event() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    for text in ["one", "two", "three"] {
        add(&manager, text, &notes).await;
    }
    notes.take();
    manager.sync_notify(Event("panic")).await.unwrap();
    let got: Vec<_> = notes.take().into_iter().filter(|line| line.ends_with(" panic")).collect();
    assert_eq!(got, ["one panic", "two panic", "three panic"]);
    assert!(texts(&manager).await.is_empty());
    assert_eq!(manager.sync_notify(Event("a")).await, Ok(()));
}

#[tokio::test]
async fn a_swap_passes_the_output_on_and_keeps_the_place() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let (one, _) = (add(&manager, "one", &notes).await, add(&manager, "two", &notes).await);
    manager.notify(Event("a"));
    let args = notes.clone();
    let new = one.swap::<Spy<2>>("go", "new", move |events| {
        assert_eq!(events.unwrap(), ["a"]);
        (args, Init::Fine)
    });
    new.await.unwrap();
    assert_eq!(texts(&manager).await, ["new", "two"]);
    let expected = ["terminate Swapped(\"go\")", "init new"];
    assert_eq!(notes.take()[4..], expected);
}

#[tokio::test]
async fn a_swap_of_an_absent_handler_adds_the_new_one() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let absent = manager.handler::<Spy>("absent");
    let (args, id) = (notes.clone(), absent.id().clone());
    let new = absent.swap::<Spy<2>>("go", "new", move |events| {
        assert_eq!(events.unwrap_err(), HandlerError::NotFound(id));
        (args, Init::Fine)
    });
    new.await.unwrap();
    assert_eq!(texts(&manager).await, ["new"]);
}

#[tokio::test]
async fn a_swap_whose_terminate_panics_adds_the_new_handler() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let one = add(&manager, "one", &notes).await;
    manager.notify(Event("end badly"));
    let args = notes.clone();
    let new = one.swap::<Spy<2>>("go", "new", move |events| {
        assert!(matches!(events, Err(HandlerError::Failed { .. })));
        (args, Init::Fine)
    });
    new.await.unwrap();
    assert_eq!(texts(&manager).await, ["new"]);
}

#[tokio::test]
async fn a_swap_to_an_id_that_is_taken_changes_nothing() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let (one, two) = (add(&manager, "one", &notes).await, add(&manager, "two", &notes).await);
    let args = notes.clone();
    let refused = one.swap::<Spy>("go", "two", move |_| (args, Init::Fine)).await.unwrap_err();
    assert_eq!(refused, HandlerError::AlreadyAdded(two.id().clone()));
    assert_eq!(texts(&manager).await, ["one", "two"]);
    let args = notes.clone();
    one.swap::<Spy>("go", "one", move |_| (args, Init::Fine)).await.unwrap(); // its own id
    assert_eq!(texts(&manager).await, ["one", "two"]);
}

#[tokio::test]
async fn a_swap_whose_new_handler_fails_leaves_neither() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let (one, _) = (add(&manager, "one", &notes).await, add(&manager, "two", &notes).await);
    let args = notes.clone();
    let refused = one.swap::<Spy<2>>("go", "new", move |_| (args, Init::Panics)).await;
    assert!(matches!(refused, Err(HandlerError::InitFailed { .. })));
    let two = manager.handler::<Spy>("two");
    let refused = two.swap::<Spy<2>>("go", "new", |_| panic!("no arguments")).await;
    assert!(matches!(refused, Err(HandlerError::InitFailed { .. })));
    assert!(texts(&manager).await.is_empty());
    assert!(rt.is_alive(manager.pid().unwrap()));
}

#[tokio::test]
async fn a_handler_replaces_itself() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    add(&manager, "one", &notes).await;
    add(&manager, "two", &notes).await;
    notes.take();
    manager.handler::<Spy>("two").delete("x").await.unwrap();
    manager.sync_notify(Event("swap")).await.unwrap();
    assert_eq!(texts(&manager).await, ["next"]);
    assert!(notes.take().ends_with(&["terminate Swapped(\"own\")".into(), "init next".into()]));
}

/// EVT-011.
#[tokio::test]
async fn a_stop_runs_terminate_of_each_handler_once_in_order() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    for text in ["one", "two"] {
        add(&manager, text, &notes).await;
    }
    manager.notify(Event("end badly")); // both panic in `terminate`
    assert!(manager.notify(Event("a")));
    manager.stop(ExitReason::Normal).await.unwrap();
    let ends: Vec<_> =
        notes.take().into_iter().filter(|line| line.starts_with("terminate")).collect();
    assert_eq!(ends, ["terminate ManagerStopped(Normal)"; 2]);
    assert_eq!(manager.sync_notify(Event("b")).await, Err(CallError::NoProc));
    assert!(!manager.notify(Event("b")));
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_is_killed_resolves_the_calls_of_its_handlers() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let one = add(&manager, "one", &notes).await;
    manager.notify(Event("wait"));
    let notified = tokio::spawn({
        let manager = manager.clone();
        async move { manager.sync_notify(Event("a")).await }
    });
    let called = tokio::spawn(async move { one.call(Ask::Events).await });
    settled().await;
    rt.kill(manager.pid().unwrap());
    assert_eq!(notified.await.unwrap(), Err(CallError::Exited(ExitReason::Killed)));
    let exited = HandlerError::Manager(CallError::Exited(ExitReason::Killed));
    assert_eq!(called.await.unwrap(), Err(exited));
    assert_eq!(notes.take(), ["init one", "one wait"]); // no `terminate`
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_a_sync_notify_that_was_queued_before() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    add(&manager, "one", &notes).await;
    let notified = tokio::spawn({
        let manager = manager.clone();
        async move { manager.sync_notify(Event("wait")).await }
    });
    settled().await;
    let stopped = tokio::spawn({
        let manager = manager.clone();
        async move { manager.stop(ExitReason::Normal).await }
    });
    settled().await;
    notes.1.add_permits(1);
    assert_eq!(notified.await.unwrap(), Ok(()));
    stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_handler_that_calls_its_own_manager_gets_an_error() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let one = add(&manager, "one", &notes).await;
    manager.sync_notify(Event("call self")).await.unwrap();
    assert_eq!(one.call(Ask::Events).await.unwrap(), ["call self", "from a handler"]);
}

#[tokio::test]
async fn other_messages_reach_handle_info_of_all_handlers() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    for text in ["one", "two"] {
        add(&manager, text, &notes).await;
    }
    notes.take();
    rt.send(manager.pid().unwrap(), b"hi".to_vec());
    texts(&manager).await;
    let got = |text: &str| format!("{text} got {:?}", Received::Message(b"hi".to_vec()));
    assert_eq!(notes.take(), [got("one"), got("two")]);
    let linked = rt.spawn(|_| std::future::pending());
    rt.link(linked.pid(), manager.pid().unwrap());
    linked.kill();
    linked.join().await;
    texts(&manager).await; // the manager traps exits
    assert!(notes.take()[0].starts_with("one got Exit"));
}

#[tokio::test]
async fn a_manager_under_a_supervisor_has_its_first_handlers_after_a_restart() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let args = notes.clone();
    let handlers = EventHandlers::new().with::<Spy>("first", move || (args.clone(), Init::Fine));
    let child = EventManager::child(handlers).with_id("events").named(MANAGER);
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let manager: Manager = rt.server(MANAGER);
    add(&manager, "second", &notes).await;
    assert_eq!(texts(&manager).await, ["first", "second"]);
    support::killed(&rt, manager.pid().unwrap()).await;
    tree.count_children().await.unwrap(); // answered after the restart
    assert_eq!(texts(&manager).await, ["first"]);
    notes.take();
    tree.stop().await.unwrap();
    assert_eq!(notes.take(), ["terminate ManagerStopped(Shutdown)"]);
}

#[tokio::test]
async fn a_manager_whose_first_handlers_fail_is_not_started() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let handlers = |second: Init| {
        let (one, two) = (notes.clone(), notes.clone());
        EventHandlers::new()
            .with::<Spy>("one", move || (one.clone(), Init::Fine))
            .with::<Spy>("two", move || (two.clone(), second))
    };
    let failed = EventManager::start(&rt, handlers(Init::Panics)).await.unwrap_err();
    let StartError::Failed(reason) = failed else { panic!("{failed:?}") };
    assert!(crashed(&reason).starts_with("the handler Spy \"two\" was not added"), "{reason}");
    assert!(notes.take().ends_with(&[format!("terminate ManagerStopped({reason:?})")]));
    let twice = handlers(Init::Fine).with::<Spy>("one", || panic!("never made"));
    assert!(EventManager::start(&rt, twice).await.is_err());
    support::assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_manager_keeps_its_events() {
    let (rt, notes) = (Runtime::new(), Notes::new());
    let manager = manager(&rt).await;
    let one = add(&manager, "one", &notes).await;
    manager.suspend().await.unwrap();
    assert!(manager.cast(Notify(Event("a"))));
    settled().await;
    assert_eq!(notes.take(), ["init one"]);
    manager.resume().await.unwrap();
    assert_eq!(one.call(Ask::Events).await.unwrap(), ["a"]);
}
