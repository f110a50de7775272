//! The distribution flags: what a node can decode and handle.
//!
//! A flag that one side lacks means that the other side must not send what the flag stands for.

use std::fmt;

/// A set of distribution flags.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags(u64);

/// The names of the flags that a peer must have, for messages.
const NAMES: [(&str, Flags); 13] = [
    ("EXTENDED_REFERENCES", Flags::EXTENDED_REFERENCES),
    ("FUN_TAGS", Flags::FUN_TAGS),
    ("NEW_FUN_TAGS", Flags::NEW_FUN_TAGS),
    ("EXTENDED_PIDS_PORTS", Flags::EXTENDED_PIDS_PORTS),
    ("EXPORT_PTR_TAG", Flags::EXPORT_PTR_TAG),
    ("BIT_BINARIES", Flags::BIT_BINARIES),
    ("NEW_FLOATS", Flags::NEW_FLOATS),
    ("UTF8_ATOMS", Flags::UTF8_ATOMS),
    ("MAP_TAG", Flags::MAP_TAG),
    ("BIG_CREATION", Flags::BIG_CREATION),
    ("HANDSHAKE_23", Flags::HANDSHAKE_23),
    ("UNLINK_ID", Flags::UNLINK_ID),
    ("V4_NC", Flags::V4_NC),
];

impl Flags {
    pub(crate) const EXTENDED_REFERENCES: Flags = Flags(1 << 2);
    pub(crate) const DIST_MONITOR: Flags = Flags(1 << 3);
    pub(crate) const FUN_TAGS: Flags = Flags(1 << 4);
    pub(crate) const DIST_MONITOR_NAME: Flags = Flags(1 << 5);
    pub(crate) const NEW_FUN_TAGS: Flags = Flags(1 << 7);
    pub(crate) const EXTENDED_PIDS_PORTS: Flags = Flags(1 << 8);
    pub(crate) const EXPORT_PTR_TAG: Flags = Flags(1 << 9);
    pub(crate) const BIT_BINARIES: Flags = Flags(1 << 10);
    pub(crate) const NEW_FLOATS: Flags = Flags(1 << 11);
    pub(crate) const UNICODE_IO: Flags = Flags(1 << 12);
    pub(crate) const SMALL_ATOM_TAGS: Flags = Flags(1 << 14);
    pub(crate) const UTF8_ATOMS: Flags = Flags(1 << 16);
    pub(crate) const MAP_TAG: Flags = Flags(1 << 17);
    pub(crate) const BIG_CREATION: Flags = Flags(1 << 18);
    pub(crate) const SEND_SENDER: Flags = Flags(1 << 19);
    pub(crate) const BIG_SEQTRACE_LABELS: Flags = Flags(1 << 20);
    /// The reason of an exit is the payload of the message, and no element of the control tuple.
    pub(crate) const EXIT_PAYLOAD: Flags = Flags(1 << 22);
    pub(crate) const HANDSHAKE_23: Flags = Flags(1 << 24);
    pub(crate) const UNLINK_ID: Flags = Flags(1 << 25);
    /// Stands for all flags that OTP 25 requires.
    pub(crate) const MANDATORY_25_DIGEST: Flags = Flags(1 << 26);
    /// The requests of processes.
    pub(crate) const SPAWN: Flags = Flags(1 << 32);
    pub(crate) const V4_NC: Flags = Flags(1 << 34);
    pub(crate) const ALIAS: Flags = Flags(1 << 35);
    /// Signals with flags of their own, since OTP 28. They replace the sends to aliases.
    pub(crate) const ALTACT_SIG: Flags = Flags(1 << 37);

    /// The flags that OTP 25 requires of its peers.
    const MANDATORY_25: Flags = Flags::EXTENDED_REFERENCES
        .with(Flags::FUN_TAGS)
        .with(Flags::NEW_FUN_TAGS)
        .with(Flags::EXTENDED_PIDS_PORTS)
        .with(Flags::EXPORT_PTR_TAG)
        .with(Flags::BIT_BINARIES)
        .with(Flags::NEW_FLOATS)
        .with(Flags::UTF8_ATOMS)
        .with(Flags::MAP_TAG)
        .with(Flags::BIG_CREATION)
        .with(Flags::HANDSHAKE_23);

    /// The flags that a peer must have: those that OTP 26 and later require.
    const REQUIRED: Flags = Flags::MANDATORY_25.with(Flags::V4_NC).with(Flags::UNLINK_ID);

    /// The flags of a node of this crate. `PUBLISHED` is left out, so the node is hidden. The atom
    /// cache and fragments are left out, so each message is one frame without a header.
    pub(crate) const OFFERED: Flags = Flags::REQUIRED
        .with(Flags::MANDATORY_25_DIGEST)
        .with(Flags::DIST_MONITOR)
        .with(Flags::DIST_MONITOR_NAME)
        .with(Flags::SMALL_ATOM_TAGS)
        .with(Flags::SEND_SENDER)
        .with(Flags::SPAWN)
        .with(Flags::EXIT_PAYLOAD)
        .with(Flags::UNICODE_IO)
        .with(Flags::BIG_SEQTRACE_LABELS)
        .with(Flags::ALIAS)
        .with(Flags::ALTACT_SIG);

    pub(crate) const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    pub(crate) const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Returns the flags of a peer. The digest of the flags of OTP 25 is replaced by these flags.
    pub(crate) const fn of_peer(bits: u64) -> Flags {
        let flags = Flags(bits);
        if flags.has(Flags::MANDATORY_25_DIGEST) { flags.with(Flags::MANDATORY_25) } else { flags }
    }

    /// Returns the flags that both sides have.
    pub(crate) const fn common(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }

    /// Returns the names of the required flags that are missing; `None` if none is.
    pub(crate) fn missing(self) -> Option<String> {
        let missing: Vec<_> =
            NAMES.iter().filter(|(_, flag)| !self.has(*flag)).map(|(name, _)| *name).collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, NAMES};

    /// The numbers are those that nodes of OTP 25 and 26 require.
    #[test]
    fn the_required_flags_have_the_numbers_of_otp() {
        assert_eq!(Flags::MANDATORY_25.bits(), 0x0107_0f94);
        assert_eq!(Flags::REQUIRED.bits(), 0x4_0307_0f94);
        let named = NAMES.iter().fold(Flags::default(), |all, (_, flag)| all.with(*flag));
        assert_eq!(named, Flags::REQUIRED);
    }

    #[test]
    fn a_node_is_hidden_and_receives_whole_frames() {
        let (published, atom_cache, fragments) = (Flags(1), Flags(1 << 13), Flags(1 << 23));
        for not_offered in [published, atom_cache, fragments] {
            assert!(!Flags::OFFERED.has(not_offered));
        }
    }

    #[test]
    fn missing_flags_are_named() {
        assert_eq!(Flags::OFFERED.missing(), None);
        assert_eq!(Flags::of_peer(0x4_0600_0000).missing(), None); // by the digest
        let missing = Flags::of_peer(Flags::MANDATORY_25.bits()).missing();
        assert_eq!(missing.as_deref(), Some("UNLINK_ID, V4_NC"));
    }
}
