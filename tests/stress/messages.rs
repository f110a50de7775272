//! The content of the messages.

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Nothing,
    /// Message number `number` of this sender. The receiver performs an operation if `depth` is not
    /// zero.
    Act {
        depth: u8,
        from: u64,
        number: u32,
    },
    /// The receiver reports that it has reached this round.
    Answer {
        round: u32,
    },
}

impl Order {
    pub(crate) fn bytes(self) -> Vec<u8> {
        let (kind, depth, from, number) = match self {
            Order::Nothing => (0, 0, 0, 0),
            Order::Act { depth, from, number } => (1, depth, from, number),
            Order::Answer { round } => (2, 0, 0, round),
        };
        let mut bytes = vec![kind, depth];
        bytes.extend(from.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Order {
        let from = u64::from_le_bytes(bytes[2..10].try_into().unwrap());
        let number = u32::from_le_bytes(bytes[10..14].try_into().unwrap());
        match bytes[0] {
            0 => Order::Nothing,
            1 => Order::Act { depth: bytes[1], from, number },
            _ => Order::Answer { round: number },
        }
    }
}
