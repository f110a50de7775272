//! The invariants of the idle state, and of the records that the processes made.

use std::collections::HashSet;

use regrow::{Pid, ProcessInfo, Runtime};

use crate::shared_state::{Field, Notes, Watch};

/// Checks the invariants of the idle state.
pub(crate) fn at_rest(field: &Field, live: &HashSet<Pid>) {
    let rt = &field.rt;
    let infos: Vec<ProcessInfo> = live.iter().filter_map(|&pid| rt.info(pid)).collect();
    let mut notes = field.notes();
    let notes = &mut *notes;
    let mut complain = |what: String| notes.complaints.push(what);
    if rt.list().into_iter().collect::<HashSet<_>>() != *live || infos.len() != live.len() {
        complain(format!("{} live processes, but {:?}", live.len(), rt.list()));
    }
    names_hold(rt, &infos, &mut complain);
    groups_hold(rt, &infos, &mut complain);
    ties_hold(&infos, &mut complain);
    if rt.spawned() != rt.finished() + live.len() as u64 {
        complain(format!("I-25: {} spawned, {} finished", rt.spawned(), rt.finished()));
    }
    // One process was spawned whose pid is not recorded: the probe of the timers.
    if rt.spawned() != notes.pids.len() as u64 + 1 {
        complain(format!("I-25: {} spawned, {} pids", rt.spawned(), notes.pids.len()));
    }
    messages_hold(notes, live);
    downs_hold(notes, live);
    timers_hold(rt, notes, live);
}

fn names_hold(rt: &Runtime, infos: &[ProcessInfo], complain: &mut impl FnMut(String)) {
    let names = rt.registered();
    let held: usize = infos.iter().map(|info| info.names.len()).sum();
    if held != names.len() {
        complain(format!("I-02: {held} names in the records, but {names:?}"));
    }
    for info in infos {
        for name in info.names.iter().filter(|name| rt.whereis(name) != Some(info.pid)) {
            complain(format!("I-02: {} holds {name}, but {:?}", info.pid, rt.whereis(name)));
        }
    }
}

fn groups_hold(rt: &Runtime, infos: &[ProcessInfo], complain: &mut impl FnMut(String)) {
    for group in rt.tags() {
        let members = rt.whereis_tag(&group);
        let own = infos.iter().filter(|info| info.tags.contains(&group)).map(|info| info.pid);
        let own: HashSet<Pid> = own.collect();
        if members.is_empty() || own != members.iter().copied().collect() {
            complain(format!("I-03: {group} has {members:?}, but {own:?} say so"));
        }
    }
    let groups: HashSet<_> = rt.tags().into_iter().collect();
    for info in infos.iter().filter(|info| !info.tags.iter().all(|tag| groups.contains(tag))) {
        complain(format!("I-03: {} is in {:?}, but there is {groups:?}", info.pid, info.tags));
    }
}

fn ties_hold(infos: &[ProcessInfo], complain: &mut impl FnMut(String)) {
    let sum = |of: fn(&ProcessInfo) -> usize| infos.iter().map(of).sum::<usize>();
    let ends = sum(|info| info.links);
    if ends % 2 != 0 {
        complain(format!("I-04: {ends} ends of links"));
    }
    let (held, targeted) = (sum(|info| info.monitoring), sum(|info| info.monitors));
    if held != targeted {
        complain(format!("I-04: {held} monitors held, {targeted} targeted"));
    }
}

/// Checks that every message sent to a live process has arrived.
fn messages_hold(notes: &mut Notes, live: &HashSet<Pid>) {
    let sent = notes.sent.iter().filter(|((_, to), _)| live.contains(to));
    for (pair, number) in sent {
        if notes.got.get(pair) != Some(number) {
            let what = format!("I-08: {pair:?}: {number} sent, {:?} got", notes.got.get(pair));
            notes.complaints.push(what);
        }
    }
}

fn downs_hold(notes: &mut Notes, live: &HashSet<Pid>) {
    for (reference, watch) in &notes.watches {
        let expected = expected(watch, live.contains(&reference.watcher()), live);
        if !expected.contains(&watch.downs) {
            let what = format!("I-05: {reference:?}: {watch:?}, expected {expected:?}");
            notes.complaints.push(what);
        }
    }
}

/// Checks that a timer is pending exactly while its target lives.
fn timers_hold(rt: &Runtime, notes: &mut Notes, live: &HashSet<Pid>) {
    let aimed = notes.late_timers.iter().filter(|(_, to)| live.contains(to)).count();
    for (timer, to) in &notes.late_timers {
        if timer.remaining().is_some() != live.contains(to) {
            notes.complaints.push(format!("I-20: a timer to {to} has {:?}", timer.remaining()));
        }
    }
    if rt.leftovers().timers != aimed {
        let what = format!("I-20: {} timers, {aimed} aimed", rt.leftovers().timers);
        notes.complaints.push(what);
    }
}

/// Returns the numbers of `Down`s that are possible for this monitor.
fn expected(
    watch: &Watch,
    watcher_lives: bool,
    live: &HashSet<Pid>,
) -> std::ops::RangeInclusive<usize> {
    if watch.in_time {
        return 0..=0;
    }
    match watch.target {
        Some(target) if live.contains(&target) => 0..=0,
        Some(_) if watcher_lives && !watch.flushed => 1..=1,
        _ => 0..=1,
    }
}
