//! The encoder: writes the bytes that OTP writes for the same term.
//!
//! A tuple, a list or a map is written as its head, then its elements. A proper list ends with
//! [`nil`](Encoder::nil).

use crate::cluster::term::atom::is_too_long;
use crate::cluster::term::error::EncodeError;
use crate::cluster::term::functions::Export;
use crate::cluster::term::ids::{ExternalPid, ExternalPort, ExternalReference};
use crate::cluster::term::integer::Digits;
use crate::cluster::term::tag;

/// The maximum number of bytes of a list that is written as bytes.
pub(crate) const LONGEST_BYTE_LIST: usize = 65_535;

/// The highest number of a port that the shorter form has room for, by the rules of OTP.
const LAST_SHORT_PORT: u64 = (1 << 28) - 1;

/// Appends terms to bytes. After an error, the bytes end within a term.
#[derive(Debug)]
pub(crate) struct Encoder<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Encoder<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        Encoder { out }
    }

    /// Writes the version byte in front of a term.
    pub(crate) fn start(&mut self) {
        self.out.push(tag::VERSION);
    }

    pub(crate) fn integer(&mut self, integer: i64) {
        if let Ok(byte) = u8::try_from(integer) {
            self.out.extend([tag::SMALL_INTEGER, byte]);
        } else if let Ok(short) = i32::try_from(integer) {
            self.tagged(tag::INTEGER, &short.to_be_bytes());
        } else {
            self.small_big(integer < 0, &integer.unsigned_abs().to_le_bytes());
        }
    }

    /// Writes an integer that is not negative.
    pub(crate) fn unsigned(&mut self, integer: u64) {
        match i64::try_from(integer) {
            Ok(integer) => self.integer(integer),
            Err(_) => self.small_big(false, &integer.to_le_bytes()),
        }
    }

    /// Writes an integer of any size.
    pub(crate) fn digits(&mut self, digits: Digits<'_>) -> Result<(), EncodeError> {
        if let Some(integer) = digits.to_i64() {
            self.integer(integer);
        } else if digits.magnitude.len() <= 255 {
            self.small_big(digits.negative, digits.magnitude);
        } else {
            self.counted(tag::LARGE_BIG, digits.magnitude.len())?;
            self.out.push(digits.negative.into());
            self.out.extend(digits.magnitude);
        }
        Ok(())
    }

    /// Writes an integer of at most 255 bytes, that needs more than four of them.
    fn small_big(&mut self, negative: bool, magnitude: &[u8]) {
        let digits = Digits::new(negative, magnitude);
        let count = u8::try_from(digits.magnitude.len()).unwrap_or(u8::MAX);
        self.out.extend([tag::SMALL_BIG, count, negative.into()]);
        self.out.extend(digits.magnitude);
    }

    pub(crate) fn float(&mut self, float: f64) -> Result<(), EncodeError> {
        if !float.is_finite() {
            return Err(EncodeError::NotFinite);
        }
        self.tagged(tag::NEW_FLOAT, &float.to_be_bytes());
        Ok(())
    }

    pub(crate) fn atom(&mut self, name: &str) -> Result<(), EncodeError> {
        if is_too_long(name) {
            return Err(EncodeError::AtomTooLong);
        }
        match u8::try_from(name.len()) {
            Ok(count) => self.out.extend([tag::SMALL_ATOM_UTF8, count]),
            // 255 characters have at most 1,020 bytes.
            Err(_) => self.tagged(tag::ATOM_UTF8, &(name.len() as u16).to_be_bytes()),
        }
        self.out.extend(name.as_bytes());
        Ok(())
    }

    /// Writes the head of a tuple.
    pub(crate) fn tuple(&mut self, count: usize) -> Result<(), EncodeError> {
        match u8::try_from(count) {
            Ok(count) => self.out.extend([tag::SMALL_TUPLE, count]),
            Err(_) => self.counted(tag::LARGE_TUPLE, count)?,
        }
        Ok(())
    }

    /// Writes the head of a list that is not empty. Its tail follows after its elements.
    pub(crate) fn list(&mut self, count: usize) -> Result<(), EncodeError> {
        self.counted(tag::LIST, count)
    }

    /// Writes the empty list, which is also the tail of a proper list.
    pub(crate) fn nil(&mut self) {
        self.out.push(tag::NIL);
    }

    /// Writes a list of integers from 0 to 255, with its tail.
    pub(crate) fn byte_list(
        &mut self,
        bytes: impl ExactSizeIterator<Item = u8>,
    ) -> Result<(), EncodeError> {
        match u16::try_from(bytes.len()) {
            Ok(0) => {}
            Ok(count) => {
                self.tagged(tag::STRING, &count.to_be_bytes());
                self.out.extend(bytes);
                return Ok(());
            }
            Err(_) => {
                self.list(bytes.len())?;
                bytes.for_each(|byte| self.out.extend([tag::SMALL_INTEGER, byte]));
            }
        }
        self.nil();
        Ok(())
    }

    pub(crate) fn binary(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.counted(tag::BINARY, bytes.len())?;
        self.out.extend(bytes);
        Ok(())
    }

    /// Writes a bitstring whose last byte has 1 to 7 bits.
    pub(crate) fn bitstring(&mut self, bytes: &[u8], last_bits: u8) -> Result<(), EncodeError> {
        self.counted(tag::BIT_BINARY, bytes.len())?;
        self.out.push(last_bits);
        self.out.extend(bytes);
        Ok(())
    }

    /// Writes the head of a map of this many pairs.
    pub(crate) fn map(&mut self, count: usize) -> Result<(), EncodeError> {
        self.counted(tag::MAP, count)
    }

    pub(crate) fn pid(&mut self, pid: &ExternalPid) -> Result<(), EncodeError> {
        self.out.push(tag::NEW_PID);
        self.atom(pid.node())?;
        let words = [pid.id(), pid.serial(), pid.creation()];
        words.iter().for_each(|word| self.out.extend(word.to_be_bytes()));
        Ok(())
    }

    pub(crate) fn port(&mut self, port: &ExternalPort) -> Result<(), EncodeError> {
        let is_short = port.id() <= LAST_SHORT_PORT;
        self.out.push(if is_short { tag::NEW_PORT } else { tag::V4_PORT });
        self.atom(port.node())?;
        let id = port.id().to_be_bytes();
        self.out.extend(if is_short { &id[4..] } else { &id });
        self.out.extend(port.creation().to_be_bytes());
        Ok(())
    }

    pub(crate) fn reference(&mut self, reference: &ExternalReference) -> Result<(), EncodeError> {
        let words = reference.words();
        // There are at most five.
        self.tagged(tag::NEWER_REFERENCE, &(words.len() as u16).to_be_bytes());
        self.atom(reference.node())?;
        self.out.extend(reference.creation().to_be_bytes());
        words.iter().for_each(|word| self.out.extend(word.to_be_bytes()));
        Ok(())
    }

    pub(crate) fn export(&mut self, export: &Export) -> Result<(), EncodeError> {
        self.out.push(tag::EXPORT);
        self.atom(export.module())?;
        self.atom(export.function())?;
        self.out.extend([tag::SMALL_INTEGER, export.arity()]);
        Ok(())
    }

    /// Writes a term that is encoded already, without the version byte.
    pub(crate) fn raw(&mut self, term: &[u8]) {
        self.out.extend(term);
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.out.push(tag);
        self.out.extend(bytes);
    }

    fn counted(&mut self, tag: u8, count: usize) -> Result<(), EncodeError> {
        let count = u32::try_from(count).map_err(|_| EncodeError::TooLarge)?;
        self.tagged(tag, &count.to_be_bytes());
        Ok(())
    }
}
