//! One frame, as text.

use crate::screens::Seen;
use crate::screens::frame::{Status, text};
use crate::screens::outline::Outline;
use crate::source::News;
use crate::state::State;
use crate::view::{Screen, View};

/// The width of a frame that goes to no terminal.
const WIDTH: usize = 160;

/// Returns the frame after these items, as text. The error says why there is no picture to show.
pub(crate) fn frame_text(
    news: impl IntoIterator<Item = News>,
    mut view: View,
    status: &Status,
) -> Result<String, String> {
    let (mut state, mut first_error) = (State::default(), None);
    for one in news {
        state.take(&one);
        first_error = first_error.or_else(|| state.wrong.clone());
    }
    if !state.model.has_picture {
        return Err(first_error.unwrap_or_else(|| "there is no picture".into()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_picture_the_first_error_is_returned() {
        let items = ["{\"version\":2}", "{\"version\":1,\"type\":\"sample\"}"];
        let news = items.map(|item| News::Item(item.to_owned()));
        let why = frame_text(news, View::default(), &Status::default()).unwrap_err();
        assert!(why.contains("version 2"), "{why}");
        let why = frame_text([], View::default(), &Status::default()).unwrap_err();
        assert_eq!(why, "there is no picture");
    }
}
