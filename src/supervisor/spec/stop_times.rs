//! How long the supervisors of a tree may take to stop, computed from their descriptions.

use std::collections::HashMap;
use std::time::Duration;

use crate::child::{ChildType, Restart, Spec};
use crate::exit::Shutdown;
use crate::supervisor::SupervisorSpec;

/// The longest times that the supervisors of a tree may take to stop, as far as their descriptions
/// say. Each time is computed once, after the times of the supervisors below.
#[derive(Debug, Default)]
pub(crate) struct StopTimes(HashMap<*const SupervisorSpec, Duration>);

impl StopTimes {
    pub(crate) fn of(root: &SupervisorSpec) -> Self {
        let mut stops = StopTimes::default();
        let mut next = vec![(root, false)];
        while let Some((spec, below_is_known)) = next.pop() {
            if below_is_known {
                stops.0.insert(spec, stops.longest(spec));
            } else if !stops.0.contains_key(&std::ptr::from_ref(spec)) {
                next.push((spec, true));
                let below = spec.children.iter().filter_map(|child| nested(&child.spec));
                next.extend(below.map(|below| (below, false)));
            }
        }
        stops
    }

    fn longest(&self, spec: &SupervisorSpec) -> Duration {
        let stops = spec.children.iter().map(|child| self.of_child(&child.spec));
        stops.fold(Duration::ZERO, Duration::saturating_add)
    }

    fn of_supervisor(&self, spec: &SupervisorSpec) -> Duration {
        self.0.get(&std::ptr::from_ref(spec)).copied().unwrap_or_default()
    }

    /// Returns the longest time that a child may take to stop.
    pub(crate) fn of_child(&self, child: &Spec) -> Duration {
        let below = nested(child).map(|below| self.of_supervisor(below));
        match child.shutdown {
            Shutdown::BrutalKill => Duration::ZERO,
            Shutdown::Timeout(limit) if child.shutdown_is_set => {
                below.map_or(limit, |below| below.min(limit))
            }
            Shutdown::Timeout(_) => below.unwrap_or(Duration::ZERO),
            Shutdown::Infinity => below.unwrap_or(match child.kind {
                ChildType::Worker => Duration::MAX,
                // The children of a dynamic supervisor are not known.
                ChildType::Supervisor => Duration::ZERO,
            }),
        }
    }

    /// Returns the longest time that the stops of a supervisor's children may take when the
    /// supervisor gives up. All children are stopped except the one that failed, which may be the
    /// child with the shortest stop.
    pub(crate) fn of_giving_up(&self, spec: &SupervisorSpec) -> Duration {
        let fail = spec.children.iter().filter(|child| child.spec.restart != Restart::Temporary);
        let shortest = fail.map(|child| self.of_child(&child.spec)).min();
        self.of_supervisor(spec).saturating_sub(shortest.unwrap_or(Duration::ZERO))
    }
}

/// Returns the description of this child, if it is a fixed supervisor.
pub(crate) fn nested(child: &Spec) -> Option<&SupervisorSpec> {
    child.nested.as_ref()?.description.downcast_ref()
}
