//! A row of a screen: texts with their tones. This module does not depend on the terminal.

use crate::model::Tone;
use crate::shown::Shown;

/// A row, made of texts of type [`Shown`] only.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) parts: Vec<(Shown, Tone)>,
    pub(crate) is_chosen: bool,
}

impl Row {
    pub(crate) fn new() -> Self {
        Row::default()
    }

    pub(crate) fn of(text: impl Into<Shown>, tone: Tone) -> Self {
        Row::new().put(text, tone)
    }

    /// Adds a text.
    pub(crate) fn put(mut self, text: impl Into<Shown>, tone: Tone) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.parts.push((text, tone));
        }
        self
    }

    /// Adds a text in a column of this width, and a space.
    pub(crate) fn column(self, text: impl Into<Shown>, width: usize, tone: Tone) -> Self {
        self.put(text.into().fit(width), tone).put(" ", Tone::Plain)
    }

    /// Adds a text at the right of a column of this width, and a space.
    pub(crate) fn right(self, text: impl Into<Shown>, width: usize, tone: Tone) -> Self {
        self.put(text.into().right(width), tone).put(" ", Tone::Plain)
    }

    /// Adds a text at the right end of a row of this width, if there is room.
    pub(crate) fn at_end(self, text: Shown, width: usize, tone: Tone) -> Self {
        match width.checked_sub(self.width() + text.width()).filter(|space| *space > 0) {
            Some(space) => self.put(Shown::default().fit(space), Tone::Plain).put(text, tone),
            None => self,
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.parts.iter().map(|(text, _)| text.width()).sum()
    }

    /// Returns the row in at most this number of columns.
    pub(crate) fn cut(&self, columns: usize) -> Self {
        let (mut row, mut left) = (Row { is_chosen: self.is_chosen, ..Row::new() }, columns);
        for (text, tone) in &self.parts {
            let text = text.cut(left);
            left -= text.width().min(left);
            row = row.put(text, *tone);
        }
        row
    }

    /// Returns the row without its tones.
    pub(crate) fn text(&self) -> String {
        let text: String = self.parts.iter().map(|(text, _)| text.as_str()).collect();
        text.trim_end().to_owned()
    }
}
