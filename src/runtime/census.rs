//! Who is alive, counted by label and by tag, and told now and then.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::base::one_line::name;
use crate::kernel::Kernel;
use crate::observe::census_wake::CensusWake;
use crate::observe::lifecycle_log;
use crate::observe::log_level::LogLevel;
use crate::runtime::Runtime;

/// A line follows the first change by this much, and tells of all until then.
const DEBOUNCE: Duration = Duration::from_secs(2);

/// Live processes by label, members by tag. [`Runtime::census`] counts it, and has an
/// example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Census {
    /// How many live processes carry each label.
    pub labels: BTreeMap<String, usize>,
    /// How many members each group has.
    pub tags: BTreeMap<String, usize>,
}

impl Runtime {
    /// Counts live processes by label and members by tag: what the census line of
    /// [`set_log_level`](Self::set_log_level) tells, now and without waiting.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending()).pid();
    /// rt.set_label(worker, "worker");
    /// rt.register_tag("room", worker);
    /// assert_eq!(rt.census().labels["worker"], 1);
    /// assert_eq!(rt.census().tags["room"], 1);
    /// # });
    /// ```
    pub fn census(&self) -> Census {
        let kernel = &self.kernel;
        let mut census = Census::default();
        for process in kernel.table.collect(|_, process| Some(Arc::clone(process))) {
            let label = process.with(|locked| locked.core().relations()?.label.clone());
            if let Some(label) = label {
                *census.labels.entry(label.to_string()).or_default() += 1;
            }
        }
        let tags = kernel.groups.collect(|tag, group| Some((tag.to_string(), group.members.len())));
        census.tags.extend(tags.into_iter().filter(|(_, members)| *members > 0));
        census
    }

    /// Starts the telling task, once, where there is a tokio to run it.
    pub(crate) fn start_census(&self) {
        let Some(handle) = self.kernel.handle.get() else { return };
        if self.kernel.census.claim_start() {
            let slot = Arc::clone(&self.kernel.census);
            handle.spawn(tell(slot, Arc::downgrade(&self.kernel)));
        }
    }
}

/// Holds the kernel only for the moment of a line, so it keeps nothing alive.
async fn tell(slot: Arc<CensusWake>, kernel: Weak<Kernel>) {
    while slot.changed().await {
        tokio::time::sleep(DEBOUNCE).await;
        slot.mark_reported();
        let Some(kernel) = kernel.upgrade() else { return };
        if kernel.wants_log(LogLevel::Info) {
            let census = Runtime { kernel }.census();
            lifecycle_log::census(&line(&census.labels), &line(&census.tags));
        }
    }
}

fn line(counts: &BTreeMap<String, usize>) -> String {
    let words = counts.iter().map(|(label, count)| format!("{} {count}", name(label)));
    words.collect::<Vec<_>>().join(", ")
}
