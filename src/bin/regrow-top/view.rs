//! The choices of the user: the screen, the row, the filter. This module does not depend on keys or
//! on drawing.

use std::collections::HashSet;

use crate::model::{Key, Model};

/// The screens, in the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Screen {
    #[default]
    Tree,
    History,
    Process,
    Pressure,
    Stopping,
}

impl Screen {
    pub(crate) const ALL: [(Screen, &str); 5] = [
        (Screen::Tree, "Tree"),
        (Screen::History, "History"),
        (Screen::Process, "Process"),
        (Screen::Pressure, "Pressure"),
        (Screen::Stopping, "Stopping"),
    ];

    /// Returns the screen of this name, in lower case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = Screen::ALL.into_iter();
        all.find(|(_, title)| title.eq_ignore_ascii_case(name)).map(|(screen, _)| screen)
    }

    pub(crate) fn has_filter(self) -> bool {
        matches!(self, Screen::Tree | Screen::History)
    }
}

/// The process that the user has opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) path: String,
    pub(crate) pid: Option<u64>,
}

/// What Enter on a row opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Goal {
    Process(Chosen),
    /// The children of this dynamic supervisor that are not listed.
    More(Key),
}

/// The chosen row of a screen, and the first visible row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    pub(crate) row: usize,
    pub(crate) top: usize,
}

impl Place {
    /// Limits the chosen row to `total` rows, and scrolls so that the chosen row is visible.
    pub(crate) fn keep_within(&mut self, total: usize, visible: usize) {
        self.row = self.row.min(total.saturating_sub(1));
        self.top = self.top.min(total.saturating_sub(visible)).min(self.row);
        if self.row >= self.top + visible {
            self.top = self.row + 1 - visible;
        }
    }
}

/// The choices of the user.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) screen: Screen,
    places: [Place; 5],
    /// The node of the row that is chosen in the tree. The selection stays on this node when rows
    /// are added or removed.
    pub(crate) chosen_key: Option<Key>,
    pub(crate) folded: HashSet<Key>,
    pub(crate) opened: HashSet<Key>,
    filters: [String; 5],
    pub(crate) is_editing: bool,
    pub(crate) failures_only: bool,
    pub(crate) process: Option<Chosen>,
    pub(crate) has_help: bool,
    /// Increases with each change of a filter, and when rows are folded or unfolded.
    pub(crate) revision: u64,
}

impl View {
    pub(crate) fn show(&mut self, screen: Screen) {
        self.screen = screen;
        self.is_editing = false;
        self.has_help = false;
    }

    pub(crate) fn place(&mut self) -> &mut Place {
        &mut self.places[self.screen as usize]
    }

    pub(crate) fn move_by(&mut self, rows: isize) {
        let place = self.place();
        place.row = place.row.saturating_add_signed(rows);
        self.chosen_key = None;
    }

    pub(crate) fn move_to(&mut self, row: usize) {
        self.place().row = row;
        self.chosen_key = None;
    }

    pub(crate) fn filter(&self) -> &str {
        self.filter_of(self.screen)
    }

    pub(crate) fn filter_of(&self, screen: Screen) -> &str {
        &self.filters[screen as usize]
    }

    pub(crate) fn edit_filter(&mut self, edit: impl FnOnce(&mut String)) {
        edit(&mut self.filters[self.screen as usize]);
        self.move_to(0);
        self.revision += 1;
    }

    pub(crate) fn fold(&mut self, key: Key, fold: bool) {
        if fold {
            self.folded.insert(key);
        } else {
            self.folded.remove(&key);
        }
        self.revision += 1;
    }

    /// Opens the goal of a row.
    pub(crate) fn go(&mut self, goal: Goal) {
        match goal {
            Goal::Process(chosen) => self.show_process(chosen),
            Goal::More(key) => {
                if !self.opened.remove(&key) {
                    self.opened.insert(key);
                }
                self.revision += 1;
            }
        }
    }

    pub(crate) fn show_process(&mut self, chosen: Chosen) {
        self.process = Some(chosen);
        self.show(Screen::Process);
        self.move_to(0);
    }

    /// Returns the pid of the process that the screen shows. After a restart of a child, returns
    /// the pid of its last incarnation.
    pub(crate) fn pid(&self, model: &Model) -> Option<u64> {
        let chosen = self.process.as_ref()?;
        let by_path = || model.find(&Key { path: chosen.path.clone(), pid: None });
        match chosen.pid {
            Some(pid) if model.with_pid(pid).is_some() => Some(pid),
            pid => by_path().and_then(|at| model.get(at)).and_then(|node| node.pid).or(pid),
        }
    }
}
