//! Plays a recording: at its own pace, faster, or step by step.
//!
//! A step back starts from a copy of the state, and applies the moments after the copy again. At
//! most [`COPIES`] copies of the state are kept, at equal distances.

use std::time::{Duration, Instant};

use crate::record::Recording;
use crate::state::State;

const COPIES: usize = 16;

/// How many moments are between two copies at first.
const DISTANCE: usize = 256;

/// A recording that is played.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) recording: Recording,
    /// How many moments have been applied.
    at: usize,
    speed: f64,
    pub(crate) is_paused: bool,
    /// An instant, and the time in the recording at that instant. Both change when the replay is
    /// paused, continued or stepped.
    anchor: (Instant, u64),
    copies: Vec<(usize, State)>,
    distance: usize,
}

impl Player {
    pub(crate) fn new(recording: Recording, speed: f64) -> Self {
        let anchor = (Instant::now(), recording.moments[0].at_ms);
        Player {
            recording,
            at: 0,
            speed,
            is_paused: false,
            anchor,
            copies: Vec::new(),
            distance: DISTANCE,
        }
    }

    /// Returns the time in the recording.
    pub(crate) fn position_ms(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.anchor.0).as_secs_f64() * 1000.0;
        let elapsed = if self.is_paused { 0.0 } else { elapsed * self.speed };
        (self.anchor.1 + elapsed as u64).min(self.recording.length_ms())
    }

    /// Returns when the next moment is due, unless the recording is paused or over.
    pub(crate) fn due(&self) -> Option<Instant> {
        let next = self.recording.moments.get(self.at).filter(|_| !self.is_paused)?;
        let ms = next.at_ms.saturating_sub(self.anchor.1) as f64 / self.speed;
        Some(self.anchor.0 + Duration::from_secs_f64(ms / 1000.0))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.at >= self.recording.moments.len()
    }

    /// Applies the moments that are due.
    pub(crate) fn play(&mut self, state: &mut State, now: Instant) {
        while self.due().is_some_and(|due| due <= now) {
            self.forth(state);
        }
    }

    /// Applies all moments up to the first picture, so that the first frame shows a tree.
    pub(crate) fn begin(&mut self, state: &mut State, now: Instant) {
        while !state.model.has_picture && !self.is_over() {
            self.forth(state);
        }
        self.anchor_at(now);
    }

    pub(crate) fn pause(&mut self, now: Instant) {
        self.anchor = (now, self.position_ms(now));
        self.is_paused = !self.is_paused;
    }

    /// Pauses, and applies the next moment.
    pub(crate) fn step_forth(&mut self, state: &mut State, now: Instant) {
        self.is_paused = true;
        self.forth(state);
        self.anchor_at(now);
    }

    /// Pauses, and removes the effect of the last moment.
    pub(crate) fn step_back(&mut self, state: &mut State, now: Instant) {
        self.is_paused = true;
        let target = self.at.saturating_sub(1).max(1);
        let copy = self.copies.iter().rev().find(|(at, _)| *at <= target);
        let (at, before) = copy.cloned().unwrap_or_default();
        // The state needs a revision that no former state had. Otherwise the outline would keep the
        // rows of the former state with that revision.
        let revision = state.model.revision;
        (*state, self.at) = (before, at);
        while self.at < target {
            self.forth(state);
        }
        state.model.revision += revision + 1;
        self.anchor_at(now);
    }

    fn anchor_at(&mut self, now: Instant) {
        let last = self.at.checked_sub(1).and_then(|last| self.recording.moments.get(last));
        self.anchor = (now, last.map_or(0, |last| last.at_ms));
    }

    fn forth(&mut self, state: &mut State) {
        let last = self.copies.last().map_or(0, |(at, _)| *at);
        if self.at >= last + self.distance {
            self.copies.push((self.at, state.clone()));
        }
        if self.copies.len() > COPIES {
            self.distance *= 2;
            let mut number = 0;
            self.copies.retain(|_| {
                number += 1;
                number % 2 == 0
            });
        }
        if let Some(news) = self.recording.news(self.at) {
            state.take(&news);
        }
        self.at = (self.at + 1).min(self.recording.moments.len());
    }
}
