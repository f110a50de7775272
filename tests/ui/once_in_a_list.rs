//! A child that is started once, in the list that a restarted supervisor starts again.
use regrow::{ChildSpec, Supervisor};

fn main() {
    let (sender, _receiver) = std::sync::mpsc::channel();
    let child = ChildSpec::once("child", |_| async move {
        sender.send(())?;
        Ok(())
    });
    let _tree = Supervisor::one_for_one().child(child);
}
