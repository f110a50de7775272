//! The table of names in the book, compared with what is exported.

use crate::support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use metrics::{Unit, set_default_local_recorder};
use regrow::metrics::Metrics;
use regrow::{GenServer, Result, Runtime, ServerContext, Supervisor};
use support::metric_values::MetricValues;
use support::settled;

struct Server;

impl GenServer for Server {
    type Args = ();
    type Call = ();
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Server)
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// A metric: its type, its labels and its unit.
type Row = (String, BTreeSet<String>, String);

/// Reads the table of the book.
fn table() -> BTreeMap<String, Row> {
    let page = include_str!("../../book/src/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `regrow_"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels, cells[4].to_owned()))
    };
    rows.map(row).collect()
}

#[tokio::test(start_paused = true)]
async fn the_table_of_the_book_has_each_metric_as_it_is_exported() {
    let values: &MetricValues = Box::leak(Box::default());
    let _installed = set_default_local_recorder(values);
    let rt = Runtime::new();
    let exporter = Metrics::new().track_handlers().exporter(&rt);
    let tree = Supervisor::one_for_one().named("app").child(Server::child(()).named("server"));
    let _tree = tree.start(&rt).await.unwrap();
    rt.server::<Server>("server").cast(());
    settled().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    exporter.collect().await;

    let described = values.described();
    let mut exported = BTreeMap::<String, Row>::new();
    for (kind, (name, labels)) in values.all() {
        let (described_kind, unit) = described.get(&name).expect("it is described");
        assert_eq!(*described_kind, kind, "{name}");
        let unit = if *unit == Unit::Seconds { "seconds" } else { "count" };
        let labels = labels.into_keys().collect();
        let row = (kind.to_owned(), labels, unit.to_owned());
        let before = exported.insert(name.clone(), row.clone());
        assert!(before.is_none_or(|before| before == row), "{name} has always the same labels");
    }
    assert_eq!(exported, table());
    assert_eq!(described.len(), exported.len(), "nothing else is described");
}
