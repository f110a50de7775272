//! Phases inside of a tree: their times to stop would have no effect.
use regrow::{Phases, Supervisor};

fn main() {
    let phases = Phases::new("app").phase("web", Supervisor::one_for_one());
    let _ = Supervisor::one_for_one().child(phases);
}
