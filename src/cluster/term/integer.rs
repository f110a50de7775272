//! Integers beyond 64 bits.

use std::cmp::Ordering;
use std::fmt;

/// An integer that does not fit into an `i64`. A [`Term`](crate::cluster::Term) has the others as
/// plain numbers.
///
/// A `BigInteger` is stored, compared, converted and printed. It does no arithmetic.
///
/// ```
/// use regrow::cluster::Term;
///
/// let Term::BigInteger(big) = Term::from(u64::MAX) else { panic!() };
/// assert_eq!(big.to_string(), "18446744073709551615");
/// assert_eq!(u128::try_from(&big), Ok(u128::from(u64::MAX)));
/// assert!(!big.is_negative());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInteger {
    negative: bool,
    /// From the lowest byte to the highest, which is not 0.
    magnitude: Box<[u8]>,
}

/// An integer of any size, as it was decoded: the sign, and the magnitude from the lowest byte up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digits<'a> {
    pub(crate) negative: bool,
    pub(crate) magnitude: &'a [u8],
}

impl<'a> Digits<'a> {
    /// Leaves out zeros at the top.
    pub(crate) fn new(negative: bool, magnitude: &'a [u8]) -> Self {
        let zeros = magnitude.iter().rev().take_while(|&&byte| byte == 0).count();
        Digits { negative, magnitude: &magnitude[..magnitude.len() - zeros] }
    }

    /// Returns the magnitude if it has at most 128 bits.
    fn absolute(self) -> Option<u128> {
        let mut bytes = [0; 16];
        bytes.get_mut(..self.magnitude.len())?.copy_from_slice(self.magnitude);
        Some(u128::from_le_bytes(bytes))
    }

    pub(crate) fn to_u128(self) -> Option<u128> {
        self.absolute().filter(|&number| !self.negative || number == 0)
    }

    pub(crate) fn to_i128(self) -> Option<i128> {
        let number = self.absolute()?;
        match self.negative {
            true => 0_i128.checked_sub_unsigned(number),
            false => number.try_into().ok(),
        }
    }

    pub(crate) fn to_i64(self) -> Option<i64> {
        self.to_i128()?.try_into().ok()
    }
}

impl BigInteger {
    /// `digits` must not fit into an `i64`.
    pub(crate) fn new(digits: Digits<'_>) -> Self {
        debug_assert!(digits.to_i64().is_none(), "a smaller number is a plain integer");
        BigInteger { negative: digits.negative, magnitude: digits.magnitude.into() }
    }

    pub(crate) fn digits(&self) -> Digits<'_> {
        Digits { negative: self.negative, magnitude: &self.magnitude }
    }

    /// Returns whether the number is below 0. [`BigInteger`] has an example.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Returns the number without its sign, from the lowest byte to the highest, which is not 0.
    ///
    /// ```
    /// use regrow::cluster::Term;
    ///
    /// let Term::BigInteger(big) = Term::from(-(1_i128 << 64)) else { panic!() };
    /// assert_eq!(big.magnitude(), [0, 0, 0, 0, 0, 0, 0, 0, 1]);
    /// ```
    pub fn magnitude(&self) -> &[u8] {
        &self.magnitude
    }
}

impl TryFrom<&BigInteger> for i128 {
    type Error = IntegerOverflow;

    fn try_from(big: &BigInteger) -> Result<i128, IntegerOverflow> {
        big.digits().to_i128().ok_or(IntegerOverflow)
    }
}

impl TryFrom<&BigInteger> for u128 {
    type Error = IntegerOverflow;

    fn try_from(big: &BigInteger) -> Result<u128, IntegerOverflow> {
        big.digits().to_u128().ok_or(IntegerOverflow)
    }
}

/// A [`BigInteger`] does not fit into the integer type.
///
/// ```
/// use regrow::cluster::Term;
///
/// let Term::BigInteger(big) = Term::from(-(1_i128 << 64)) else { panic!() };
/// assert_eq!(u128::try_from(&big).unwrap_err().to_string(), "the integer does not fit into the type");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the integer does not fit into the type")]
pub struct IntegerOverflow;

impl Ord for BigInteger {
    fn cmp(&self, other: &Self) -> Ordering {
        let (own, others) = (&self.magnitude, &other.magnitude);
        let larger =
            own.len().cmp(&others.len()).then_with(|| own.iter().rev().cmp(others.iter().rev()));
        match (self.negative, other.negative) {
            (false, false) => larger,
            (true, true) => larger.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for BigInteger {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Decimal digits that are split off in one division.
const GROUP: u64 = 1_000_000_000;

impl fmt::Display for BigInteger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<u32> = self
            .magnitude
            .chunks(4)
            .map(|bytes| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)))
            .collect();
        let mut groups = Vec::new();
        while !words.is_empty() {
            let mut rest = 0;
            for word in words.iter_mut().rev() {
                let number = rest << 32 | u64::from(*word);
                // The rest of the word above is below `GROUP`, so the quotient fits.
                *word = u32::try_from(number / GROUP).unwrap_or(u32::MAX);
                rest = number % GROUP;
            }
            groups.push(rest);
            while words.last() == Some(&0) {
                words.pop();
            }
        }
        let mut text = groups.pop().unwrap_or(0).to_string();
        for group in groups.iter().rev() {
            text += &format!("{group:09}");
        }
        f.pad_integral(!self.negative, "", &text)
    }
}

impl fmt::Debug for BigInteger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
