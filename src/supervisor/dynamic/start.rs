//! Starts a dynamic supervisor: unlinked, linked to a parent, or as a child.

use std::sync::Arc;

use async_trait::async_trait;

use crate::base::consume_budget;
use crate::child::{ChildSpec, StartChild, StartContext, Started};
use crate::exit::Result;
use crate::runtime::{Inside, Runtime, StartError, Starting};
use crate::supervisor::dynamic::DynamicServer;
use crate::supervisor::{DynamicSupervisor, DynamicSupervisorRef};

impl DynamicSupervisor {
    /// Starts the supervisor without a link. [`child_intensity`](Self::child_intensity) has an
    /// example.
    ///
    /// # Errors
    ///
    /// * [`StartError::Invalid`] if a setting can't work, for example a maximum of zero children, a
    ///   period of zero, or a backoff that shrinks.
    /// * [`StartError::AlreadyStarted`] if another process holds the supervisor's name.
    /// * [`StartError::NameReserved`] if the supervisor's name is reserved for a child that is
    ///   being restarted.
    /// * [`StartError::TokioGone`] if the tokio runtime that the [`Runtime`] runs on has shut down.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime, unless an earlier use of the [`Runtime`] was inside one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the supervisor.
    pub async fn start(self, runtime: &Runtime) -> Result<DynamicSupervisorRef, StartError> {
        consume_budget().await;
        let starting = self.starting(runtime)?;
        Ok(DynamicSupervisorRef { server: starting.run(self).await? })
    }

    /// Starts the supervisor, linked to the process `parent`: when the parent ends, the supervisor
    /// stops its children and ends. OTP: `start_link`.
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
        Ok(DynamicSupervisorRef { server: starting.run(self).await? })
    }

    fn starting(&self, runtime: &Runtime) -> Result<Starting, StartError> {
        self.check()?;
        Ok(Starting::new(runtime).with_identity(self.id.clone(), self.name.clone()))
    }
}

/// Specifies the supervisor as a child of another supervisor, with the shutdown time
/// [`Infinity`](crate::Shutdown::Infinity).
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
        // The child specification may have been given another id.
        spec.id = ctx.spec.id.clone();
        ctx.server::<DynamicServer>(spec).await
    }
}
