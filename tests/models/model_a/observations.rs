//! The observable state of the model and of the real kernel when both are idle, in one format.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use regrow::Runtime;

use super::commands::{Answer, GROUPS, Id, Item, Mailboxes, NAMES, Reason};
use super::model::{Model, On};
use super::real_runtime::World;
use super::records::{Books, name_of, number_of};

/// One live process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    trap: bool,
    links: usize,
    watched: usize,
    watching: usize,
    names: Vec<u8>,
    groups: Vec<u8>,
    depth: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Totals {
    spawned: u64,
    finished: u64,
    shed: u64,
    timers: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) live: BTreeMap<Id, Look>,
    ended: BTreeMap<Id, Reason>,
    names: BTreeMap<u8, Id>,
    groups: BTreeMap<u8, Vec<Id>>,
    /// The remaining time of each pending timer, in milliseconds.
    timers: BTreeMap<Id, u128>,
    totals: Totals,
    /// The items that each process has received since the last comparison, by their source.
    heard: BTreeMap<Id, BTreeMap<Id, Vec<Item>>>,
    answers: BTreeMap<Id, Answer>,
}

impl Seen {
    pub(crate) fn of_model(model: &Model, mailboxes: Mailboxes) -> Seen {
        let live: Vec<Id> = model.processes.keys().copied().collect();
        let look = |&id: &Id| (id, look(model, id, mailboxes != Mailboxes::Plain));
        let groups = (0..GROUPS).map(|group| (group, model.members(group)));
        let left = |due: u64| u128::from(due - model.now);
        Seen {
            live: live.iter().map(look).collect(),
            ended: model.ended.clone(),
            names: model.names.clone(),
            groups: groups.filter(|(_, members)| !members.is_empty()).collect(),
            timers: model.timers.iter().map(|(&id, timer)| (id, left(timer.due))).collect(),
            totals: Totals {
                spawned: (live.len() + model.ended.len()) as u64,
                finished: model.ended.len() as u64,
                shed: model.shed,
                timers: model.timers.len(),
            },
            heard: by_source(&model.heard, model),
            answers: model.answers.clone(),
        }
    }

    /// Observes the real kernel. The model says which process the monitor of a named `Down` found.
    pub(crate) fn of_world(world: &World, model: &Model) -> Seen {
        let mut books = world.books();
        books.mourn(&world.rt);
        let rt = &world.rt;
        let live = rt.list();
        assert_eq!(rt.process_count(), live.len());
        let looks = live.iter().filter_map(|&pid| rt.info(pid)).map(|info| {
            let look = Look {
                trap: info.trap_exit,
                links: info.links,
                watched: info.monitors,
                watching: info.monitoring,
                names: info.names.iter().map(|name| number_of(name)).collect(),
                groups: info.tags.iter().map(|tag| number_of(tag)).collect(),
                depth: info.mailbox_depth,
            };
            (books.id(info.pid), look)
        });
        let names = (0..NAMES).filter_map(|name| Some((name, rt.whereis(&name_of(name))?)));
        let groups = (0..GROUPS).map(|tag| (tag, books.ids(rt.whereis_tag(&name_of(tag)))));
        let timers = books
            .timers
            .iter()
            .filter_map(|(&id, timer)| Some((id, timer.remaining()?.as_millis())));
        Seen {
            live: looks.collect(),
            ended: books.ended.clone(),
            names: names.map(|(name, pid)| (name, books.id(pid))).collect(),
            groups: groups.filter(|(_, members)| !members.is_empty()).collect(),
            timers: timers.collect(),
            totals: Totals {
                spawned: rt.spawned(),
                finished: rt.finished(),
                shed: rt.dropped_messages(),
                timers: rt.leftovers().timers,
            },
            heard: by_source(&books.heard, model),
            answers: books.answers.clone(),
        }
    }

    /// Discards the items that these processes received. The items of an eager process that has
    /// ended depend on the order in which the observers of one exit were notified, so they are not
    /// compared.
    pub(crate) fn forget(&mut self, ids: &BTreeSet<Id>) {
        self.heard.retain(|id, _| !ids.contains(id));
    }

    /// Describes every part that differs.
    pub(crate) fn differs(&self, got: &Seen) -> Option<String> {
        let mut text = String::new();
        let mut part = |name: &str, expected: &dyn std::fmt::Debug, got: &dyn std::fmt::Debug| {
            let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
            if expected != got {
                let _ = writeln!(text, "{name}:\n  expected {expected}\n  got      {got}");
            }
        };
        part("live processes", &self.live, &got.live);
        part("ended processes", &self.ended, &got.ended);
        part("names", &self.names, &got.names);
        part("groups", &self.groups, &got.groups);
        part("timers", &self.timers, &got.timers);
        part("totals", &self.totals, &got.totals);
        part("received", &self.heard, &got.heard);
        part("answers", &self.answers, &got.answers);
        (self != got).then_some(text)
    }
}

fn look(model: &Model, id: Id, counted: bool) -> Look {
    let process = &model.processes[&id];
    let pending = || model.monitors.values().filter(|monitor| !monitor.fired);
    let on_it = |on: On| matches!(on, On::Process(target, _) if target == id);
    Look {
        trap: process.trap,
        links: model.links.iter().filter(|&&(a, b)| a == id || b == id).count(),
        watched: pending().filter(|monitor| on_it(monitor.on)).count(),
        watching: pending().filter(|monitor| monitor.watcher == id).count(),
        names: model.names.iter().filter(|(_, p)| **p == id).map(|(&name, _)| name).collect(),
        groups: model.groups.iter().filter(|(_, p)| *p == id).map(|&(group, _)| group).collect(),
        depth: if counted { process.mailbox.len() } else { 0 },
    }
}

/// Sorts the items by source. The order of the items of one source is compared, the order between
/// sources is not. Several monitors of one watcher receive their `Down` for one exit in any order.
fn by_source(
    heard: &BTreeMap<Id, Vec<Item>>,
    model: &Model,
) -> BTreeMap<Id, BTreeMap<Id, Vec<Item>>> {
    let mut sorted: BTreeMap<Id, BTreeMap<Id, Vec<Item>>> = BTreeMap::new();
    for (&id, items) in heard {
        let sources = sorted.entry(id).or_default();
        for &item in items {
            sources.entry(source(item, model)).or_default().push(item);
        }
        for items in sources.values_mut() {
            items.chunk_by_mut(one_event).for_each(<[Item]>::sort_unstable);
        }
    }
    sorted
}

fn source(item: Item, model: &Model) -> Id {
    match item {
        Item::Message { from, .. } | Item::Exit { from, .. } => from,
        Item::Down { target, .. } => target,
        Item::DownName { monitor, .. } => model.named.get(&monitor).copied().unwrap_or(Id::MAX),
        Item::Group { pid, .. } => pid,
    }
}

fn one_event(a: &Item, b: &Item) -> bool {
    let down = |item: &Item| match *item {
        Item::Down { reason, .. } | Item::DownName { reason, .. } => reason != Reason::NoProc,
        _ => false,
    };
    match (a, b) {
        (Item::Group { joined: a, .. }, Item::Group { joined: b, .. }) => a == b,
        _ => down(a) && down(b),
    }
}

impl Books {
    /// Records the processes that have ended since, and their reasons.
    fn mourn(&mut self, rt: &Runtime) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut ended = Vec::new();
        for (&id, (pid, end)) in &mut self.ends {
            if !rt.is_alive(*pid)
                && let Poll::Ready(reason) = Pin::new(end).poll(&mut cx)
            {
                ended.push((id, Reason::of(&reason)));
            }
        }
        for (id, reason) in ended {
            self.ends.remove(&id);
            self.ended.insert(id, reason);
        }
    }
}
