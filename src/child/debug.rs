//! What `Debug` shows of a child specification.

use std::fmt;

use crate::child::{ChildSpec, Spec};

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("restart", &self.restart)
            .field("shutdown", &self.shutdown)
            .field("kind", &self.kind)
            .field("backoff", &self.backoff)
            .field("budget", &self.budget)
            .field("retry_first_start", &self.retry_first_start)
            .field("readiness", &self.readiness)
            .field("significant", &self.significant)
            .field("keeps_queue", &self.keeps_queue)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}
