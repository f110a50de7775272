//! Programs: reloads, and groups of tasks.

use regrow::{ChildSpec, Result, Run, Runtime, ScopeError, SupervisorRef, SupervisorSpec};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

fn read_config() -> Result<u16> {
    Ok(std::fs::read_to_string("port.conf")?.trim().parse()?)
}

fn hangup_before(tree: SupervisorSpec, valid: watch::Sender<u16>) -> Run {
    // BEFORE hangup
    let reload = ChildSpec::task("reload", |ctx| async move {
        let mut hangups = signal(SignalKind::hangup())?;
        let tree = SupervisorRef::named(&ctx.runtime(), "app");
        while hangups.recv().await.is_some() {
            match read_config() {
                Ok(config) => {
                    valid.send_replace(config);
                    tree.terminate_child("listener").await?;
                    tree.restart_child("listener").await?;
                }
                Err(reason) => tracing::error!(%reason, "reload refused"),
            }
        }
        Ok(())
    });
    Run::new(tree.child(reload))
    // END
}

fn hangup_now(tree: SupervisorSpec, valid: watch::Sender<u16>) -> Run {
    // NOW hangup
    let reload = async move || {
        valid.send_replace(read_config()?);
        Ok(())
    };
    Run::new(tree).on_hangup(reload).restart_on_hangup("listener")
    // END
}

async fn copy(part: u64) -> Result<u64> {
    Ok(part)
}

async fn group_before(parts: Vec<u64>) -> Result<u64> {
    // BEFORE group
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    for part in parts {
        let stop = stop.clone();
        tasks.spawn(async move { stop.run_until_cancelled(copy(part)).await });
    }
    let (mut sum, mut failed) = (0, None);
    while let Some(ended) = tasks.join_next().await {
        let copied = match ended {
            Ok(copied) => copied,
            Err(panic) => Some(Err(panic.into())),
        };
        match copied {
            Some(Ok(count)) => sum += count,
            Some(Err(reason)) => {
                stop.cancel();
                failed.get_or_insert(reason);
            }
            None => {}
        }
    }
    failed.map_or(Ok(sum), Err)
    // END
}

async fn group_now(rt: &Runtime, parts: Vec<u64>) -> Result<u64, ScopeError> {
    // NOW group
    let sum = regrow::scope(rt, async |scope| {
        let tasks: Vec<_> = parts.into_iter().map(|n| scope.spawn(move |_| copy(n))).collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await?;
        }
        Ok(sum)
    });
    sum.await
    // END
}
