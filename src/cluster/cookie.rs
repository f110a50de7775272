//! Cookies: the secret that the nodes of a cluster share.

use std::env;
use std::fmt;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq;

/// The answer to a challenge.
pub(crate) type Digest = [u8; 16];

/// The secret that the nodes of a cluster share. A node refuses connections of nodes that don't
/// know its cookie. A cookie is never sent, and the [`Debug`](fmt::Debug) text of a `Cookie`
/// doesn't contain the secret.
///
/// A cookie authenticates the nodes at the start of a connection, by an MD5 challenge. It neither
/// encrypts nor signs the data that follows, so in a network with other users a cookie is not
/// enough protection. OTP: `erlang:set_cookie/1`, `~/.erlang.cookie`.
///
/// # Examples
///
/// ```
/// use regrow::cluster::Cookie;
///
/// let cookie = Cookie::new("correct horse battery staple");
/// assert_eq!(format!("{cookie:?}"), "Cookie(..)");
/// assert!(Cookie::from_env("NO_SUCH_VARIABLE").is_err());
/// ```
#[derive(Clone)]
pub struct Cookie(Arc<[u8]>);

impl Cookie {
    /// Makes a cookie from a text. A node whose cookie is empty fails to start with
    /// [`NodeError::NoCookie`](crate::cluster::NodeError::NoCookie), like a node without a cookie.
    /// [`Cookie`] has an example.
    pub fn new(text: impl Into<String>) -> Self {
        Cookie(text.into().into_bytes().into())
    }

    /// Reads a cookie from a variable of the environment. [`Cookie`] has an example.
    ///
    /// # Errors
    ///
    /// [`CookieError`] if the variable is not set, is empty, or is not valid UTF-8.
    pub fn from_env(variable: &str) -> Result<Self, CookieError> {
        match env::var(variable) {
            Ok(text) if !text.is_empty() => Ok(Cookie::new(text)),
            _ => Err(CookieError(variable.to_owned())),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the answer to a challenge. The answer is the MD5 of one text: the cookie, followed
    /// by the challenge as a decimal number.
    pub(crate) fn answer(&self, challenge: u32) -> Digest {
        let hash = Md5::new_with_prefix(&self.0);
        hash.chain_update(challenge.to_string()).finalize().into()
    }

    /// Whether `answer` is the answer to the challenge. The time of the comparison doesn't depend
    /// on which bytes differ.
    pub(crate) fn accepts(&self, challenge: u32, answer: &Digest) -> bool {
        self.answer(challenge).ct_eq(answer).into()
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(..)")
    }
}

/// The error that [`Cookie::from_env`] returns if the variable of the environment has no cookie.
/// The text of the error names the variable, and doesn't contain its value.
///
/// # Examples
///
/// ```
/// use regrow::cluster::Cookie;
///
/// let error = Cookie::from_env("NO_SUCH_VARIABLE").unwrap_err();
/// assert!(error.to_string().starts_with("the variable NO_SUCH_VARIABLE has no cookie"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the variable {0} has no cookie: set it to the secret of the cluster")]
pub struct CookieError(String);

#[cfg(test)]
mod tests {
    use super::Cookie;

    /// The expected answer is the result of `erlang:md5("monster" ++ "1234567890")`.
    #[test]
    fn an_answer_is_the_md5_of_the_cookie_and_the_decimal_challenge() {
        let hex: String = Cookie::new("monster")
            .answer(1_234_567_890)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(hex, MONSTER);
    }

    const MONSTER: &str = "723053da42b00cf236b4321fc625c79a";

    #[test]
    fn only_the_exact_answer_is_accepted() {
        let cookie = Cookie::new("monster");
        let mut answer = cookie.answer(7);
        assert!(cookie.accepts(7, &answer) && !cookie.accepts(8, &answer));
        answer[15] ^= 1;
        assert!(!cookie.accepts(7, &answer));
        assert!(!Cookie::new("monste").accepts(7, &cookie.answer(7)));
    }
}
