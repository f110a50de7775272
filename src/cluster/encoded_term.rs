//! Terms that processes of different nodes send each other: their values.

use serde::de::Deserialize;
use serde::ser::Serialize;

use crate::cluster::term::{
    DecodeError, DecodeLimits, Decoder, EncodeError, Term, from_bytes, from_bytes_within, to_bytes,
};
use crate::message::EncodedTerm;

impl EncodedTerm {
    /// Encodes a value. [`EncodedTerm`] has an example.
    ///
    /// # Errors
    ///
    /// If the value, or a part of it, has no term: see [`EncodeError`].
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, EncodeError> {
        to_bytes(value).map(EncodedTerm::checked)
    }

    /// Decodes the value, within the default [limits](DecodeLimits). The value may borrow texts and
    /// binaries. [`EncodedTerm`] has an example.
    ///
    /// # Errors
    ///
    /// If the bytes are not one whole term, or the term doesn't fit the type, or a limit is exceeded.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, DecodeError> {
        from_bytes(self.as_bytes())
    }

    /// [`decode`](Self::decode) within these limits.
    ///
    /// # Errors
    ///
    /// If the bytes are not one whole term, or the term doesn't fit the type, or a limit is exceeded.
    pub fn decode_within<'de, T: Deserialize<'de>>(
        &'de self,
        limits: &DecodeLimits,
    ) -> Result<T, DecodeError> {
        from_bytes_within(self.as_bytes(), limits)
    }

    /// Decodes the term as it is, within the default [limits](DecodeLimits). [`EncodedTerm`] has an
    /// example.
    ///
    /// # Errors
    ///
    /// If the bytes are not one whole term, or a limit is exceeded.
    pub fn term(&self) -> Result<Term, DecodeError> {
        Term::from_bytes(self.as_bytes())
    }

    /// Whether the bytes are one whole term. A node that receives anything else closes the
    /// connection.
    pub(crate) fn is_whole(&self) -> bool {
        let is_whole = || {
            let limits = DecodeLimits::of_frame(self.as_bytes().len());
            let mut decoder = Decoder::new(self.as_bytes(), &limits)?;
            decoder.start()?;
            decoder.skip()?;
            decoder.end()
        };
        self.is_checked() || is_whole().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::message::EncodedTerm;

    #[test]
    fn bytes_of_another_node_are_checked_before_they_are_sent_on() {
        let received = |bytes: &[u8]| EncodedTerm::unchecked(bytes.to_vec());
        assert!(received(&[131, 97, 42]).is_whole());
        for wrong in [&[][..], &[131], &[97, 42], &[131, 97, 42, 0], &[131, 108, 0, 0, 0, 9]] {
            assert!(!received(wrong).is_whole(), "{wrong:?}");
        }
        assert!(EncodedTerm::new("milk").unwrap().is_whole());
    }
}
