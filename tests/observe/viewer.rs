//! A viewer of an observation: it applies the changes to the first picture, and checks each.

use std::collections::BTreeMap;

use regrow::{Change, ChangeKind, Observation, Observed, Picture, PictureNode, PictureState, Pid};

/// The state and the process of each child, by its path.
pub(crate) type Nodes = BTreeMap<String, (PictureState, Option<Pid>)>;

/// Returns the children of a picture that have not ended for good.
pub(crate) fn nodes(picture: &Picture) -> Nodes {
    let live = picture.nodes.iter().filter(|node| node.state != PictureState::Ended);
    // A child of a dynamic supervisor that does not run has the pid of its last process.
    let runs = |state| !matches!(state, PictureState::Restarting | PictureState::GivenUp);
    let pid = |node: &PictureNode| node.pid.filter(|_| runs(node.state));
    live.map(|node| (node.path.to_string(), (node.state, pid(node)))).collect()
}

fn is_in_pictures(kind: &ChangeKind) -> bool {
    !matches!(
        kind,
        ChangeKind::Restarting { .. }
            | ChangeKind::LimitReached { .. }
            | ChangeKind::GaveUp { .. }
            | ChangeKind::ShutdownFailed { .. }
            | ChangeKind::SlowHandler { .. }
            | ChangeKind::Deadlock { .. }
    )
}

/// A viewer of declared children.
#[derive(Default)]
pub(crate) struct Viewer {
    pub(crate) nodes: Nodes,
    pub(crate) seq: u64,
    last_change: u64,
    /// The dynamic supervisors that have not answered. Their children may differ from the picture.
    late: Vec<String>,
    /// The number of missed changes.
    pub(crate) missed: u64,
    /// The kinds of the changes since the last picture, with their paths.
    pub(crate) seen: Vec<(String, &'static str)>,
}

impl Viewer {
    /// Applies what an observation has delivered. Panics if the change does not fit to what came
    /// before: then a change was lost, or delivered twice.
    pub(crate) fn apply(&mut self, observed: &Observed) {
        match observed {
            Observed::Picture(picture) => {
                assert!(picture.seq >= self.seq, "{} after {}", picture.seq, self.seq);
                (self.nodes, self.seq) = (nodes(picture), picture.seq);
                let is_late = |node: &&PictureNode| {
                    node.supervision.as_ref().is_some_and(|supervision| supervision.last_known)
                };
                let late = picture.nodes.iter().filter(is_late);
                self.late = late.map(|node| format!("{}/", node.path)).collect();
                self.seen.clear();
            }
            Observed::Change(change) => self.apply_change(change),
            Observed::Missed(missed) => self.missed += missed.changes,
            _ => {}
        }
    }

    /// Whether all dynamic supervisors have answered for the last picture.
    pub(crate) fn is_certain(&self) -> bool {
        self.late.is_empty()
    }

    fn apply_change(&mut self, change: &Change) {
        // A change that no picture shows follows the picture even if it is earlier.
        let before = if is_in_pictures(&change.kind) { self.seq } else { self.last_change };
        assert!(change.seq > before, "{change} has number {} after {before}", change.seq);
        (self.seq, self.last_change) = (self.seq.max(change.seq), change.seq);
        let path = change.path.to_string();
        self.seen.push((path.clone(), change.kind.name()));
        let known = self.nodes.get(&path).copied();
        let is_certain = !self.late.iter().any(|late| path.starts_with(late));
        let new = match &change.kind {
            ChangeKind::Added { .. } => {
                assert_eq!(known, None, "{change}: it is known");
                (PictureState::Stopped, None)
            }
            ChangeKind::Starting { .. } => (PictureState::Starting, None),
            ChangeKind::Started { .. } => {
                let runs = Some((PictureState::Running, change.pid));
                assert!(known != runs || !is_certain, "{change}: it runs already");
                (PictureState::Running, change.pid)
            }
            ChangeKind::StartFailed { .. } | ChangeKind::Stopped => (PictureState::Stopped, None),
            ChangeKind::Ended { for_good, .. } => {
                let is_known = known.and_then(|(_, pid)| pid) == change.pid;
                assert!(is_known || !is_certain, "{change}: it does not run");
                self.nodes.retain(|below, _| !below.starts_with(&format!("{path}/")));
                if *for_good {
                    self.nodes.remove(&path);
                    return;
                }
                (PictureState::Stopped, None)
            }
            ChangeKind::Waiting { .. } => (PictureState::Restarting, None),
            ChangeKind::GivenUp => (PictureState::GivenUp, None),
            ChangeKind::Removed => {
                assert!(known.is_some() || !is_certain, "{change}: it is not known");
                self.nodes.remove(&path);
                return;
            }
            ChangeKind::Stopping { .. } => (PictureState::Stopping, change.pid),
            _ => return,
        };
        self.nodes.insert(path, new);
    }

    /// Reads until a change of this kind at this path.
    pub(crate) async fn read_to(
        &mut self,
        observation: &mut Observation,
        path: &str,
        kind: &str,
    ) -> Change {
        loop {
            let observed = observation.next().await.expect("the observation is not over");
            self.apply(&observed);
            if let Observed::Change(change) = observed
                && change.path == path
                && change.kind.name() == kind
            {
                return change;
            }
        }
    }
}
