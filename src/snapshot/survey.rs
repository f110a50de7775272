//! Asking all supervisors of a tree at once, under one deadline.
//!
//! A question has a supervisor handle all that it received before. What it is like is read from
//! what it publishes: after its answer, or, if that does not come in time, as it is then. So the
//! supervisors below one that is busy are known without it, and are asked at the same time as it
//! is; those that an answer tells of, and that were not known before, are asked then.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::child::ChildType;
use crate::exit::reason::Result;
use crate::process::ChildSlot;
use crate::runtime::Runtime;
use crate::runtime::deadline::until;
use crate::runtime::errors::call_error::CallError;
use crate::supervisor::dynamic::server::{self as dynamic_server, DynamicServer};
use crate::supervisor::fixed::server::{self, FixedServer};
use crate::supervisor::published_state::{
    PublishedCell, PublishedChildState, PublishedState, Step,
};
use crate::time::timer_queue::after;

/// What the supervisors of a tree answered within a time limit.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(super) runtime: Runtime,
    pub(super) root: Pid,
    /// All that were asked, and what they answered.
    asked: HashMap<Pid, Option<Read>>,
}

/// What is known of one supervisor.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) picture: Arc<PublishedState>,
    /// Children that the picture leaves out.
    pub(super) more: usize,
    pub(super) answer: Answer,
    /// How many questions for its picture lie in its mailbox.
    pub(super) questions: usize,
}

/// Whether a supervisor has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Given,
    /// Not in time.
    Late,
    /// It was not known before the time was up.
    NotAsked,
}

/// A picture, and how many children it leaves out.
type Read = (Arc<PublishedState>, usize);

type Answers<'a> = FuturesUnordered<BoxFuture<'a, (Pid, Result<Read, CallError>)>>;

impl Survey {
    /// Asks this supervisor and all below it, and waits no longer than `limit` for all of them
    /// together.
    pub(crate) async fn take(
        runtime: &Runtime,
        root: Pid,
        limit: Duration,
    ) -> Result<Self, CallError> {
        if !runtime.is_alive(root) {
            return Err(CallError::no_proc(&runtime.kernel));
        }
        let due = after(Instant::now(), limit);
        let mut survey = Survey { runtime: runtime.clone(), root, asked: HashMap::new() };
        let mut answers = Answers::new();
        survey.ask_from(root, &mut answers);
        while let Some(Some((pid, answer))) =
            until(&runtime.kernel, Some(due), answers.next()).await
        {
            match answer {
                Ok((picture, more)) => {
                    for below in supervisors(runtime, pid, &picture) {
                        survey.ask_from(below, &mut answers);
                    }
                    survey.asked.insert(pid, Some((picture, more)));
                }
                Err(error @ (CallError::NoProc | CallError::Exited(_) | CallError::TokioGone))
                    if pid == root =>
                {
                    return Err(error);
                }
                // It has ended; or it waits for whoever asks, and so for this question.
                Err(_) => {}
            }
        }
        Ok(survey)
    }

    /// Asks this supervisor, and all that are known below it.
    fn ask_from(&mut self, pid: Pid, answers: &mut Answers<'_>) {
        let mut next = vec![pid];
        while let Some(pid) = next.pop() {
            let Entry::Vacant(entry) = self.asked.entry(pid) else { continue };
            let Some(published) = published(&self.runtime, pid) else { continue };
            entry.insert(None);
            next.extend(supervisors(&self.runtime, pid, &published.read()));
            answers.push(Box::pin(ask(self.runtime.clone(), pid, published)));
        }
    }

    /// How many children there are in all that was found.
    #[cfg(feature = "axum")]
    pub(crate) fn size(&self) -> usize {
        let shown = |(pid, read): (&Pid, &Option<Read>)| match read {
            Some((picture, _)) => picture.children.len(),
            None => published(&self.runtime, *pid)
                .map_or(0, |cell| cell.change(|picture| picture.children.len())),
        };
        self.asked.iter().map(shown).sum()
    }

    /// What is known of this supervisor by now; `None` if it has not begun.
    pub(super) fn known(&self, pid: Pid) -> Option<Known> {
        let asked = self.asked.get(&pid);
        if let Some(Some((picture, more))) = asked {
            let (picture, more, answer) = (picture.clone(), *more, Answer::Given);
            return Some(Known { picture, more, answer, questions: 0 });
        }
        let published = published(&self.runtime, pid)?;
        let mut picture = published.read();
        let count = published.count();
        if picture.is_partial {
            // It may have noted the ends of these since it last showed them.
            picture.children.retain(|_, child| match child.state {
                PublishedChildState::Running(pid) => self.runtime.is_alive(pid),
                PublishedChildState::Restarting { .. } | PublishedChildState::Stopped => true,
            });
        }
        let more = left_out(&picture, count);
        let answer = if asked.is_some() { Answer::Late } else { Answer::NotAsked };
        let questions = published.queued_requests();
        Some(Known { picture: Arc::new(picture), more, answer, questions })
    }
}

/// The process that this supervisor is just starting, if there is one yet.
pub(super) fn half_started(
    runtime: &Runtime,
    supervisor: Pid,
    picture: &PublishedState,
) -> Option<Pid> {
    let Step::Starting { key, start, .. } = picture.step else { return None };
    runtime.kernel.child_at(supervisor, ChildSlot { child: key, start })
}

/// The processes of the supervisors among its children.
fn supervisors(runtime: &Runtime, supervisor: Pid, picture: &PublishedState) -> Vec<Pid> {
    let running = picture.children.values().filter_map(|child| match child.state {
        PublishedChildState::Running(pid) if child.kind == ChildType::Supervisor => Some(pid),
        _ => None,
    });
    running.chain(half_started(runtime, supervisor, picture)).collect()
}

fn published(runtime: &Runtime, pid: Pid) -> Option<Arc<PublishedCell>> {
    PublishedCell::of(&*runtime.kernel.find(pid)?)
}

/// Has a supervisor handle what it received before, and reads what it publishes then.
async fn ask(
    runtime: Runtime,
    pid: Pid,
    published: Arc<PublishedCell>,
) -> (Pid, Result<Read, CallError>) {
    let turn = published.permit().await;
    let answer = match runtime.server_at::<FixedServer>(pid) {
        Ok(tree) => tree.call_unlimited(|reply| server::Call::Publish(reply, turn)).await,
        Err(CallError::WrongType) => match runtime.server_at::<DynamicServer>(pid) {
            Ok(tree) => {
                let publish = |reply| dynamic_server::Call::Publish(reply, turn);
                tree.call_unlimited(publish).await
            }
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let read = |()| {
        let picture = published.read();
        let more = left_out(&picture, published.count());
        (Arc::new(picture), more)
    };
    (pid, answer.map(read))
}

/// How many children there are beyond those in the picture.
fn left_out(picture: &PublishedState, count: usize) -> usize {
    match picture.is_partial {
        true => count.saturating_sub(picture.children.len()),
        false => 0,
    }
}
