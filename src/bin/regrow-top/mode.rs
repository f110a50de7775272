//! The two modes: live, with a running program, and replay, with a recording. Each mode decides the
//! status in the title, and the age of the data.

use std::time::{Duration, Instant};

use crate::clock::time_of_day_ms;
use crate::model::Tone;
use crate::player::Player;
use crate::record::Recorder;
use crate::screens::frame::Status;
use crate::shown::Shown;
use crate::source::News;
use crate::state::State;

/// A running program.
pub(crate) struct Live {
    url: String,
    recorder: Option<Recorder>,
    /// When the connection was lost, by the clock of this machine. `None` while there is a
    /// connection.
    lost_ms: Option<u64>,
    /// Why the recording ended.
    unrecorded: Option<String>,
}

/// Where the items come from.
pub(crate) enum Mode {
    Live(Live),
    Replay(Box<Player>),
}

impl Mode {
    pub(crate) fn live(url: String, recorder: Option<Recorder>) -> Self {
        Mode::Live(Live { url, recorder, lost_ms: None, unrecorded: None })
    }

    /// Adds the news to the recording, if there is one. Notes when the connection was lost.
    pub(crate) fn note(&mut self, news: &News) {
        let Mode::Live(live) = self else { return };
        if let Some(Err(why)) = live.recorder.as_mut().map(|recorder| recorder.add(news)) {
            live.unrecorded = Some(why);
            live.recorder = None;
        }
        match news {
            News::Lost(_) => live.lost_ms = live.lost_ms.or_else(|| Some(time_of_day_ms())),
            News::Connected => live.lost_ms = None,
            News::Item(_) | News::Gone(_) => {}
        }
    }

    /// Returns when the next frame is due: after a tick, or at the next moment of a replay if that
    /// is earlier.
    pub(crate) fn wake(&self, tick: Duration) -> Instant {
        let tick = Instant::now() + tick;
        match self {
            Mode::Replay(player) => player.due().map_or(tick, |due| due.min(tick)),
            Mode::Live(_) => tick,
        }
    }

    /// Returns the age of the last item in milliseconds. In a replay and without a connection the
    /// age is zero, so the screen shows all durations as they were at the last item.
    pub(crate) fn age_ms(&self, taken: Instant) -> u64 {
        let age = match self {
            Mode::Live(live) if live.lost_ms.is_none() => taken.elapsed(),
            _ => Duration::ZERO,
        };
        u64::try_from(age.as_millis()).unwrap_or(0)
    }

    /// Returns the status that the title shows.
    pub(crate) fn status(&self, state: &State) -> Status {
        let mut status = match self {
            Mode::Live(live) => live.status(state),
            Mode::Replay(player) => replayed(player, state),
        };
        status.warnings.extend(state.wrong.as_deref().map(Shown::new));
        status
    }
}

impl Live {
    fn status(&self, state: &State) -> Status {
        let lost = state.lost.as_deref();
        let (word, tone) = match (lost, state.model.has_picture) {
            (Some(_), _) => ("not connected", Tone::Bad),
            (None, true) if self.recorder.is_some() => ("live, recording", Tone::Good),
            (None, true) => ("live", Tone::Good),
            (None, false) => ("connecting", Tone::Warn),
        };
        let mut warnings = Vec::new();
        if let (Some(why), Some(ms)) = (lost, self.lost_ms) {
            let text = Shown::from("not connected since ").and(Shown::clock(ms));
            warnings.push(text.and(" UTC: ").and(Shown::new(why)));
        }
        warnings.extend(self.unrecorded.as_deref().map(Shown::new));
        Status { url: self.url.clone(), state: word.into(), tone, warnings, is_replay: false }
    }
}

fn replayed(player: &Player, state: &State) -> Status {
    let at = Shown::span(player.position_ms(Instant::now()));
    let whole = Shown::span(player.recording.length_ms());
    let (what, tone) = match (player.is_over(), player.is_paused) {
        (true, _) => (" (end)", Tone::Warn),
        (false, true) => (" (paused)", Tone::Warn),
        (false, false) => ("", Tone::Good),
    };
    let lost = state.lost.as_deref();
    let lost = lost.map(|why| Shown::from("not connected: ").and(Shown::new(why)));
    let damage = player.recording.damage.as_deref().map(Shown::new);
    Status {
        url: player.recording.url.clone(),
        state: Shown::from("replay ").and(at).and(" of ").and(whole).and(what),
        tone,
        warnings: lost.into_iter().chain(damage).collect(),
        is_replay: true,
    }
}
