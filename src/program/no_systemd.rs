//! Stands in for the reports to systemd where they are not compiled. A value of these types does not
//! exist.

use crate::program::{RunError, StopCause, StopReport};
use crate::supervisor::SupervisorRef;

pub(super) enum ServiceManager {}

pub(super) enum ReloadReports {}

pub(super) enum ReloadReport {}

impl ServiceManager {
    pub(super) fn tree_started(&self, _: &SupervisorRef) {
        match *self {}
    }

    pub(super) fn reload_reports(&self) -> ReloadReports {
        match *self {}
    }

    pub(super) fn stopping(&self, _: &StopCause) {
        match *self {}
    }

    pub(super) fn ended(self, _: &Result<StopReport, RunError>) {
        match self {}
    }
}

impl ReloadReports {
    pub(super) fn begin(&self) -> ReloadReport {
        match *self {}
    }
}

impl ReloadReport {
    pub(super) fn finish(self, _: bool) {
        match self {}
    }
}
