//! The cost of what is built on servers and supervisors, beside the servers, semaphores and channels that
//! it replaces.

#[path = "../support/mod.rs"]
mod support;

mod agents;
mod events;
mod limits;
mod machines;
mod pipelines;
mod policies;
mod pools;
#[cfg(feature = "cluster")]
mod shared_topics;

use support::Bench;

fn main() {
    let bench = Bench::new("behaviours");
    agents::rows(&bench);
    machines::rows(&bench);
    events::rows(&bench);
    #[cfg(feature = "cluster")]
    shared_topics::rows(&bench);
    pools::rows(&bench);
    pipelines::rows(&bench);
    limits::rows(&bench);
    policies::rows(&bench);
}
