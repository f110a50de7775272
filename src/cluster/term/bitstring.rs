//! Binaries whose last byte is not complete.

/// A bitstring whose number of bits is not a multiple of 8.
///
/// ```
/// use regrow::cluster::{Bitstring, Term};
///
/// let bits = Bitstring::new(vec![0xFF, 0b1011_1111], 3).unwrap();
/// assert_eq!(bits.bytes(), [0xFF, 0b1010_0000]); // the bits after the last one are 0
/// assert_eq!((bits.last_bits(), bits.bit_count()), (3, 11));
/// assert_eq!(Term::from(bits).to_string(), "<<255,5:3>>");
/// assert!(Bitstring::new(vec![1], 8).is_none()); // this is a binary
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitstring {
    /// Not empty. The bits of the last byte that don't count are 0.
    bytes: Vec<u8>,
    /// 1 to 7.
    last_bits: u8,
}

impl Bitstring {
    /// Returns the bitstring of these bytes, of whose last byte this many bits count, from the
    /// highest one down. Returns `None` unless there are bytes and 1 to 7 bits of the last one.
    /// [`Bitstring`] has an example.
    pub fn new(mut bytes: Vec<u8>, last_bits: u8) -> Option<Self> {
        let last = bytes.last_mut()?;
        if !(1..=7).contains(&last_bits) {
            return None;
        }
        *last &= u8::MAX << (8 - last_bits);
        Some(Bitstring { bytes, last_bits })
    }

    /// Returns all bytes with the incomplete one, whose remaining bits are 0. [`Bitstring`] has an
    /// example.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns how many bits of the last byte count, 1 to 7. [`Bitstring`] has an example.
    pub fn last_bits(&self) -> u8 {
        self.last_bits
    }

    /// Returns the number of bits. [`Bitstring`] has an example.
    pub fn bit_count(&self) -> usize {
        (self.bytes.len() - 1) * 8 + usize::from(self.last_bits)
    }
}
