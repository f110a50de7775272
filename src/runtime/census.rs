//! The census: live processes counted by label, group members by tag, and the task that logs both.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::base::name;
use crate::kernel::Kernel;
use crate::observe::census_wake::CensusWake;
use crate::observe::{LogLevel, lifecycle_log};
use crate::runtime::Runtime;

/// The time from the first change to the log line. The line includes all changes within this time.
const DEBOUNCE: Duration = Duration::from_secs(2);

/// The number of live processes for each label, and of members for each group.
/// [`Runtime::census`] returns it, and has an example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Census {
    /// The number of live processes with each label.
    pub labels: BTreeMap<String, usize>,
    /// The number of members of each group.
    pub tags: BTreeMap<String, usize>,
}

impl Runtime {
    /// Counts live processes by label and group members by tag, as the census line of
    /// [`set_log_level`](Self::set_log_level) shows them. Does not wait.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending()).pid();
    /// rt.set_label(worker, "worker");
    /// rt.register_tag("room", worker);
    /// assert_eq!(rt.census().labels["worker"], 1);
    /// assert_eq!(rt.census().tags["room"], 1);
    /// # }));
    /// ```
    pub fn census(&self) -> Census {
        let kernel = &self.kernel;
        let mut census = Census::default();
        for process in kernel.table.values() {
            let label = process.with(|locked| locked.core().relations()?.label.clone());
            if let Some(label) = label {
                *census.labels.entry(label.to_string()).or_default() += 1;
            }
        }
        let tags = kernel.groups.collect(|tag, group| Some((tag.to_string(), group.members.len())));
        census.tags.extend(tags.into_iter().filter(|(_, members)| *members > 0));
        census
    }

    /// Starts the task that logs the census, if a tokio runtime is known and the task was not
    /// started before.
    pub(crate) fn start_census(&self) {
        let Some(handle) = self.kernel.handle.get() else { return };
        if self.kernel.census.claim_start() {
            let wake = Arc::clone(&self.kernel.census);
            handle.spawn(log_changes(wake, Arc::downgrade(&self.kernel)));
        }
    }
}

/// Logs a census line after changes. Holds the kernel only while it makes a line, so that the task
/// keeps no runtime alive.
async fn log_changes(wake: Arc<CensusWake>, kernel: Weak<Kernel>) {
    while wake.changed().await {
        tokio::time::sleep(DEBOUNCE).await;
        wake.mark_reported();
        let Some(kernel) = kernel.upgrade() else { return };
        if kernel.wants_log(LogLevel::Info) {
            let census = Runtime { kernel: kernel.clone() }.census();
            let (labels, tags) = (format_counts(&census.labels), format_counts(&census.tags));
            kernel.switches.captured(|| lifecycle_log::census(&labels, &tags));
        }
    }
}

fn format_counts(counts: &BTreeMap<String, usize>) -> String {
    let words = counts.iter().map(|(label, count)| format!("{} {count}", name(label)));
    words.collect::<Vec<_>>().join(", ")
}
