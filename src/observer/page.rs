//! The page, its scripts and its style. They are part of the program: no file is read.

use axum::extract::{OriginalUri, Path};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");

/// Lists the modules of the script: for each its name and its text.
macro_rules! scripts {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("page/app/", $name)))),*]
    };
}

/// `main.js` imports all others.
const SCRIPTS: [(&str, &str); 18] = scripts! {
    "backtrace.js" "base.js" "changes.js" "connection.js" "control.js" "draw.js" "history.js"
    "keyboard.js" "main.js" "model.js" "pressure.js" "process.js" "refresh.js" "stopping.js"
    "text.js" "theme.js" "tree.js" "waits.js"
};

/// Where the page refers to its scripts and style.
const BASE: &str = "{base}";

/// Returns the page. A browser resolves a relative URL against the folder of the page. If the page
/// is mounted without a slash at the end of its path, that folder is the one above, so the last part
/// of the path is put before each URL.
pub(super) async fn page(OriginalUri(uri): OriginalUri) -> impl IntoResponse {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let base = match last.is_empty() {
        true => String::new(),
        false => format!("./{}/", last.replace(|c: char| !is_plain(c), "")),
    };
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], PAGE.replace(BASE, &base))
}

/// Returns whether a character of a path is neither special in HTML nor in a relative URL.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~%!$()*+,;=:@".contains(c)
}

/// Returns a module of the script.
pub(super) async fn script(Path(name): Path<String>) -> Response {
    match SCRIPTS.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => {
            ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], *text).into_response()
        }
        None => (StatusCode::NOT_FOUND, "the page has no such script\n").into_response(),
    }
}

pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}
