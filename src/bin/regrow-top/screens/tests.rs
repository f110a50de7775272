//! The screens, as text.

use serde_json::{Value, json};

use crate::keys::{Board, Key, Wish};
use crate::model::Model;
use crate::screens::Seen;
use crate::screens::frame::{Chooser, Frame, Status, frame};
use crate::screens::outline::Outline;
use crate::view::{Place, Screen, View};

/// A user with a terminal.
struct User {
    model: Model,
    view: View,
    outline: Outline,
    size: (usize, usize),
    drawn: Frame,
}

impl User {
    fn new(items: &[Value]) -> Self {
        let mut model = Model::default();
        for item in items {
            model.apply(item).unwrap();
        }
        let drawn = Frame { rows: Vec::new(), goal: None, visible: 0 };
        let (view, outline) = (View::default(), Outline::default());
        let mut user = User { model, view, outline, size: (100, 30), drawn };
        user.draw();
        user
    }

    fn draw(&mut self) -> String {
        self.outline.update(&self.model, &self.view);
        let place = *self.view.place();
        let mut chooser = Chooser { height: self.size.1, place, is_interactive: true };
        let now_ms = self.model.time_ms + 1000;
        let seen = Seen { model: &self.model, view: &self.view, now_ms, width: self.size.0 };
        self.drawn = frame(&seen, &self.outline, &Status::default(), &mut chooser);
        *self.view.place() = chooser.place;
        assert_eq!(self.drawn.rows.len(), self.size.1);
        assert!(self.drawn.rows.iter().all(|row| row.width() <= self.size.0));
        let lines: Vec<_> = self.drawn.rows.iter().map(crate::row::Row::text).collect();
        lines.join("\n")
    }

    fn press(&mut self, keys: &[Key]) -> String {
        for key in keys {
            let mut board = Board {
                view: &mut self.view,
                model: &self.model,
                goal: self.drawn.goal.take(),
                visible: self.drawn.visible,
                is_replay: false,
            };
            assert_eq!(board.press(*key), Wish::Nothing);
            self.draw();
        }
        self.draw()
    }
}

fn node(path: &str, pid: u64, above: Option<u64>, strategy: &str) -> Value {
    let kind = if strategy.is_empty() { "worker" } else { "supervisor" };
    json!({"path": path, "id": path.rsplit('/').next(), "pid": pid, "supervisor": above,
        "kind": kind, "state": "running", "health": "ready", "started_ms": 0, "restarts": 0,
        "queued": 0, "history": [], "strategy": strategy})
}

fn picture(nodes: &[Value]) -> Value {
    json!({"version": 1, "type": "picture", "time_ms": 5000, "nodes": nodes,
        "counters": {"spawned": nodes.len()}})
}

/// A supervisor with many children.
fn wide(children: u64, strategy: &str) -> Value {
    let mut nodes = vec![node("app", 1, None, strategy)];
    nodes.extend((0..children).map(|n| node(&format!("app/n{n}"), n + 2, Some(1), "")));
    picture(&nodes)
}

#[test]
fn of_a_hundred_thousand_children_only_the_visible_rows_are_made() {
    let mut user = User::new(&[wide(100_000, "one_for_one")]);
    let first = user.draw();
    assert!(first.contains("n0 ") && first.contains("100,001 processes"), "{first}");
    let last = user.press(&[Key::End]);
    assert!(last.contains("n99999") && !last.contains("n0 "), "{last}");
    let rows = user.outline.tree.as_ptr();
    user.press(&[Key::Up, Key::PageUp, Key::Home]);
    assert_eq!(user.outline.tree.as_ptr(), rows, "the outline was made again without need");
    let nines = [Key::Char('/'), Key::Char('9'), Key::Char('9'), Key::Char('9')];
    let filtered = user.press(&nines);
    assert!(filtered.contains("n999 ") && !filtered.contains("n998 "), "{filtered}");
    user.view.edit_filter(|filter| filter.push_str("99"));
    let filtered = user.draw();
    assert!(filtered.contains("n99999") && !filtered.contains("n99998"), "{filtered}");
}

#[test]
fn of_a_dynamic_supervisor_the_worst_are_shown_first_and_the_others_by_enter() {
    let mut item = wide(20, "dynamic");
    item["nodes"][17]["state"] = json!("given_up");
    let mut user = User::new(&[item]);
    let text = user.draw();
    assert!(text.contains("n16") && text.contains("n3") && !text.contains("n4 "), "{text}");
    let end = user.press(&[Key::End, Key::Enter]);
    assert!(end.contains("n19") && end.contains("show the worst 5 only"), "{end}");
}

#[test]
fn a_chosen_row_leads_to_its_process_in_a_terminal_of_any_size() {
    let items = [picture(&[node("app", 1, None, "one_for_one"), node("app/job", 2, Some(1), "")])];
    for size in [(60, 20), (200, 60), (20, 6), (1, 1), (0, 2), (100, 3)] {
        let mut user = User::new(&items);
        user.size = size;
        user.draw();
        for (screen, _) in Screen::ALL {
            user.view.show(screen);
            user.draw();
        }
        user.press(&[Key::Char('?'), Key::Char('?')]);
    }
    let mut user = User::new(&items);
    let text = user.press(&[Key::Down, Key::Enter]);
    assert!(user.view.screen == Screen::Process && text.contains("app/job"), "{text}");
    let detail = json!({"version": 1, "type": "process", "time_ms": 6000, "pid": 2,
        "doing": "waits", "links": [1, "3.17"], "names": ["a", "b"], "queued": 4});
    user.model.apply(&detail).unwrap();
    let text = user.press(&[]);
    for part in ["waits", "a, b", "4 queued", "links        app #1", " #3.17"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    user.model.set_detail(9, None);
    let text = user.press(&[Key::Char('2'), Key::Char('4'), Key::Char('5')]);
    assert!(text.contains("No process is stopping."), "{text}");
}

#[test]
fn a_stop_names_the_children_in_the_order_in_which_they_end() {
    let mut app = node("app", 1, None, "one_for_one");
    app["ending_since_ms"] = json!(3000);
    app["step"] = json!({"doing": "stopping", "child": "app/b", "since_ms": 3000});
    let nodes = [app, node("app/a", 2, Some(1), ""), node("app/b", 3, Some(1), "")];
    let mut user = User::new(&[picture(&nodes)]);
    let text = user.press(&[Key::Char('5')]);
    assert!(text.contains("app is stopping for 3.0 s: 3 processes are alive"), "{text}");
    let rows: Vec<_> = text.lines().skip(3).take(3).map(str::trim).collect();
    assert!(rows[0].starts_with("app/b") && rows[0].ends_with("stopping"), "{text}");
    assert!(rows[1].starts_with("app/a") && rows[2].starts_with("app"), "{text}");
}

#[test]
fn the_chosen_place_stays_within_the_rows() {
    let mut place = Place { row: 500, top: 400 };
    place.keep_within(10, 4);
    assert_eq!((place.row, place.top), (9, 6));
    place.keep_within(0, 4);
    assert_eq!((place.row, place.top), (0, 0));
    place.row = 5;
    place.keep_within(10, 4);
    assert_eq!((place.row, place.top), (5, 2));
}

#[test]
fn chains_of_calls_status_lines_and_kept_backtraces_are_shown() {
    let mut job = node("app/job", 2, Some(1), "");
    job["history"] = json!([{"pid": 7, "started_ms": 1, "ended_ms": 2, "reason": "x", "class": "panic",
        "backtrace": true}]);
    let wait = |caller, server: u64| {
        json!({"caller": caller, "server": server, "caller_path": "app/\u{1b}job",
            "server_path": if server == 9 { json!(null) } else { json!("app/b") }})
    };
    let mut sample = json!({"version": 1, "type": "sample", "time_ms": 6000, "waits_known": true,
        "waits_left_out": 3, "waits": [wait(2, 3), wait(3, 9), wait(4, 5), wait(5, 4)]});
    let items = [picture(&[node("app", 1, None, "one_for_one"), job]), sample.clone()];
    let mut user = User::new(&items);
    let text = user.press(&[Key::Char('4')]);
    for part in ["in a circle: ", "#4 → ", "#3 → #9", "app/\\u{1b}job #2", "3 more waits"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.matches(" → ").count(), 4, "a process is in two chains: {text}");
    sample["waits"] = json!([]);
    user.model.apply(&sample).unwrap();
    assert!(user.draw().contains("No process waits for another one."));
    assert!(user.press(&[Key::Char('2')]).contains("GET /backtrace/7"));

    user.press(&[Key::Char('1'), Key::Home, Key::Down, Key::Enter]);
    for (status, shown) in [
        (json!({"line": "3 \u{1b}orders", "busy_ms": null, "panicked": false}), "3 \\u{1b}orders"),
        (json!({"line": null, "busy_ms": 2500, "panicked": false}), "busy: no answer for 2.5 s"),
        (json!({"line": null, "busy_ms": null, "panicked": true}), "format_status panicked"),
    ] {
        let detail = json!({"version": 1, "type": "process", "time_ms": 6000, "pid": 2,
            "doing": "waits", "suspended": true, "status": status});
        user.model.apply(&detail).unwrap();
        let text = user.draw();
        for part in [shown, "suspended", "GET /backtrace/7"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
