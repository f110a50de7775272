//! Minimal reproductions of bugs that a proof run found.

use std::future::pending;

use regrow::Runtime;

/// The watcher released a group monitor while events of the group were in its mailbox. These events
/// were correctly not delivered, but the mailbox depth counted them for ever.
#[tokio::test]
async fn the_mailbox_depth_excludes_events_of_a_released_group_monitor() {
    let rt = Runtime::with_mailbox_depth();
    let watcher = rt.spawn(|_| pending()).pid();
    let member = rt.spawn(|_| pending()).pid();
    let (reference, _) = rt.monitor_group(watcher, "room");
    rt.register_tag("room", member);
    rt.unregister_tag("room", member);
    rt.send(watcher, b"stays".to_vec());
    assert_eq!(rt.info(watcher).unwrap().mailbox_depth, 3);

    assert!(rt.demonitor(reference));
    assert_eq!(rt.info(watcher).unwrap().mailbox_depth, 1);
}
