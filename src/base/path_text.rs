//! The text of an id in a path. Different ids have different texts: the characters that have a meaning
//! in a path are escaped.

use std::borrow::Cow;
use std::fmt::Write;

use crate::base::shared_str::SharedStr;

/// Whether an id is the same in a path, which is said without a look at each character's properties.
pub(crate) fn is_plain(id: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'%' | b'/' | b'"');
    !id.is_empty() && id.bytes().all(is_plain)
}

/// Returns an id as a path shows it.
pub(crate) fn shown_id(id: &str) -> Cow<'_, str> {
    match id {
        "" => "\"\"".into(),
        id if is_plain(id) => id.into(),
        id => escape(id).into(),
    }
}

/// Escapes an id for a path: control characters and the characters that have a meaning in a path
/// are written as in a URL, so that different ids stay different.
pub(crate) fn escape(id: &str) -> String {
    let mut escaped = String::with_capacity(id.len());
    for c in id.chars() {
        if matches!(c, '%' | '/' | '"' | '…') || c.is_control() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string does not fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Returns the id that has this text in a path; `None` if there is no such id.
pub(crate) fn unescape(text: &str) -> Option<SharedStr> {
    if text == "\"\"" {
        return Some("".into());
    }
    let (mut id, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, more @ ..] = rest {
        rest = more;
        match (first, more) {
            (b'%', [high, low, more @ ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16);
                id.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                rest = more;
            }
            (b'%', _) => return None,
            _ => id.push(*first),
        }
    }
    String::from_utf8(id).ok().map(SharedStr::from)
}
