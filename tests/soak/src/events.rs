//! A listener of lifecycle events, which counts them.

use std::sync::Arc;

use regrow::{Events, LifecycleEvent};

use crate::truth::Count;

#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) spawned: Count,
    pub(crate) exited: Count,
    pub(crate) restarting: Count,
    pub(crate) gave_up: Count,
    /// The casts that ended processes have left, and all that they have left.
    pub(crate) left_casts: Count,
    pub(crate) left: Count,
    pub(crate) missed: Count,
}

/// Counts events until the runtime has ended.
pub(crate) async fn listen(mut events: Events, heard: Arc<Heard>) {
    let mut missed = 0;
    while let Some(event) = events.next().await {
        match event {
            LifecycleEvent::Spawned { .. } => heard.spawned.add(1),
            LifecycleEvent::Exited { .. } => heard.exited.add(1),
            LifecycleEvent::Restarting { .. } => heard.restarting.add(1),
            LifecycleEvent::GaveUp { .. } => heard.gave_up.add(1),
            LifecycleEvent::LeftUnhandled { calls, casts, messages, .. } => {
                heard.left_casts.add(casts as u64);
                heard.left.add((calls + casts + messages) as u64);
            }
            _ => {}
        }
        heard.missed.add(events.missed() - missed);
        missed = events.missed();
    }
}
