//! How a dynamic supervisor is started: by itself, by another process, as a child.

use std::sync::Arc;

use async_trait::async_trait;

use crate::base::coop::consume_budget;
use crate::child::{ChildSpec, StartChild, StartContext, Started};
use crate::exit::reason::Result;
use crate::runtime::Runtime;
use crate::runtime::errors::call_error::StartError;
use crate::runtime::inside::Inside;
use crate::runtime::starting::Starting;
use crate::supervisor::dynamic::dynamic_ref::DynamicSupervisorRef;
use crate::supervisor::dynamic::server::DynamicServer;
use crate::supervisor::dynamic::spec::DynamicSupervisor;

impl DynamicSupervisor {
    /// Starts it, linked to nobody. [`child_intensity`](Self::child_intensity) has an example.
    ///
    /// # Errors
    ///
    /// [`StartError::Invalid`] if a setting can't work: no children at all, a period of zero,
    /// a backoff that shrinks. [`StartError::AlreadyStarted`] if its name is held,
    /// [`StartError::NameReserved`] if it is reserved for a child that is being restarted,
    /// [`StartError::TokioGone`] if the tokio that the runtime runs on has shut down.
    ///
    /// # Panics
    ///
    /// If there is no tokio runtime: neither now nor at any earlier use.
    ///
    /// # Cancel safety
    ///
    /// A start that is dropped kills the supervisor.
    pub async fn start(self, runtime: &Runtime) -> Result<DynamicSupervisorRef, StartError> {
        consume_budget().await;
        let starting = self.starting(runtime)?;
        Ok(DynamicSupervisorRef::new(starting.run::<DynamicServer>(self).await?))
    }

    /// Starts it linked to the process of this context, which is its parent: when that ends,
    /// the supervisor stops its children and ends, too. OTP: `start_link`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    pub async fn start_link(
        self,
        parent: &impl Inside,
    ) -> Result<DynamicSupervisorRef, StartError> {
        consume_budget().await;
        let starting = self.starting(&parent.runtime())?.linked(parent.pid());
        Ok(DynamicSupervisorRef::new(starting.run::<DynamicServer>(self).await?))
    }

    fn starting(&self, runtime: &Runtime) -> Result<Starting, StartError> {
        self.check()?;
        let starting = Starting::new(runtime).labelled(self.id.clone());
        Ok(match self.name.clone() {
            Some(name) => starting.named(name),
            None => starting,
        })
    }
}

/// As a child of another supervisor: it has as long to stop as it takes.
impl From<DynamicSupervisor> for ChildSpec {
    fn from(spec: DynamicSupervisor) -> Self {
        let (id, name) = (spec.id.to_string(), spec.name.clone());
        ChildSpec::new(id, DynamicSupervisorStart(spec.clone())).supervisor(name, Arc::new(spec))
    }
}

struct DynamicSupervisorStart(DynamicSupervisor);

#[async_trait]
impl StartChild for DynamicSupervisorStart {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        self.0.check()?;
        let mut spec = self.0.clone();
        // It may have been given another as a child.
        spec.id = ctx.spec.id.clone();
        ctx.server::<DynamicServer>(spec).await
    }
}
