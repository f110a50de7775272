//! A survey asks all supervisors of a tree at once, under one deadline.
//!
//! # What it guarantees
//!
//! The survey returns within its limit, whatever the supervisors are doing. The time does not grow
//! with the depth of the tree.
//!
//! # Steps
//!
//! 1. The survey reads the *picture* of the root, which is the state that the root has published,
//!    and from there down the pictures of all supervisors below the root, without asking any
//!    supervisor. The survey sends each of these supervisors a question, all at the same time.
//! 2. A supervisor answers after it has handled the messages before the question. The survey then
//!    reads the supervisor's picture. If the picture contains supervisors that were not known
//!    before, the survey does step 1 for each of them.
//! 3. At the deadline, or when all supervisors have answered, the survey ends. The picture of a
//!    supervisor without an answer is read when the tree is built.
//!
//! # Invariants
//!
//! 1. Each supervisor is asked once, even if several pictures contain it.
//! 2. The picture of a supervisor that answers is read after the answer, so it includes the effects
//!    of all messages before the question.
//! 3. A busy supervisor does not delay the questions to the supervisors below it, which are known
//!    from its picture.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::base::Pid;
use crate::child::ChildType;
use crate::exit::Result;
use crate::process::ChildSlot;
use crate::runtime::{CallError, Runtime, until};
use crate::supervisor::dynamic::server::{self as dynamic_server, DynamicServer};
use crate::supervisor::fixed::server::{self, FixedServer};
use crate::supervisor::{PublishedCell, PublishedChildState, PublishedState, Step};
use crate::time::timer_queue::after;

/// The answers of the supervisors of a tree within a time limit.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(super) runtime: Runtime,
    pub(super) root: Pid,
    /// The pictures of the supervisors that were asked; `None` for a supervisor that has not
    /// answered.
    answers_by_pid: HashMap<Pid, Option<PictureRead>>,
}

/// The picture of one supervisor, and whether it answered.
#[derive(Debug)]
pub(super) struct SurveyedSupervisor {
    pub(super) picture: Arc<PublishedState>,
    /// The number of children that the picture leaves out.
    pub(super) left_out: usize,
    pub(super) answer: Answer,
    /// The number of survey questions that are queued in the supervisor's mailbox.
    pub(super) queued_requests: usize,
}

/// Whether a supervisor has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Given,
    /// No answer came in time.
    Late,
    /// The survey had not found the supervisor before the deadline.
    NotAsked,
}

/// A picture, and the number of children that it leaves out.
type PictureRead = (Arc<PublishedState>, usize);

type PendingAnswers<'a> = FuturesUnordered<BoxFuture<'a, (Pid, Result<PictureRead, CallError>)>>;

impl Survey {
    /// Asks this supervisor and all supervisors below it. Waits no longer than `limit` in all.
    pub(crate) async fn run(
        runtime: &Runtime,
        root: Pid,
        limit: Duration,
    ) -> Result<Self, CallError> {
        if !runtime.is_alive(root) {
            return Err(CallError::no_proc(&runtime.kernel));
        }
        let due = after(Instant::now(), limit);
        let mut survey = Survey { runtime: runtime.clone(), root, answers_by_pid: HashMap::new() };
        let mut answers = PendingAnswers::new();
        survey.ask_subtree(root, &mut answers);
        while let Some(Some((pid, answer))) =
            until(&runtime.kernel, Some(due), answers.next()).await
        {
            match answer {
                Ok((picture, left_out)) => {
                    for child in child_supervisors(runtime, pid, &picture) {
                        survey.ask_subtree(child, &mut answers);
                    }
                    survey.answers_by_pid.insert(pid, Some((picture, left_out)));
                }
                Err(error @ (CallError::NoProc | CallError::Exited(_) | CallError::TokioGone))
                    if pid == root =>
                {
                    return Err(error);
                }
                // The supervisor has ended, or it waits for the caller of this survey (a deadlock).
                Err(_) => {}
            }
        }
        Ok(survey)
    }

    /// A survey that asks no supervisor: the tree is built from the published states.
    #[cfg(feature = "chaos")]
    pub(crate) fn without_questions(runtime: &Runtime, root: Pid) -> Self {
        Survey { runtime: runtime.clone(), root, answers_by_pid: HashMap::new() }
    }

    /// Asks this supervisor and all supervisors that the pictures show below it.
    fn ask_subtree(&mut self, pid: Pid, answers: &mut PendingAnswers<'_>) {
        let mut next = vec![pid];
        while let Some(pid) = next.pop() {
            // Invariant 1.
            let Entry::Vacant(entry) = self.answers_by_pid.entry(pid) else { continue };
            let Some(published) = published(&self.runtime, pid) else { continue };
            entry.insert(None);
            next.extend(child_supervisors(&self.runtime, pid, &published.read()));
            answers.push(Box::pin(ask(self.runtime.clone(), pid, published)));
        }
    }

    /// Returns the number of children in all pictures together.
    #[cfg(feature = "axum")]
    pub(crate) fn child_count(&self) -> usize {
        let shown = |(pid, read): (&Pid, &Option<PictureRead>)| match read {
            Some((picture, _)) => picture.children.len(),
            None => published(&self.runtime, *pid)
                .map_or(0, |cell| cell.change(|picture| picture.children.len())),
        };
        self.answers_by_pid.iter().map(shown).sum()
    }

    /// Returns the picture of this supervisor; `None` if the supervisor has published none.
    pub(super) fn supervisor(&self, pid: Pid) -> Option<SurveyedSupervisor> {
        let asked = self.answers_by_pid.get(&pid);
        if let Some(Some((picture, left_out))) = asked {
            let (picture, answer) = (picture.clone(), Answer::Given);
            let left_out = *left_out;
            return Some(SurveyedSupervisor { picture, left_out, answer, queued_requests: 0 });
        }
        let published = published(&self.runtime, pid)?;
        let mut picture = published.read();
        let count = published.count();
        if picture.is_partial {
            // The picture is from the last answer, so some of these children may have ended since.
            picture.children.retain(|child| match child.state {
                PublishedChildState::Running(pid) => self.runtime.is_alive(pid),
                PublishedChildState::Restarting { .. }
                | PublishedChildState::Stopped
                | PublishedChildState::GivenUp => true,
            });
        }
        let left_out = count_left_out(&picture, count);
        let answer = if asked.is_some() { Answer::Late } else { Answer::NotAsked };
        let (picture, queued_requests) = (Arc::new(picture), published.queued_requests());
        Some(SurveyedSupervisor { picture, left_out, answer, queued_requests })
    }
}

/// Returns the process of the child that this supervisor is starting, if the process exists yet.
pub(super) fn starting_process(
    runtime: &Runtime,
    supervisor: Pid,
    picture: &PublishedState,
) -> Option<Pid> {
    let Step::Starting { key, start, .. } = picture.step else { return None };
    runtime.kernel.child_at(supervisor, ChildSlot { child: key, start })
}

/// Returns the processes of the supervisors among the children of this supervisor.
fn child_supervisors(runtime: &Runtime, supervisor: Pid, picture: &PublishedState) -> Vec<Pid> {
    let running = picture.children.values().filter_map(|child| match child.state {
        PublishedChildState::Running(pid) if child.kind == ChildType::Supervisor => Some(pid),
        _ => None,
    });
    running.chain(starting_process(runtime, supervisor, picture)).collect()
}

fn published(runtime: &Runtime, pid: Pid) -> Option<Arc<PublishedCell>> {
    PublishedCell::of(&*runtime.kernel.find(pid)?)
}

/// Asks a supervisor to publish, and reads its picture after the answer (invariant 2).
async fn ask(
    runtime: Runtime,
    pid: Pid,
    published: Arc<PublishedCell>,
) -> (Pid, Result<PictureRead, CallError>) {
    let permit = published.permit().await;
    let answer = match runtime.server_at::<FixedServer>(pid) {
        Ok(tree) => tree.call_unlimited(|reply| server::Call::Publish(reply, permit)).await,
        Err(CallError::WrongType) => match runtime.server_at::<DynamicServer>(pid) {
            Ok(tree) => {
                let publish = |reply| dynamic_server::Call::Publish(reply, permit);
                tree.call_unlimited(publish).await
            }
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let read = |()| {
        let picture = published.read();
        let left_out = count_left_out(&picture, published.count());
        (Arc::new(picture), left_out)
    };
    (pid, answer.map(read))
}

/// Returns how many of `count` children are not in the picture.
fn count_left_out(picture: &PublishedState, count: usize) -> usize {
    match picture.is_partial {
        true => count.saturating_sub(picture.children.len()),
        false => 0,
    }
}
