//! The limits of a decode: the bytes may come from a hostile peer.

/// The limits of a decode: how much of the memory and of the stack the bytes of another program may
/// take.
///
/// A decode that reaches a limit ends with a [`DecodeError`](crate::cluster::DecodeError), before it
/// has allocated what the limit forbids. The number of elements that a term announces is also
/// compared with the bytes that are left, and an atom has at most 255 characters, as in Erlang.
///
/// ```
/// use regrow::cluster::{DecodeErrorKind, DecodeLimits, Term};
///
/// let list = Term::list([Term::list([Term::from(1), Term::from(300)])]);
/// let bytes = list.to_bytes()?;
///
/// let flat = DecodeLimits::new().term_depth(1);
/// let refused = Term::from_bytes_within(&bytes, &flat).unwrap_err();
/// assert_eq!(*refused.kind(), DecodeErrorKind::TooDeep);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeLimits {
    pub(super) size: usize,
    pub(super) memory: usize,
    pub(super) depth: usize,
    pub(super) term_depth: usize,
    pub(super) integer: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits {
            size: 128 << 20,
            memory: 256 << 20,
            depth: 64,
            term_depth: 100_000,
            integer: 4_096,
        }
    }
}

impl DecodeLimits {
    /// Returns the default limits. [`DecodeLimits`] has an example.
    pub fn new() -> Self {
        DecodeLimits::default()
    }

    /// Returns the limits for the content of a frame of this length. The frame has been accepted, so
    /// its length limits each part of it, and a value may take twice its length, or the default if that
    /// is more.
    pub(crate) fn of_frame(length: usize) -> Self {
        let limits = DecodeLimits::default();
        let memory = limits.memory.max(length.saturating_mul(2));
        limits.size(length).integer(length).memory(memory)
    }

    /// Sets how many bytes may be decoded at once. The default is 128 MiB.
    #[must_use]
    pub fn size(mut self, bytes: usize) -> Self {
        self.size = bytes;
        self
    }

    /// Sets about how many bytes of memory the decoded value may take. The default is 256 MiB.
    ///
    /// The decoder counts the size of each element of a list, tuple or map in Rust, and the bytes of
    /// binaries, atoms and large integers. A list under construction may take twice the counted
    /// memory for a moment.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Sets how deep tuples, lists and maps may be nested in a value of a Rust type
    /// ([`from_bytes`](crate::cluster::from_bytes)). The default is 64. Such a decode recurses on the
    /// stack, level by level.
    #[must_use]
    pub fn depth(mut self, levels: usize) -> Self {
        self.depth = levels;
        self
    }

    /// Sets how deep tuples, lists and maps may be nested in a
    /// [`Term`](crate::cluster::Term). The default is 100,000. Nothing recurses on a `Term`, so the
    /// depth takes memory but no stack.
    #[must_use]
    pub fn term_depth(mut self, levels: usize) -> Self {
        self.term_depth = levels;
        self
    }

    /// Sets how many bytes an integer may have. The default is 4,096. The time to print a large
    /// integer grows with the square of its size.
    #[must_use]
    pub fn integer(mut self, bytes: usize) -> Self {
        self.integer = bytes;
        self
    }
}
