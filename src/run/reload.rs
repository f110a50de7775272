//! Restarting one child by hand, while the program goes on.

use tracing::error;

use crate::one_line::{PAGE, excerpt, way};
use crate::quietly::quietly;
use crate::runtime::Runtime;
use crate::story::Story;
use crate::supervisor::{ChildError, SupervisorRef};

/// Restarts the child at this path, beside whatever else the program waits for.
pub(super) fn start(runtime: &Runtime, tree: &SupervisorRef, path: &str) {
    let (runtime, tree, path) = (runtime.clone(), tree.clone(), path.to_owned());
    tokio::spawn(async move {
        if let Err(error) = restart(&runtime, tree, &path).await {
            tell(&path, &error);
        }
    });
}

/// A child that is about to be started again by its supervisor will read what it reads
/// anew; it is left to that.
async fn restart(runtime: &Runtime, root: SupervisorRef, path: &str) -> Result<(), ChildError> {
    let mut supervisor = root;
    let mut ids = path.split('/').peekable();
    while let Some(id) = ids.next() {
        if ids.peek().is_none() {
            supervisor.terminate_child(id).await?;
            supervisor.restart_child(id).await?;
            break;
        }
        let child = supervisor.which_child(id).await?;
        let pid = child.pid().ok_or_else(|| ChildError::NotFound(id.to_owned()))?;
        supervisor = SupervisorRef::new(runtime.server_at(pid)?);
    }
    Ok(())
}

fn tell(path: &str, error: &ChildError) {
    let (path, reason) = (way(path).to_string(), excerpt(Story(error), PAGE));
    quietly(|| error!(target: "regrow::run", child = path, %reason, "reload failed"));
}
