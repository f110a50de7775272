//! The run of one bench file: its options, and the kinds of measurement.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::row::{self, Header, Row, Table};

/// How often each side is measured, after one round that is not counted.
const ROUNDS: usize = 7;

/// A quick run divides sizes by this.
const QUICK: usize = 1_000;

/// The sizes of a row of [`growth`](Bench::growth).
const GROWTH: [usize; 3] = [10_000, 100_000, 1_000_000];

/// The percentiles of a row of [`percentiles`](Bench::percentiles), in thousandths.
const PERCENTILES: [(&str, usize); 3] = [(", p50", 500), (", p99", 990), (", p99.9", 999)];

/// The run of one bench file.
pub(crate) struct Bench {
    tokio: tokio::runtime::Runtime,
    quick: bool,
    tables: Vec<Table>,
    /// Only rows whose names contain one of these are measured.
    only: Vec<String>,
    /// Printed before the next row.
    header: Cell<Option<Header>>,
}

impl Bench {
    /// Reads the command line. `topic` is the header of the first column.
    pub(crate) fn new(topic: &str) -> Self {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let has = |flag: &str| args.iter().any(|arg| arg == flag);
        let checks = !has("--bench");
        let tables = match (checks || has("--all"), has("--simple")) {
            (true, _) => vec![Table::Demanding, Table::Simple],
            (false, true) => vec![Table::Simple],
            (false, false) => vec![Table::Demanding],
        };
        let quick = has("--quick") || checks;
        let only = args.into_iter().filter(|arg| !arg.starts_with("--")).collect();
        let header = Cell::new(Some(Header::sides(topic, ["raw", "regrow", "ratio"])));
        Bench { tokio: tokio(), quick, tables, only, header }
    }

    /// Whether the rows of this table were asked for.
    pub(crate) fn shows(&self, table: Table) -> bool {
        self.tables.contains(&table)
    }

    /// The header of the rows that follow, which compare something else than raw and regrow.
    pub(crate) fn header(&self, topic: &str, columns: [&str; 3]) {
        self.header.set(Some(Header::sides(topic, columns)));
    }

    /// Measures both sides alternately. A side takes the number of operations, and returns the cost
    /// of one.
    pub(crate) fn compare<A, B>(
        &self,
        row: &Row,
        raw: impl Fn(usize) -> A,
        regrow: impl Fn(usize) -> B,
    ) where
        A: Future<Output = f64> + Send + 'static,
        B: Future<Output = f64> + Send + 'static,
    {
        if self.select(row) {
            row::print_sides(row, "", &self.alternate(row.size, raw, regrow));
        }
    }

    /// As [`compare`](Self::compare), of how long each single operation takes. A row is printed for
    /// the median, the 99th and the 99.9th percentile, in microseconds. The target is for each.
    pub(crate) fn percentiles<A, B>(
        &self,
        row: &Row,
        raw: impl Fn(usize) -> A,
        regrow: impl Fn(usize) -> B,
    ) where
        A: Future<Output = Vec<Duration>> + Send + 'static,
        B: Future<Output = Vec<Duration>> + Send + 'static,
    {
        if !self.select(row) {
            return;
        }
        let rounds = self.alternate(row.size, raw, regrow);
        let rounds: Vec<_> = rounds.into_iter().map(|(a, b)| (sorted(a), sorted(b))).collect();
        for (detail, thousandths) in PERCENTILES {
            let at = |all: &[f64]| all[(all.len() * thousandths / 1_000).min(all.len() - 1)];
            let results: Vec<_> = rounds.iter().map(|(a, b)| (at(a), at(b))).collect();
            row::print_sides(row, detail, &results);
        }
    }

    /// The header of rows of [`growth`](Self::growth).
    pub(crate) fn growth_header(&self, topic: &str) {
        self.header.set(Some(Header::growth(topic)));
    }

    /// Measures the same operation beside 10,000, 100,000 and 1,000,000 others, alternately. Each
    /// population lives in a runtime of its own, from before the first round until the end.
    pub(crate) fn growth<S, P, M>(
        &self,
        row: &Row,
        prepare: impl Fn(usize) -> P,
        measure: impl Fn(Arc<S>, usize) -> M,
    ) where
        S: Send + Sync + 'static,
        P: Future<Output = S> + Send + 'static,
        M: Future<Output = f64> + Send + 'static,
    {
        if !self.select(row) {
            return;
        }
        let populations = GROWTH.map(|size| {
            let tokio = tokio();
            let population = run(&tokio, prepare(self.size(size)));
            (tokio, Arc::new(population))
        });
        let mut results = Vec::new();
        for round in 0..=self.rounds() {
            let mut result = [0.0; GROWTH.len()];
            for turn in 0..GROWTH.len() {
                let at = (turn + round) % GROWTH.len();
                let (tokio, population) = &populations[at];
                result[at] = run(tokio, measure(Arc::clone(population), self.size(row.size)));
            }
            if round > 0 {
                results.push(result);
            }
        }
        row::print_growth(row, &results);
    }

    /// As [`growth`](Self::growth), of a cost for each of 10,000, 100,000 and 1,000,000.
    pub(crate) fn growth_each<M>(&self, row: &Row, measure: impl Fn(usize) -> M)
    where
        M: Future<Output = f64> + Send + 'static,
    {
        if self.select(row) {
            let sizes = GROWTH.map(|size| self.size(size));
            let one = |_| sizes.map(|size| run(&self.tokio, measure(size)));
            row::print_growth(row, &(0..self.rounds().min(3)).map(one).collect::<Vec<_>>());
        }
    }

    /// The header of rows of [`waits`](Self::waits).
    pub(crate) fn waits_header(&self, topic: &str) {
        self.header(topic, ["median", "worst", "best"]);
    }

    /// Measures how long each operation waits, and prints the median, the maximum and the minimum
    /// in microseconds. The target is for the maximum.
    pub(crate) fn waits<A>(&self, row: &Row, measure: impl Fn(usize) -> A)
    where
        A: Future<Output = Vec<Duration>> + Send + 'static,
    {
        if self.select(row) {
            row::print_waits(row, run(&self.tokio, measure(self.size(row.size))));
        }
    }

    /// The results of all rounds but the first.
    fn alternate<A, B>(
        &self,
        size: usize,
        raw: impl Fn(usize) -> A,
        regrow: impl Fn(usize) -> B,
    ) -> Vec<(A::Output, B::Output)>
    where
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static,
    {
        let size = self.size(size);
        let mut results = Vec::new();
        for round in 0..=self.rounds() {
            let result = if round % 2 == 0 {
                let raw = run(&self.tokio, raw(size));
                (raw, run(&self.tokio, regrow(size)))
            } else {
                let regrow = run(&self.tokio, regrow(size));
                (run(&self.tokio, raw(size)), regrow)
            };
            if round > 0 {
                results.push(result);
            }
        }
        results
    }

    fn rounds(&self) -> usize {
        if self.quick { 1 } else { ROUNDS }
    }

    /// Whether the row is to be measured. Prints the header before the first such row.
    fn select(&self, row: &Row) -> bool {
        let is_selected =
            self.only.is_empty() || self.only.iter().any(|word| row.text.contains(word.as_str()));
        if is_selected && let Some(header) = self.header.take() {
            header.print();
        }
        is_selected
    }

    /// Runs a preparation that is not measured.
    pub(crate) fn block_on<F: Future>(&self, prepare: F) -> F::Output {
        self.tokio.block_on(prepare)
    }

    pub(crate) fn size(&self, full: usize) -> usize {
        if self.quick { (full / QUICK).max(10) } else { full }
    }
}

/// Two workers.
fn tokio() -> tokio::runtime::Runtime {
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    tokio.worker_threads(2).enable_all().build().expect("tokio starts")
}

/// Runs one side on a worker, as all other tasks.
fn run<F>(tokio: &tokio::runtime::Runtime, side: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio.block_on(tokio.spawn(side)).expect("a bench does not panic")
}

/// The microseconds of each operation, the shortest first.
fn sorted(mut waits: Vec<Duration>) -> Vec<f64> {
    waits.sort_unstable();
    waits.into_iter().map(|wait| wait.as_nanos() as f64 / 1_000.0).collect()
}
