//! The child that keeps a node registered with EPMD.
//!
//! The child starts only if the first registration succeeds, so a node that other nodes can't look up
//! does not start. If EPMD ends later, the connections of the node go on, and the child registers the
//! node again as soon as EPMD is back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use crate::base::ignore_panic;
use crate::child::{StartChild, StartContext, Started, TaskContext};
use crate::cluster::epmd::{Registration, register};
use crate::cluster::node_name::NodeName;
use crate::exit::{ExitReason, Result};
use crate::net::ListenerAddress;
use crate::runtime::StartError;

/// The pause between attempts to register again.
const PAUSE: Duration = Duration::from_secs(1);
/// The number of attempts at the first registration while EPMD answers that the name is registered.
/// EPMD may notice late that an earlier incarnation has ended.
const TRIES: u32 = 10;
const SHORT_PAUSE: Duration = Duration::from_millis(100);

/// The start of the child.
pub(crate) struct RegistrationStart {
    pub(crate) epmd: SocketAddr,
    pub(crate) name: NodeName,
    pub(crate) listener: ListenerAddress,
}

#[async_trait]
impl StartChild for RegistrationStart {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        // The listener starts before this child, so the port is bound.
        let port = self.listener.get().map_or(0, |address| address.port());
        let first = self.first(port).await;
        let failed = |error| StartError::Failed(ExitReason::from_library(error));
        let mut registration = first.map_err(|error| failed(self.explained(&error)))?;
        let (epmd, name) = (self.epmd, self.name.clone());
        ctx.task(async move |_: TaskContext| {
            loop {
                registration.lost().await;
                log("the registration with EPMD is lost", &name, None);
                registration = again(epmd, &name, port).await;
                log("registered with EPMD again", &name, None);
            }
        })
        .await
    }
}

impl RegistrationStart {
    async fn first(&self, port: u16) -> io::Result<Registration> {
        for _ in 1..TRIES {
            match register(self.epmd, self.name.alive(), port).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => sleep(SHORT_PAUSE).await,
                result => return result,
            }
        }
        register(self.epmd, self.name.alive(), port).await
    }

    fn explained(&self, error: &io::Error) -> io::Error {
        let text = format!("{} can't be registered with EPMD at {}: {error}", self.name, self.epmd);
        io::Error::new(error.kind(), text)
    }
}

async fn again(epmd: SocketAddr, name: &NodeName, port: u16) -> Registration {
    let mut is_first = true;
    loop {
        sleep(PAUSE).await;
        match register(epmd, name.alive(), port).await {
            Ok(registration) => return registration,
            Err(error) if std::mem::take(&mut is_first) => {
                log("the node can't be registered with EPMD", name, Some(&error));
            }
            Err(_) => {}
        }
    }
}

fn log(what: &str, name: &NodeName, error: Option<&io::Error>) {
    let error = error.map(tracing::field::display);
    ignore_panic(|| tracing::warn!(target: "regrow::cluster", node = %name, error, "{what}"));
}
