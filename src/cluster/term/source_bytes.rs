//! Bytes that are read from the front.

use crate::cluster::term::error::{DecodeError, DecodeErrorKind};

/// Encoded bytes, and how many of them have been read.
#[derive(Debug, Clone)]
pub(crate) struct SourceBytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> SourceBytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        SourceBytes { bytes, at: 0 }
    }

    /// Returns how many bytes have been read.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Returns how many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Returns the bytes from an offset up to the current one.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    /// Returns an error at the current offset.
    pub(crate) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.at)
    }

    /// Reads this many bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some(taken) = self.bytes[self.at..].get(..count) else {
            return Err(self.error(DecodeErrorKind::Truncated));
        };
        self.at += count;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some(array) = self.bytes[self.at..].first_chunk() else {
            return Err(self.error(DecodeErrorKind::Truncated));
        };
        self.at += N;
        Ok(*array)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Reads a number of bytes or elements, in four bytes. No `usize` is shorter on the targets of
    /// tokio.
    pub(crate) fn length(&mut self) -> Result<usize, DecodeError> {
        Ok(usize::try_from(self.u32()?).unwrap_or(usize::MAX))
    }
}
