//! Draws frames on the terminal, reads its keys, and restores it at the end, also after a panic.
//!
//! While a [`Terminal`] exists, the terminal is in raw mode, shows its alternate screen and has no
//! cursor. The destructor of the [`Terminal`] restores the terminal. The panic hook also restores
//! the terminal, before it prints the panic. After a panic of any task or thread, no frame is drawn
//! any more, and the program ends.

use std::io::{self, BufWriter, Stdout, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Color, Print, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color as Paint, Modifier, Style};
use ratatui_core::text::{Line, Span};

use crate::keys::Key;
use crate::model::Tone;
use crate::row::Row;

/// Whether a panic has restored the terminal.
static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

/// A terminal that shows frames.
pub(crate) struct Terminal {
    output: BufWriter<Stdout>,
    /// The last frame. Of the next frame, only the cells that differ are written.
    shown: Buffer,
    colors: bool,
}

impl Terminal {
    pub(crate) fn new() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            HAS_PANICKED.store(true, Ordering::SeqCst);
            restore();
            before(panic);
        }));
        enable_raw_mode()?;
        // https://no-color.org
        let colors = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        // From here on the destructor of `terminal` restores the terminal.
        let mut terminal = Terminal {
            output: BufWriter::with_capacity(1 << 16, stdout()),
            shown: Buffer::default(),
            colors,
        };
        execute!(terminal.output, EnterAlternateScreen, Hide)?;
        Ok(terminal)
    }

    /// Returns the number of columns and of rows.
    pub(crate) fn size(&self) -> io::Result<(usize, usize)> {
        let (width, height) = crossterm::terminal::size()?;
        Ok((width.into(), height.into()))
    }

    /// Draws a frame of these rows, with this number of columns.
    pub(crate) fn draw(&mut self, rows: &[Row], width: usize) -> io::Result<()> {
        if HAS_PANICKED.load(Ordering::SeqCst) {
            return Err(io::Error::other("it was given back because of the panic above"));
        }
        let (width, height) = (u16::try_from(width), u16::try_from(rows.len()));
        let area = Rect::new(0, 0, width.unwrap_or(u16::MAX), height.unwrap_or(u16::MAX));
        if self.shown.area != area {
            queue!(self.output, Clear(ClearType::All))?;
            self.shown = Buffer::empty(area);
        }
        let mut next = Buffer::empty(area);
        for (y, row) in (0..area.height).zip(rows) {
            let part = |(text, tone): &(crate::shown::Shown, Tone)| {
                Span::styled(text.as_str().to_owned(), style(*tone, self.colors))
            };
            next.set_line(0, y, &Line::from_iter(row.parts.iter().map(part)), area.width);
            if row.is_chosen {
                let whole = Rect { y, height: 1, ..area };
                next.set_style(whole, Style::new().add_modifier(Modifier::REVERSED));
            }
        }
        let mut last = None;
        for (x, y, cell) in self.shown.diff(&next) {
            queue!(self.output, MoveTo(x, y))?;
            let look = (cell.fg, cell.modifier);
            if last.replace(look) != Some(look) {
                write_look(&mut self.output, cell)?;
            }
            queue!(self.output, Print(cell.symbol()))?;
        }
        queue!(self.output, SetAttribute(Attribute::Reset))?;
        self.output.flush()?;
        self.shown = next;
        Ok(())
    }
}

/// Writes the color and the attributes of a cell.
fn write_look(output: &mut impl Write, cell: &Cell) -> io::Result<()> {
    queue!(output, SetAttribute(Attribute::Reset))?;
    let color = match cell.fg {
        Paint::Green => Some(Color::DarkGreen),
        Paint::Yellow => Some(Color::DarkYellow),
        Paint::Red => Some(Color::DarkRed),
        _ => None,
    };
    if let Some(color) = color {
        queue!(output, SetForegroundColor(color))?;
    }
    for (modifier, attribute) in [
        (Modifier::BOLD, Attribute::Bold),
        (Modifier::DIM, Attribute::Dim),
        (Modifier::REVERSED, Attribute::Reverse),
    ] {
        if cell.modifier.contains(modifier) {
            queue!(output, SetAttribute(attribute))?;
        }
    }
    Ok(())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if HAS_PANICKED.load(Ordering::SeqCst) {
            // The panic hook has restored the terminal. A second restoration would move the cursor
            // over the text of the panic. The part of a frame that is not written yet is dropped,
            // because it would appear below that text.
            let left = std::mem::replace(&mut self.output, BufWriter::with_capacity(0, stdout()));
            drop(left.into_parts());
        } else {
            restore();
        }
    }
}

/// Restores the terminal. Errors are ignored: a terminal that is closed can't be restored.
fn restore() {
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

fn style(tone: Tone, colors: bool) -> Style {
    let color = |color| if colors { Style::new().fg(color) } else { Style::new() };
    match tone {
        Tone::Plain => Style::new(),
        Tone::Dim => Style::new().add_modifier(Modifier::DIM),
        Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
        Tone::Good => color(Paint::Green),
        Tone::Warn => color(Paint::Yellow),
        Tone::Bad => color(Paint::Red).add_modifier(Modifier::BOLD),
    }
}

/// What the terminal reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Key(Key),
    Resized,
}

/// Waits for the next input, and blocks the thread. An error means that the terminal is closed.
pub(crate) fn read() -> io::Result<Input> {
    loop {
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                if let Some(key) = key_of(key) {
                    return Ok(Input::Key(key));
                }
            }
            Event::Resize(..) => return Ok(Input::Resized),
            _ => {}
        }
    }
}

fn key_of(event: KeyEvent) -> Option<Key> {
    let is_control = event.modifiers.contains(KeyModifiers::CONTROL);
    Some(match event.code {
        KeyCode::Char(c) if is_control => Key::Control(c),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
