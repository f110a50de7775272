//! What this program has received: the model, and the errors that a screen shows.

use serde_json::Value;

use crate::model::Model;
use crate::source::News;

/// The state of the observed program and of the connection, after the news so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) model: Model,
    /// Why the connection failed. `None` again after a new connection.
    pub(crate) lost: Option<String>,
    /// Why the last item could not be read. `None` again after an item that can be read, and after
    /// a new connection.
    pub(crate) wrong: Option<String>,
}

impl State {
    /// Applies a report of the source. Returns whether the report was an item that can be read.
    pub(crate) fn take(&mut self, news: &News) -> bool {
        match news {
            News::Connected => {
                self.wrong = None;
                self.lost = None;
            }
            News::Lost(why) => self.lost = Some(why.clone()),
            News::Gone(pid) => self.model.set_detail(*pid, None),
            News::Item(text) => {
                let item = serde_json::from_str::<Value>(text);
                let item = item.map_err(|error| format!("an item is no JSON: {error}"));
                self.wrong = item.and_then(|item| self.model.apply(&item)).err();
                return self.wrong.is_none();
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> News {
        News::Item(text.to_owned())
    }

    #[test]
    fn an_error_of_an_item_is_gone_after_an_item_that_can_be_read() {
        let mut state = State::default();
        assert!(!state.take(&item("{\"version\":1,")));
        assert!(state.wrong.as_deref().is_some_and(|why| why.contains("no JSON")));
        state.take(&News::Lost("closed".to_owned()));
        assert!(state.wrong.is_some());
        assert!(state.take(&item("{\"version\":1,\"type\":\"sample\"}")));
        assert_eq!((state.wrong, state.lost.as_deref()), (None, Some("closed")));
    }

    #[test]
    fn a_new_connection_removes_all_errors() {
        let mut state = State::default();
        state.take(&item("{\"version\":2}"));
        state.take(&News::Lost("closed".to_owned()));
        state.take(&News::Connected);
        assert_eq!((state.wrong, state.lost), (None, None));
    }
}
