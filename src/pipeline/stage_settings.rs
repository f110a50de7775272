//! The settings of one stage.

use crate::pipeline::inlet::LaneOf;

/// The number of items that a stage may have at once, by default.
const MAX_DEMAND: usize = 64;

/// The settings of a stage whose items have the type `T`.
pub(super) struct StageSettings<T> {
    pub(super) concurrency: usize,
    pub(super) max_demand: usize,
    pub(super) unordered: bool,
    pub(super) lane_of: Option<LaneOf<T>>,
    pub(super) copy: Option<fn(&T) -> T>,
}

impl<T> StageSettings<T> {
    pub(super) fn new() -> Self {
        StageSettings {
            concurrency: 1,
            max_demand: MAX_DEMAND,
            unordered: false,
            lane_of: None,
            copy: None,
        }
    }

    /// Returns the function that maps the number of a worker to its lane. With a partition key each
    /// worker has a lane of its own. Otherwise all workers share lane 0.
    pub(super) fn lanes(&self) -> fn(usize) -> usize {
        if self.lane_of.is_some() { |worker| worker } else { |_| 0 }
    }
}
