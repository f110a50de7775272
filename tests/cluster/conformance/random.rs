//! Random scripts.

use crate::rng::Rng;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const CHILDREN: [&str; 4] = ["w", "x", "y", "z"];
const REASONS: [&str; 4] = ["normal", "shutdown", "boom", "sx"];
const RESTARTS: [&str; 3] = ["permanent", "transient", "temporary"];
const STRATEGIES: [&str; 3] = ["one_for_one", "one_for_all", "rest_for_one"];

/// Returns this number of scripts: half of them have a supervisor.
pub(crate) fn scripts(count: u64) -> String {
    let scripts: Vec<_> = (0..count).map(|seed| script(&mut Rng::new(seed))).collect();
    scripts.join("\n\n")
}

fn script(rng: &mut Rng) -> String {
    let mut steps: Vec<String> = NAMES
        .iter()
        .map(|name| format!("spawn {name}{}", if rng.percent(33) { " trap" } else { "" }))
        .collect();
    let mut known = NAMES.to_vec();
    let supervises = rng.percent(50);
    if supervises {
        let children = &CHILDREN[..1 + rng.below(4)];
        let specs: Vec<_> =
            children.iter().map(|child| format!("{child}:{}", rng.pick(&RESTARTS))).collect();
        let (strategy, intensity) = (rng.pick(&STRATEGIES), rng.below(5));
        steps.push(format!("supervise {strategy} {intensity} {}", specs.join(" ")));
        known.extend(children);
    }
    for _ in 0..5 + rng.below(21) {
        steps.push(step(rng, &known, supervises));
    }
    steps.join("\n")
}

fn step(rng: &mut Rng, known: &[&str], supervises: bool) -> String {
    let (one, two, reason) = (rng.pick(known), rng.pick(known), rng.pick(&REASONS));
    let child = rng.pick(&CHILDREN);
    match rng.below(if supervises { 20 } else { 16 }) {
        0..=2 => format!("link {one} {two}"),
        3 => format!("unlink {one} {two}"),
        4 | 5 => format!("monitor {one} {two}"),
        6 => format!("demonitor {one} {two}"),
        7 => format!("exit {one} {two} {}", if rng.percent(25) { "kill" } else { reason }),
        8 | 9 => format!("end {one} {reason}"),
        10 => format!("send {one} {two} hello"),
        11 => format!("register {one} n"),
        12 => format!("monitor_name {one} n"),
        13 => rng.pick(&["whereis n", "unregister n"]).to_owned(),
        14 => format!("{} {one} g", rng.pick(&["join", "leave"])),
        15 => "members g".to_owned(),
        16 => "children".to_owned(),
        17 | 18 => format!("end {child} {reason}"),
        _ => {
            let requests = ["terminate_child", "restart_child", "delete_child"];
            format!("admin {} {child}", rng.pick(&requests))
        }
    }
}
