//! The observation of supervision trees: a picture, then each change, as values, as text and as
//! JSON; and the details of one process.
//!
//! **Uses** `base`, `exit`, `time`, `restart`, `observe`, `process`, `kernel`, `runtime`, `child`,
//! `server`, `supervisor`, `task`, `snapshot`.
//! **Knows nothing of** programs.
//!
//! A picture is read from the states that supervisors publish, and from the records of processes: it
//! is no second account of the tree. Only a dynamic supervisor is asked, because it publishes no list
//! of its children while it serves.

mod clock;
pub(crate) mod slices;
mod child_counters;
mod picture_path;
pub(crate) mod picture;
mod facts;
mod answers;
mod included;
pub(crate) mod waits;
mod nodes;
mod asked;
mod collect;
mod children;
mod requests;
mod missed_count;
mod sample;
pub(crate) mod child_events;
pub(crate) mod detail;
pub(crate) mod observing;
mod entry;
mod text;
#[cfg(feature = "serde")]
mod json_values;
#[cfg(feature = "serde")]
mod json_nodes;
#[cfg(feature = "serde")]
mod json_changes;
#[cfg(feature = "serde")]
mod json;
#[cfg(feature = "observer")]
pub(crate) mod json_pieces;

pub use child_events::ChildEvent;
use clock::Clock;
pub use detail::{ProcessDetail, StatusLine};
#[cfg(feature = "metrics")]
pub(crate) use facts::mailbox as mailbox_facts;
pub use missed_count::Missed;
pub use observing::{Observation, Observed};
pub use picture::{
    MailboxFacts, PastRun, Picture, PictureNode, PictureState, PictureStep, Supervision,
};
pub use picture_path::PicturePath;
pub use sample::{ProcessSample, Sample, SupervisorSample};
pub use waits::{Wait, WaitGraph};
