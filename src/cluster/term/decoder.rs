//! The decoder: reads a term step by step, and allocates nothing that the bytes can make large.
//!
//! **Invariant.** `owed` is the number of terms that have been announced and not been read: the term
//! itself, and the elements of the tuples, lists and maps that are open. A term has at least one
//! byte, so a step that announces more terms than bytes are left is an error. So a caller can
//! allocate room for the elements that a [`Token`] announces: all such rooms together have at most as
//! many places as there are bytes.
//!
//! Nothing recurses: not even a closure that has captured a closure, and so on.

use std::borrow::Cow;

use crate::cluster::term::error::{DecodeError, DecodeErrorKind};
use crate::cluster::term::integer::Digits;
use crate::cluster::term::limits::DecodeLimits;
use crate::cluster::term::source_bytes::SourceBytes;
use crate::cluster::term::tag;
use crate::cluster::term::token::{FunToken, Token};

/// Reads one term after the other from bytes. A clone reads on from the same place, which is how
/// a step is looked at before it is taken.
#[derive(Debug, Clone)]
pub(crate) struct Decoder<'a> {
    pub(super) source: SourceBytes<'a>,
    pub(super) owed: u64,
    longest_integer: usize,
}

const MALFORMED_FUN: DecodeErrorKind = DecodeErrorKind::Malformed("a closure");

/// A step, or the start of a closure: what it has captured follows.
enum Step<'a> {
    Token(Token<'a>),
    FunStart(FunStart<'a>),
}

struct FunStart<'a> {
    module: Cow<'a, str>,
    index: u32,
    arity: u8,
    start: usize,
    /// The offset at which the closure ends by its own account.
    end: usize,
    /// How many terms are owed after the closure.
    owed_after: u64,
}

impl<'a> Decoder<'a> {
    /// # Errors
    ///
    /// If there are more bytes than the limits allow.
    pub(crate) fn new(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Self, DecodeError> {
        if bytes.len() > limits.size {
            return Err(DecodeError::new(DecodeErrorKind::TooLarge, 0));
        }
        let source = SourceBytes::new(bytes);
        Ok(Decoder { source, owed: 0, longest_integer: limits.integer })
    }

    /// Reads the version byte in front of a term. The next steps are those of the term.
    pub(crate) fn start(&mut self) -> Result<(), DecodeError> {
        let start = self.offset();
        if self.source.byte()? != tag::VERSION {
            return Err(DecodeError::new(DecodeErrorKind::UnknownVersion, start));
        }
        if self.source.clone().byte().is_ok_and(|first| first == tag::COMPRESSED) {
            return Err(self.source.error(DecodeErrorKind::Compressed));
        }
        self.owed = 1;
        Ok(())
    }

    /// Starts with a term that has no version byte in front.
    pub(crate) fn start_inside(&mut self) {
        self.owed = 1;
    }

    /// Returns how many bytes have been read.
    pub(crate) fn offset(&self) -> usize {
        self.source.offset()
    }

    /// # Errors
    ///
    /// If bytes are left.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        match self.source.left() {
            0 => Ok(()),
            _ => Err(self.source.error(DecodeErrorKind::TrailingBytes)),
        }
    }

    /// Reads the next step.
    pub(crate) fn next(&mut self) -> Result<Token<'a>, DecodeError> {
        match self.step()? {
            Step::Token(token) => Ok(token),
            Step::FunStart(start) => self.rest_of_fun(start),
        }
    }

    /// Reads one whole term with all its elements, and returns its bytes from its tag on.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], DecodeError> {
        self.skip_each(|_| Ok(()))
    }

    /// [`skip`](Self::skip), with a function that may refuse each step.
    pub(crate) fn skip_each(
        &mut self,
        mut accept: impl FnMut(&Token<'a>) -> Result<(), DecodeError>,
    ) -> Result<&'a [u8], DecodeError> {
        let start = self.offset();
        let owed_after = self.owed.saturating_sub(1);
        loop {
            accept(&self.next()?)?;
            if self.owed <= owed_after {
                return Ok(self.source.since(start));
            }
        }
    }

    /// Adds terms that have been announced.
    fn owe(&mut self, terms: u64) -> Result<(), DecodeError> {
        self.owed = self.owed.saturating_add(terms);
        match u64::try_from(self.source.left()) {
            Ok(left) if left < self.owed => Err(self.source.error(DecodeErrorKind::Truncated)),
            _ => Ok(()),
        }
    }

    fn step(&mut self) -> Result<Step<'a>, DecodeError> {
        let start = self.offset();
        let tag = self.source.byte()?;
        self.owed = self.owed.saturating_sub(1);
        let token = match tag {
            tag::SMALL_TUPLE => {
                let count = self.source.byte()?;
                self.owe(count.into())?;
                Token::Tuple(count.into())
            }
            tag::LARGE_TUPLE => Token::Tuple(self.announced(1, 0)?),
            tag::LIST => Token::List(self.announced(1, 1)?),
            tag::MAP => Token::Map(self.announced(2, 0)?),
            tag::NIL => Token::Nil,
            tag::NEW_FUN => return Ok(Step::FunStart(self.fun_start(start)?)),
            tag::SMALL_BIG => {
                let count = self.source.byte()?;
                self.big_integer(count.into(), start)?
            }
            tag::LARGE_BIG => {
                let count = self.source.length()?;
                self.big_integer(count, start)?
            }
            _ => self.source.leaf_after(tag, start)?,
        };
        Ok(Step::Token(token))
    }

    /// Reads a number of elements, and adds the terms that it announces: some for each, and more.
    fn announced(&mut self, each: u64, more: u64) -> Result<usize, DecodeError> {
        let count = self.source.length()?;
        let terms = u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(each);
        self.owe(terms.saturating_add(more))?;
        Ok(count)
    }

    fn big_integer(&mut self, count: usize, start: usize) -> Result<Token<'a>, DecodeError> {
        let sign = self.source.byte()?;
        if count > self.longest_integer {
            return Err(DecodeError::new(DecodeErrorKind::IntegerTooLarge, start));
        }
        let digits = Digits::new(sign != 0, self.source.take(count)?);
        Ok(digits.to_i64().map_or(Token::BigInteger(digits), Token::Integer))
    }

    /// Reads a closure up to what it has captured.
    fn fun_start(&mut self, start: usize) -> Result<FunStart<'a>, DecodeError> {
        let (source, owed_after) = (&mut self.source, self.owed);
        // The size counts its own four bytes.
        let end = source.offset().saturating_add(source.length()?);
        let arity = source.byte()?;
        source.take(16)?; // the version of the module
        let index = source.u32()?;
        let captured = source.u32()?;
        let module = source.atom()?;
        let numbers = [source.leaf()?, source.leaf()?];
        let pid = source.leaf()?;
        let ([Token::Integer(_), Token::Integer(_)], Token::Pid(_)) = (numbers, pid) else {
            return Err(DecodeError::new(MALFORMED_FUN, start));
        };
        self.owe(captured.into())?;
        Ok(FunStart { module, index, arity, start, end, owed_after })
    }

    /// Reads what a closure has captured, also the closures that it has captured.
    fn rest_of_fun(&mut self, outer: FunStart<'a>) -> Result<Token<'a>, DecodeError> {
        let mut open = vec![(outer.end, outer.owed_after)];
        while let Some(&(end, owed_after)) = open.last() {
            if self.owed > owed_after {
                if let Step::FunStart(inner) = self.step()? {
                    open.push((inner.end, inner.owed_after));
                }
            } else if self.offset() == end {
                open.pop();
            } else {
                return Err(self.source.error(MALFORMED_FUN));
            }
        }
        let FunStart { module, index, arity, start, .. } = outer;
        Ok(Token::Fun(FunToken { module, index, arity, bytes: self.source.since(start) }))
    }
}
