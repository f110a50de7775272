//! A plain reader of the changes, in the program itself.

use std::sync::Arc;

use regrow::{Observed, Picture, PictureNode, PictureState, Runtime};

use crate::model::{Ledger, Model, Running};

/// Reads all changes of the runtime until it has ended.
pub(crate) async fn read(rt: Runtime, model: Arc<Model>, ledger: Arc<Ledger>) {
    let mut observation = rt.observe();
    drop(rt);
    while let Some(observed) = observation.next().await {
        match observed {
            Observed::Picture(picture) if model.pictures.get() == 0 => {
                model.picture(running(&picture));
            }
            Observed::Picture(_) => model.fault("a second picture".to_owned()),
            Observed::Change(change) => {
                let kind = change.kind.name();
                if !ledger.received(change.seq, change.time.unix_millis(), kind) {
                    model.fault(format!("change {} does not follow the last one", change.seq));
                }
                model.change(kind, &change.path, change.pid.map(|pid| pid.raw()));
            }
            Observed::Sample(_) => model.samples.add(1),
            missed => model.fault(format!("the plain reader: {missed}")),
        }
    }
}

/// Returns the processes that run in a picture.
pub(crate) fn running(picture: &Picture) -> Running {
    let runs = |node: &&PictureNode| {
        matches!(
            node.state,
            PictureState::Running | PictureState::Starting | PictureState::Stopping
        )
    };
    let nodes = picture.nodes.iter().filter(runs);
    nodes.filter_map(|node| Some((node.path.to_string(), node.pid?.raw()))).collect()
}
