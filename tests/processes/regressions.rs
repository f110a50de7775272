//! Bugs that a proof run found, each told as plainly as it can be.

use std::future::pending;

use regrow::Runtime;

/// A watcher of a group let go while news of it lay in its mailbox. The news was never
/// handed out, rightly; but the depth went on counting it for ever.
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
