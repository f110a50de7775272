//! A viewer of an observation: it applies the changes to the first picture, and checks each.

use std::collections::BTreeMap;

use regrow::{Change, ChangeKind, Observation, Observed, Picture, PictureState, Pid};

/// The state and the process of each child, by its path.
pub(crate) type Nodes = BTreeMap<String, (PictureState, Option<Pid>)>;

/// Returns the children of a picture that have not ended for good.
pub(crate) fn nodes(picture: &Picture) -> Nodes {
    let live = picture.nodes.iter().filter(|node| node.state != PictureState::Ended);
    live.map(|node| (node.path.to_string(), (node.state, node.pid))).collect()
}

/// A viewer of declared children.
#[derive(Default)]
pub(crate) struct Viewer {
    pub(crate) nodes: Nodes,
    pub(crate) seq: u64,
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
                self.seen.clear();
            }
            Observed::Change(change) => self.apply_change(change),
            Observed::Missed(missed) => self.missed += missed.changes,
            _ => {}
        }
    }

    fn apply_change(&mut self, change: &Change) {
        assert!(change.seq > self.seq, "{change} has number {} after {}", change.seq, self.seq);
        self.seq = change.seq;
        let path = change.path.to_string();
        self.seen.push((path.clone(), change.kind.name()));
        let known = self.nodes.get(&path).copied();
        let new = match &change.kind {
            ChangeKind::Added { .. } => {
                assert_eq!(known, None, "{change}: it is known");
                (PictureState::Stopped, None)
            }
            ChangeKind::Starting { .. } => (PictureState::Starting, None),
            ChangeKind::Started { .. } => {
                let runs = Some((PictureState::Running, change.pid));
                assert_ne!(known, runs, "{change}: it runs already");
                (PictureState::Running, change.pid)
            }
            ChangeKind::StartFailed { .. } | ChangeKind::Stopped => (PictureState::Stopped, None),
            ChangeKind::Ended { for_good, .. } => {
                assert_eq!(known.and_then(|(_, pid)| pid), change.pid, "{change}: it does not run");
                let below = format!("{path}/");
                self.nodes.retain(|path, _| !path.starts_with(&below));
                if *for_good {
                    self.nodes.remove(&path);
                    return;
                }
                (PictureState::Stopped, None)
            }
            ChangeKind::Waiting { .. } => (PictureState::Restarting, None),
            ChangeKind::GivenUp => (PictureState::GivenUp, None),
            ChangeKind::Removed => {
                assert!(known.is_some(), "{change}: it is not known");
                self.nodes.remove(&path);
                return;
            }
            ChangeKind::Stopping => (PictureState::Stopping, change.pid),
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
