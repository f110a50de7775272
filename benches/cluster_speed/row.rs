//! The rows of the table. A row is named by what is done.

/// The size of the large message.
const LARGE: usize = 64 << 20;

/// One row.
pub(crate) struct Row {
    pub(crate) text: &'static str,
    /// What a node is asked to measure.
    order: &'static str,
    numbers: [usize; 2],
    quick: [usize; 2],
    /// A text for each figure of the row.
    pub(crate) figures: &'static [Figure],
}

/// What one figure of a row is.
pub(crate) struct Figure {
    pub(crate) text: &'static str,
    pub(crate) unit: &'static str,
    /// Whether the goal is for this figure.
    pub(crate) has_goal: bool,
}

impl Row {
    /// The order to measure this row, as a line.
    pub(crate) fn order(&self, node: &str, is_quick: bool) -> String {
        let [first, second] = if is_quick { self.quick } else { self.numbers };
        format!("{} {node}@127.0.0.1 {first} {second}\n", self.order)
    }
}

const RATE: &[Figure] = &[Figure { text: "", unit: "1,000/s", has_goal: true }];

const WAITS: &[Figure] = &[
    Figure { text: ", p50", unit: "ms", has_goal: false },
    Figure { text: ", p99", unit: "ms", has_goal: false },
    Figure { text: ", echoes", unit: "1/s", has_goal: false },
];

const fn calls(text: &'static str, callers: usize, count: usize) -> Row {
    let (numbers, quick) = ([callers, count], [callers, 2 * callers]);
    Row { text, order: "calls", numbers, quick, figures: RATE }
}

const fn echoes(text: &'static str, bytes: usize, count: usize) -> Row {
    Row {
        text,
        order: "echoes",
        numbers: [bytes, count],
        quick: [bytes, 2],
        figures: &[Figure { text: "", unit: "1,000/s", has_goal: false }],
    }
}

pub(crate) const ROWS: &[Row] = &[
    calls("calls, 1 caller", 1, 10_000),
    calls("calls, 8 callers", 8, 20_000),
    calls("calls, 64 callers", 64, 40_000),
    Row {
        text: "casts, one sender",
        order: "casts",
        numbers: [1, 200_000],
        quick: [1, 100],
        figures: RATE,
    },
    Row {
        text: "casts, 8 senders",
        order: "casts",
        numbers: [8, 200_000],
        quick: [8, 100],
        figures: RATE,
    },
    echoes("echo of 1 KiB", 1 << 10, 10_000),
    echoes("echo of 64 KiB", 64 << 10, 2_000),
    Row {
        text: "calls beside a large echo (64 MiB)",
        order: "beside",
        numbers: [LARGE, 5],
        quick: [1 << 20, 2],
        figures: WAITS,
    },
];
