//! The interactive view: applies items and keys, and draws frames.
//!
//! Keys, signals and the reports of the source arrive in one bounded queue. An event causes a new
//! frame. Two frames are at least [`FRAME`] apart. If no event arrives within [`TICK`], a new frame
//! is drawn anyway, because the durations on the screen grow.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::timeout_at;

use crate::keys::{Board, Wish};
use crate::mode::Mode;
use crate::screens::Seen;
use crate::screens::frame::{Chooser, Frame, frame};
use crate::screens::outline::{Branch, Outline};
use crate::source::News;
use crate::state::State;
use crate::terminal::{Input, Terminal};
use crate::view::{Screen, View};

const FRAME: Duration = Duration::from_millis(50);
const TICK: Duration = Duration::from_millis(250);

/// An entry of the queue.
#[derive(Debug)]
pub(crate) enum Event {
    News(News),
    Input(Input),
    /// A signal asks this program to end.
    Stop,
    /// The terminal is closed.
    Hangup,
}

/// The interactive view.
pub(crate) struct App {
    mode: Mode,
    state: State,
    view: View,
    outline: Outline,
    /// When the last item was applied.
    taken: Instant,
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
            chosen,
            drawn: Frame { rows: Vec::new(), goal: None, visible: 0 },
            size: (80, 24),
        }
    }

    /// Runs until the user or a signal ends the view.
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
            if let Ok(event) = timeout_at(self.mode.wake(TICK).into(), events.recv()).await
                && !event.is_some_and(|event| self.take(event))
            {
                return Ok(());
            }
            // Applies all events that arrive within `FRAME` after the last frame. The next frame
            // shows the effect of all of them.
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

    /// Applies an event. Returns whether the view goes on.
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
        self.mode.note(news);
        if self.state.take(news) {
            self.taken = Instant::now();
        }
    }

    fn press(&mut self, key: crate::keys::Key) -> bool {
        crate::fault::at("key");
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
        // This key can change the rows, and the next key can arrive before the next frame is drawn.
        // The rows are laid out again here, so that the next key acts on the changed rows.
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

    /// Makes the frame.
    fn lay_out(&mut self) {
        let (width, height) = self.size;
        self.outline.update(&self.state.model, &self.view);
        self.find_chosen();
        let status = self.mode.status(&self.state);
        let place = *self.view.place();
        let mut chooser = Chooser { height, place, is_interactive: true };
        let now_ms = self.state.model.time_ms + self.mode.age_ms(self.taken);
        let seen = Seen { model: &self.state.model, view: &self.view, now_ms, width };
        self.drawn = frame(&seen, &self.outline, &status, &mut chooser);
        *self.view.place() = chooser.place;
        self.keep_chosen();
    }

    /// Moves the selection of the tree to the row that now shows the chosen node.
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
}
