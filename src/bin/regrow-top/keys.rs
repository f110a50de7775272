//! What each key does.

use crate::model::Model;
use crate::view::{Chosen, Goal, Screen, View};

/// A key, independent of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl and this character.
    Control(char),
}

/// The effect of a key that is not a change of the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    Quit,
    Pause,
    StepBack,
    StepForth,
}

/// The view that a key changes, and what the key needs to know of the frame.
pub(crate) struct Board<'a> {
    pub(crate) view: &'a mut View,
    pub(crate) model: &'a Model,
    /// The goal of the chosen row.
    pub(crate) goal: Option<Goal>,
    /// How many rows of the screen are visible.
    pub(crate) visible: usize,
    pub(crate) is_replay: bool,
}

impl Board<'_> {
    pub(crate) fn press(&mut self, key: Key) -> Wish {
        if key == Key::Control('c') {
            return Wish::Quit;
        }
        if self.view.is_editing {
            self.edit(key);
            return Wish::Nothing;
        }
        if std::mem::take(&mut self.view.has_help) {
            return Wish::Nothing;
        }
        match key {
            Key::Char('q') => return Wish::Quit,
            Key::Char(' ') if self.is_replay => return Wish::Pause,
            Key::Left if self.is_replay => return Wish::StepBack,
            Key::Right if self.is_replay => return Wish::StepForth,
            Key::Left => self.fold(Some(true)),
            Key::Right => self.fold(Some(false)),
            Key::Char('f') => self.fold(None),
            Key::Char(number @ '1'..='5') => {
                let at = (number as usize) - ('1' as usize);
                self.view.show(Screen::ALL[at].0);
            }
            Key::Char('?' | 'h') => self.view.has_help = true,
            Key::Char('/') => self.view.is_editing = self.view.screen.has_filter(),
            Key::Char('x') => {
                self.view.failures_only = !self.view.failures_only;
                self.view.revision += 1;
            }
            Key::Escape => self.view.edit_filter(String::clear),
            Key::Enter => self.enter(),
            other => self.step(other),
        }
        Wish::Nothing
    }

    fn edit(&mut self, key: Key) {
        match key {
            Key::Char(c) => self.view.edit_filter(|filter| filter.push(c)),
            Key::Backspace => self.view.edit_filter(|filter| {
                filter.pop();
            }),
            Key::Control('u') => self.view.edit_filter(String::clear),
            Key::Escape => {
                self.view.edit_filter(String::clear);
                self.view.is_editing = false;
            }
            Key::Enter => self.view.is_editing = false,
            other => {
                self.view.is_editing = false;
                self.step(other);
            }
        }
    }

    fn step(&mut self, key: Key) {
        let page = isize::try_from(self.visible.max(2) - 1).unwrap_or(isize::MAX);
        match key {
            Key::Up | Key::Char('k') => self.view.move_by(-1),
            Key::Down | Key::Char('j') => self.view.move_by(1),
            Key::PageUp => self.view.move_by(-page),
            Key::PageDown => self.view.move_by(page),
            Key::Home | Key::Char('g') => self.view.move_to(0),
            Key::End | Key::Char('G') => self.view.move_to(usize::MAX),
            _ => {}
        }
    }

    fn enter(&mut self) {
        if let Some(goal) = self.goal.take() {
            self.view.go(goal);
        }
    }

    /// Folds the chosen supervisor if `fold` is `Some(true)`, unfolds the supervisor if it is
    /// `Some(false)`, and switches between the two if it is `None`.
    fn fold(&mut self, fold: Option<bool>) {
        if self.view.screen != Screen::Tree {
            return;
        }
        let Some(Goal::Process(Chosen { path, pid })) = &self.goal else { return };
        let by_path = || self.model.find(&crate::model::Key { path: path.clone(), pid: None });
        let at = pid.and_then(|pid| self.model.with_pid(pid)).map(|node| self.model.key_of(node));
        let key = at.or_else(|| {
            by_path().and_then(|at| self.model.get(at)).map(|node| self.model.key_of(node))
        });
        if let Some(key) = key {
            let fold = fold.unwrap_or(!self.view.folded.contains(&key));
            self.view.fold(key, fold);
        }
    }
}
