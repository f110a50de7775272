//! The JSON of an item in pieces, for a writer that gives way to other tasks between two of them.
//!
//! **Guarantees**
//! 1. The pieces of an item, one after the other, are JSON with the value of the item's `to_json`.
//! 2. A piece has at most [`WEIGHT`] of the parts that an item may have very many of, such as nodes.
//!    The length of a single part is not limited.
//! 3. A part is dropped when its piece has been made: to drop a picture of 100,000 nodes in one go takes
//!    longer than to write any piece.

use std::iter::{from_fn, once, once_with};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::observation::json::{child_counters, process_sample, supervisor_sample};
use crate::observation::json_nodes::Nodes;
use crate::observation::{Observed, Picture, PictureNode, Sample};
use crate::observe::Counters;
use crate::snapshot::escape_controls;

/// How many parts are written in one piece. A node of a worker takes about a microsecond.
const WEIGHT: usize = 32;

/// The pieces of one item.
pub(crate) type Pieces = Box<dyn Iterator<Item = String> + Send>;

/// Returns the pieces of the JSON of an item.
pub(crate) fn pieces(item: Observed) -> Pieces {
    match item {
        Observed::Picture(picture) => of_picture(picture),
        Observed::Sample(sample) => of_sample(sample),
        short => Box::new(once_with(move || short.to_json())),
    }
}

fn of_picture(mut picture: Picture) -> Pieces {
    let (nodes, counters) =
        (std::mem::take(&mut picture.nodes), std::mem::take(&mut picture.counters));
    let head = once_with(move || open(&picture.head(), "nodes"));
    let nodes = list(nodes, node_weight, |nodes| text(&Nodes(nodes)));
    Box::new(
        head.chain(nodes)
            .chain(once("],\"counters\":".into()))
            .chain(of_counters(counters))
            .chain(once("}".into())),
    )
}

fn of_sample(mut sample: Sample) -> Pieces {
    let processes = std::mem::take(&mut sample.processes);
    let supervisors = std::mem::take(&mut sample.supervisors);
    let counters = std::mem::take(&mut sample.counters);
    let head = once_with(move || open(&sample.head(), "processes"));
    let processes =
        list(processes, |_| 2, |part| text(&part.iter().map(process_sample).collect::<Vec<_>>()));
    let supervisors = list(
        supervisors,
        |_| 2,
        |part| text(&part.iter().map(supervisor_sample).collect::<Vec<_>>()),
    );
    let lists = head.chain(processes).chain(once("],\"supervisors\":[".into())).chain(supervisors);
    Box::new(
        lists
            .chain(once("],\"counters\":".into()))
            .chain(of_counters(counters))
            .chain(once("}".into())),
    )
}

fn of_counters(mut counters: Counters) -> impl Iterator<Item = String> + Send {
    let children = std::mem::take(&mut counters.children);
    let head = once_with(move || open(&counters.head(), "children"));
    let children =
        list(children, |_| 1, |part| text(&part.iter().map(child_counters).collect::<Vec<_>>()));
    head.chain(children).chain(once("]}".into()))
}

/// Returns the begin of an object with these fields, up to the begin of this list.
fn open(fields: &Map<String, Value>, list: &str) -> String {
    let all = text(fields);
    let begin = all.strip_suffix('}').unwrap_or_default();
    format!("{begin},\"{list}\":[")
}

/// Returns the elements of a list in pieces, without the brackets of the list.
fn list<T: Send + 'static>(
    all: Vec<T>,
    weight: fn(&T) -> usize,
    json: fn(&[T]) -> String,
) -> impl Iterator<Item = String> + Send {
    let (mut all, mut separator) = (all.into_iter(), "");
    from_fn(move || {
        let (mut part, mut weighs) = (Vec::new(), 0);
        while weighs < WEIGHT
            && let Some(next) = all.next()
        {
            weighs += weight(&next);
            part.push(next);
        }
        let list = (!part.is_empty()).then(|| json(&part))?;
        let elements = list.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
        Some(format!("{}{}", std::mem::replace(&mut separator, ","), elements.unwrap_or_default()))
    })
}

/// Returns the weight of a node: what is written as a [`Value`] takes longer than the other fields.
fn node_weight(node: &PictureNode) -> usize {
    1 + 4 * node.history.len() + 4 * usize::from(node.supervision.is_some())
}

fn text(json: &impl Serialize) -> String {
    // The values of this crate have no part that fails to serialize.
    escape_controls(&serde_json::to_string(json).unwrap_or_default())
}
