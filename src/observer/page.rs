//! The page, its script and its style. They are part of the program: no file is read.

use axum::extract::OriginalUri;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

const PAGE: &str = include_str!("page/index.html");
const SCRIPT: &str = include_str!("page/app.js");
const STYLE: &str = include_str!("page/style.css");

/// Where the page refers to its script and style.
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

pub(super) async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}
