//! A child that is started once, with a restart type.
use regrow::{ChildSpec, Restart};

fn main() {
    let child = ChildSpec::once("child", |_| async { Ok(()) });
    let _child = child.restart(Restart::Permanent);
}
