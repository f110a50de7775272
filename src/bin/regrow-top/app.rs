//! The interactive view: takes items and keys, and draws.
//!
//! Everything arrives in one bounded queue: what the source reports, keys, and signals. The picture
//! is drawn when the queue is empty, at most once in [`FRAME`], and at least once in [`TICK`],
//! because durations are shown.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::timeout_at;

use crate::clock::time_of_day_ms;
use crate::keys::{Board, Wish};
use crate::model::Tone;
use crate::player::{Player, State};
use crate::record::Recorder;
use crate::screens::Seen;
use crate::screens::frame::{Chooser, Frame, Status, frame};
use crate::screens::outline::{Branch, Outline};
use crate::shown::Shown;
use crate::source::News;
use crate::terminal::{Input, Terminal};
use crate::view::{Screen, View};

const FRAME: Duration = Duration::from_millis(50);
const TICK: Duration = Duration::from_millis(250);

/// What arrives in the queue.
#[derive(Debug)]
pub(crate) enum Event {
    News(News),
    Input(Input),
    /// A signal asks this program to end.
    Stop,
    /// The terminal is gone.
    Hangup,
}

/// Where the items come from, and where they go.
pub(crate) enum Mode {
    Live { url: String, recorder: Option<Recorder> },
    Replay(Box<Player>),
}

/// The interactive view.
pub(crate) struct App {
    mode: Mode,
    state: State,
    view: View,
    outline: Outline,
    /// When the last item was taken.
    taken: Instant,
    /// Since when the program is not reached, by the clock of this machine.
    lost_ms: Option<u64>,
    /// Why the recording ended.
    unrecorded: Option<String>,
    chosen: watch::Sender<Option<u64>>,
    drawn: Frame,
    /// The columns and rows of the terminal.
    size: (usize, usize),
}

impl App {
    pub(crate) fn new(mode: Mode, view: View, chosen: watch::Sender<Option<u64>>) -> Self {
        App {
            mode,
            state: State::default(),
            view,
            outline: Outline::default(),
            taken: Instant::now(),
            lost_ms: None,
            unrecorded: None,
            chosen,
            drawn: Frame { rows: Vec::new(), goal: None, visible: 0 },
            size: (80, 24),
        }
    }

    /// Runs until the user or a signal ends it.
    pub(crate) async fn run(
        mut self,
        terminal: &mut Terminal,
        mut events: mpsc::Receiver<Event>,
    ) -> std::io::Result<()> {
        if let Mode::Replay(player) = &mut self.mode {
            player.begin(&mut self.state, Instant::now());
        }
        loop {
            self.draw(terminal)?;
            let drawn = Instant::now();
            if let Ok(event) = timeout_at(self.wake().into(), events.recv()).await
                && !event.is_some_and(|event| self.take(event))
            {
                return Ok(());
            }
            // What has arrived in the meantime is drawn at once.
            while let Ok(event) = timeout_at((drawn + FRAME).into(), events.recv()).await {
                if !event.is_some_and(|event| self.take(event)) {
                    return Ok(());
                }
                if drawn.elapsed() >= FRAME {
                    break;
                }
            }
            if let Mode::Replay(player) = &mut self.mode {
                player.play(&mut self.state, Instant::now());
            }
        }
    }

    /// Returns when to draw again.
    fn wake(&self) -> Instant {
        let tick = Instant::now() + TICK;
        match &self.mode {
            Mode::Replay(player) => player.due().map_or(tick, |due| due.min(tick)),
            Mode::Live { .. } => tick,
        }
    }

    /// Takes an event. Returns whether the view goes on.
    fn take(&mut self, event: Event) -> bool {
        match event {
            Event::News(news) => self.take_news(&news),
            Event::Input(Input::Resized) => {}
            Event::Input(Input::Key(key)) => return self.press(key),
            Event::Stop | Event::Hangup => return false,
        }
        true
    }

    fn take_news(&mut self, news: &News) {
        if let Mode::Live { recorder, .. } = &mut self.mode
            && let Some(Err(why)) = recorder.as_mut().map(|recorder| recorder.add(news))
        {
            self.unrecorded = Some(why);
            *recorder = None;
        }
        match news {
            News::Lost(_) => self.lost_ms = self.lost_ms.or_else(|| Some(time_of_day_ms())),
            News::Connected => self.lost_ms = None,
            _ => {}
        }
        if self.state.take(news) {
            self.taken = Instant::now();
        }
    }

    fn press(&mut self, key: crate::keys::Key) -> bool {
        let mut board = Board {
            view: &mut self.view,
            model: &self.state.model,
            goal: self.drawn.goal.take(),
            visible: self.drawn.visible,
            is_replay: matches!(self.mode, Mode::Replay(_)),
        };
        let wish = board.press(key);
        let now = Instant::now();
        if let Mode::Replay(player) = &mut self.mode {
            match wish {
                Wish::Pause => player.pause(now),
                Wish::StepBack => player.step_back(&mut self.state, now),
                Wish::StepForth => player.step_forth(&mut self.state, now),
                Wish::Nothing | Wish::Quit => {}
            }
        }
        let pid = self.view.pid(&self.state.model).filter(|_| self.view.screen == Screen::Process);
        self.chosen.send_if_modified(|chosen| std::mem::replace(chosen, pid) != pid);
        // The rows that the next key acts on are those after this one.
        self.lay_out();
        wish != Wish::Quit
    }

    fn draw(&mut self, terminal: &mut Terminal) -> std::io::Result<()> {
        self.size = terminal.size()?;
        let pid = self.view.pid(&self.state.model).filter(|_| self.view.screen == Screen::Process);
        self.chosen.send_if_modified(|chosen| std::mem::replace(chosen, pid) != pid);
        self.lay_out();
        terminal.draw(&self.drawn.rows, self.size.0)
    }

    /// Makes the picture.
    fn lay_out(&mut self) {
        let (width, height) = self.size;
        self.outline.update(&self.state.model, &self.view);
        self.find_chosen();
        let status = self.status();
        let place = *self.view.place();
        let mut chooser = Chooser { height, place, is_interactive: true };
        let now_ms = self.now_ms();
        let seen = Seen { model: &self.state.model, view: &self.view, now_ms, width };
        self.drawn = frame(&seen, &self.outline, &status, &mut chooser);
        *self.view.place() = chooser.place;
        self.keep_chosen();
    }

    /// Moves to the chosen node of the tree, wherever it is now.
    fn find_chosen(&mut self) {
        if self.view.screen != Screen::Tree {
            return;
        }
        let Some(key) = &self.view.chosen_key else { return };
        let Some(chosen) = self.state.model.find(key) else { return };
        let is_chosen =
            |branch: &Branch| matches!(branch, Branch::Node { at, .. } if *at == chosen);
        if let Some(row) = self.outline.tree.iter().position(is_chosen) {
            self.view.place().row = row;
        }
    }

    fn keep_chosen(&mut self) {
        if self.view.screen != Screen::Tree {
            return;
        }
        let row = self.view.place().row;
        let node = match self.outline.tree.get(row) {
            Some(Branch::Node { at, .. }) => self.state.model.get(*at),
            _ => None,
        };
        self.view.chosen_key = node.map(|node| self.state.model.key_of(node));
    }

    /// Returns the time, by the clock of the program. It stands still while the program is not
    /// reached: what is shown is the last picture.
    fn now_ms(&self) -> u64 {
        let elapsed = match &self.mode {
            Mode::Live { .. } if self.lost_ms.is_none() => self.taken.elapsed(),
            _ => Duration::ZERO,
        };
        self.state.model.time_ms + u64::try_from(elapsed.as_millis()).unwrap_or(0)
    }

    fn status(&self) -> Status {
        let mut warnings = Vec::new();
        let lost = self.state.lost.as_deref();
        let (url, state, tone) = match &self.mode {
            Mode::Live { url, recorder } => {
                let (state, tone) = match (lost, self.state.model.has_picture) {
                    (Some(_), _) => ("not connected", Tone::Bad),
                    (None, true) if recorder.is_some() => ("live, recording", Tone::Good),
                    (None, true) => ("live", Tone::Good),
                    (None, false) => ("connecting", Tone::Warn),
                };
                if let (Some(why), Some(ms)) = (lost, self.lost_ms) {
                    let text = Shown::from("not connected since ").and(Shown::clock(ms));
                    warnings.push(text.and(" UTC: ").and(Shown::new(why)));
                }
                (url.clone(), Shown::from(state), tone)
            }
            Mode::Replay(player) => {
                if let Some(why) = lost {
                    warnings.push(Shown::from("not connected: ").and(Shown::new(why)));
                }
                warnings.extend(player.recording.damage.as_deref().map(Shown::new));
                let (state, tone) = position(player);
                (player.recording.url.clone(), state, tone)
            }
        };
        warnings.extend(self.state.wrong.as_deref().map(Shown::new));
        warnings.extend(self.unrecorded.as_deref().map(Shown::new));
        let is_replay = matches!(self.mode, Mode::Replay(_));
        Status { url, state, tone, warnings, is_replay }
    }
}

/// Returns where a recording is.
fn position(player: &Player) -> (Shown, Tone) {
    let at = Shown::span(player.position_ms(Instant::now()));
    let whole = Shown::span(player.recording.length_ms());
    let (what, tone) = match (player.is_over(), player.is_paused) {
        (true, _) => (" (end)", Tone::Warn),
        (false, true) => (" (paused)", Tone::Warn),
        (false, false) => ("", Tone::Good),
    };
    (Shown::from("replay ").and(at).and(" of ").and(whole).and(what), tone)
}
