//! One picture, as text.

use crate::player::State;
use crate::screens::Seen;
use crate::screens::frame::{Status, text};
use crate::screens::outline::Outline;
use crate::source::News;
use crate::view::{Screen, View};

/// The width of a picture that goes to no terminal.
const WIDTH: usize = 160;

/// Returns the picture after these items. The error says why there is none.
pub(crate) fn picture(
    news: impl IntoIterator<Item = News>,
    mut view: View,
    status: &Status,
) -> Result<String, String> {
    let mut state = State::default();
    for one in news {
        state.take(&one);
    }
    if let Some(why) = state.wrong.filter(|_| !state.model.has_picture) {
        return Err(why);
    }
    if !state.model.has_picture {
        return Err("there is no picture".into());
    }
    if view.screen == Screen::Tree {
        // Lists all children of dynamic supervisors, because a text has no keys to unfold them.
        view.opened = state.model.nodes().map(|node| state.model.key_of(node)).collect();
    }
    let mut outline = Outline::default();
    outline.update(&state.model, &view);
    let now_ms = state.model.time_ms;
    let seen = Seen { model: &state.model, view: &view, now_ms, width: WIDTH };
    Ok(text(&seen, &outline, status))
}
