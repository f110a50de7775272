//! The path of a node in a picture.
//!
//! A picture may have a hundred thousand nodes, and few of their paths are read one by one. So a path
//! is the path of the supervisor, which all its children share, and the id of the child. The text is
//! made when it is first read. [`Display`](fmt::Display) and JSON write both parts without it.

use std::cmp::Ordering;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use crate::base::SharedStr;
use crate::base::path_text::{is_plain, shown_id};
use crate::base::shared_str::use_as_text;

/// The path of a node in a [`Picture`](crate::Picture), as in [`Change::path`](crate::Change::path).
///
/// It derefs to its text, compares with texts, and is displayed as its text.
///
/// ```
/// use regrow::{ChildSpec, Runtime, SharedStr, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let job = ChildSpec::task("a/b", |_| std::future::pending());
/// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
/// let picture = tree.observe()?.picture().await;
/// let path = &picture.nodes[1].path;
/// assert_eq!(path, "app/a%2Fb");
/// assert_eq!((path.as_str(), path.to_string()), ("app/a%2Fb", "app/a%2Fb".to_owned()));
/// assert_eq!(SharedStr::from(path.clone()), "app/a%2Fb");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Clone)]
pub struct PicturePath {
    /// The path of the supervisor; `None` if the text was given as a whole.
    above: Option<SharedStr>,
    /// The id of the child, not escaped; unused without `above`.
    id: SharedStr,
    text: OnceLock<SharedStr>,
}

impl PicturePath {
    /// Returns the path of the child with this id below the supervisor with this path.
    pub(super) fn child(above: SharedStr, id: SharedStr) -> Self {
        PicturePath { above: Some(above), id, text: OnceLock::new() }
    }

    /// Returns the text. [`PicturePath`] has an example.
    pub fn as_str(&self) -> &str {
        self.text()
    }

    /// Returns the text, which is made once.
    pub(super) fn text(&self) -> &SharedStr {
        self.text.get_or_init(|| {
            let Some(above) = &self.above else { return self.id.clone() };
            let mut text = String::with_capacity(above.len() + 1 + self.id.len());
            // Writing to a string does not fail.
            let _ = write_parts(&mut text, above, &self.id);
            text.into()
        })
    }

    /// The parts of a path whose text has not been made.
    fn parts(&self) -> Option<(&SharedStr, &SharedStr)> {
        match (&self.above, self.text.get()) {
            (Some(above), None) => Some((above, &self.id)),
            _ => None,
        }
    }
}

fn write_parts(to: &mut impl Write, above: &str, id: &str) -> fmt::Result {
    to.write_str(above)?;
    to.write_str("/")?;
    to.write_str(&shown_id(id))
}

/// The path with this text.
impl From<SharedStr> for PicturePath {
    fn from(text: SharedStr) -> Self {
        PicturePath { above: None, id: text, text: OnceLock::new() }
    }
}

impl From<PicturePath> for SharedStr {
    fn from(path: PicturePath) -> Self {
        path.text().clone()
    }
}

use_as_text!(PicturePath);

impl PartialEq<str> for PicturePath {
    fn eq(&self, other: &str) -> bool {
        let Some((above, id)) = self.parts() else { return self.as_str() == other };
        let rest = other.strip_prefix(above.as_str()).and_then(|rest| rest.strip_prefix('/'));
        rest.is_some_and(
            |rest| if is_plain(id) { rest == id.as_str() } else { rest == shown_id(id) },
        )
    }
}

impl PartialEq for PicturePath {
    fn eq(&self, other: &Self) -> bool {
        self == other.as_str()
    }
}

impl Eq for PicturePath {}

impl PartialOrd for PicturePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PicturePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for PicturePath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for PicturePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            Some((above, id)) if f.width().is_none() && f.precision().is_none() => {
                write_parts(f, above, id)
            }
            _ => f.pad(self.as_str()),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for PicturePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::PicturePath;

    fn path(id: &str) -> PicturePath {
        PicturePath::child("app".into(), id.into())
    }

    /// Each use of a path that reads both parts says the same as the text.
    #[test]
    fn the_parts_of_a_path_are_written_and_compared_as_its_text() {
        let ids = ["job", "", "\"\"", "a/b", "a%2Fb", "a\nb", "…", "<b>", "ä"];
        for id in ids {
            let text = path(id).as_str().to_owned();
            assert_eq!(path(id).to_string(), text);
            assert_eq!(path(id), *text);
            assert_eq!(path(id), path(id));
            assert_eq!(format!("{:>30}", path(id)), format!("{text:>30}"));
            for other in ids.iter().filter(|other| **other != id) {
                assert_ne!(path(other), *text);
            }
            assert_ne!(path(id), "app");
            assert_ne!(path(id), format!("ap/{id}").as_str());
            assert_eq!(PicturePath::from(path(id).text().clone()), path(id));
        }
    }
}
