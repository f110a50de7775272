//! A supervisor or a child.

use crate::model::fields::Fields;

/// The index of a node in the model. It is valid until the next item.
pub(crate) type At = usize;

/// Identifies a node from picture to picture. The key of a node is its path, so a restart keeps the
/// key. Below a dynamic supervisor the key also contains the pid, because several children may have
/// the same path. There a restart changes the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) path: String,
    pub(crate) pid: Option<u64>,
}

/// How a text is highlighted: how important it is, and whether it reports something good or bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Dim,
    Strong,
    Good,
    Warn,
    Bad,
}

/// Returns the tone of the class of an exit reason.
pub(crate) fn tone_of(class: &str) -> Tone {
    match class {
        "error" | "panic" | "killed" => Tone::Bad,
        "no_process" => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// An ended incarnation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    pub(crate) pid: Option<u64>,
    pub(crate) started_ms: Option<u64>,
    pub(crate) ended_ms: u64,
    pub(crate) reason: String,
    pub(crate) class: String,
    pub(crate) place: Option<String>,
    pub(crate) delay_ms: Option<u64>,
    /// Whether the program has a backtrace of its crash.
    pub(crate) has_backtrace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Budget {
    pub(crate) left: u64,
    pub(crate) restarts: u64,
    pub(crate) period_ms: u64,
}

impl Budget {
    fn read(fields: Fields) -> Option<Self> {
        let budget = fields.get("budget")?;
        Some(Budget {
            left: budget.number("left")?,
            restarts: budget.number("restarts")?,
            period_ms: budget.number("period_ms").unwrap_or(0),
        })
    }
}

/// The numbers of all children of a dynamic supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Folded {
    pub(crate) children: u64,
    pub(crate) restarting: u64,
    pub(crate) given_up: u64,
    pub(crate) unhealthy: u64,
}

/// What a supervisor waits for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) doing: String,
    pub(crate) child: Option<String>,
    pub(crate) since_ms: Option<u64>,
}

/// The state of a mailbox and of the running callback. Each sample replaces it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Mailbox {
    pub(crate) queued: Option<u64>,
    pub(crate) oldest_ms: Option<u64>,
    pub(crate) lost: u64,
    /// The running callback, and for how many milliseconds it has been running.
    pub(crate) handling: Option<(String, u64)>,
}

impl Mailbox {
    pub(crate) fn read(fields: Fields) -> Self {
        let handling = fields.get("handling");
        Mailbox {
            queued: fields.number("queued"),
            oldest_ms: fields.number("oldest_ms"),
            lost: fields.number("lost").unwrap_or(0),
            handling: handling
                .map(|one| (one.text("callback"), one.number("elapsed_ms").unwrap_or(0))),
        }
    }
}

/// A supervisor or a child, as the last items describe it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Node {
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) pid: Option<u64>,
    pub(crate) supervisor: Option<u64>,
    pub(crate) is_supervisor: bool,
    pub(crate) state: String,
    pub(crate) health: String,
    pub(crate) health_text: Option<String>,
    pub(crate) started_ms: Option<u64>,
    pub(crate) retry_at_ms: Option<u64>,
    pub(crate) restarts: u64,
    pub(crate) mailbox: Mailbox,
    pub(crate) history: Vec<Run>,
    pub(crate) strategy: String,
    pub(crate) budget: Option<Budget>,
    pub(crate) folded: Option<Folded>,
    pub(crate) step: Option<Step>,
    pub(crate) ending_since_ms: Option<u64>,
    pub(crate) stopping_since_ms: Option<u64>,
    /// When the time limit of the stop is over. `None` if the program reports no limit.
    pub(crate) deadline_ms: Option<u64>,
    /// Whether a dynamic supervisor that stops all its children waits for this child.
    pub(crate) holds: bool,
    pub(crate) above: Option<At>,
    pub(crate) children: Vec<At>,
}

impl Node {
    /// Reads a node of a picture.
    pub(crate) fn read(fields: Fields) -> Self {
        let folded = fields.get("folded").map(|folded| Folded {
            children: folded.number("children").unwrap_or(0),
            restarting: folded.number("restarting").unwrap_or(0),
            given_up: folded.number("given_up").unwrap_or(0),
            unhealthy: folded.number("unhealthy").unwrap_or(0),
        });
        let step = fields.get("step").map(|step| Step {
            doing: step.text("doing"),
            child: step.some_text("child"),
            since_ms: step.number("since_ms"),
        });
        Node {
            path: fields.text("path"),
            id: fields.text("id"),
            pid: fields.number("pid"),
            supervisor: fields.number("supervisor"),
            is_supervisor: fields.str("kind") == Some("supervisor"),
            state: fields.text("state"),
            health: fields.text("health"),
            health_text: fields.some_text("health_text"),
            started_ms: fields.number("started_ms"),
            retry_at_ms: fields.number("retry_at_ms"),
            restarts: fields.number("restarts").unwrap_or(0),
            mailbox: Mailbox::read(fields),
            history: fields.list("history").map(read_run).collect(),
            strategy: fields.text("strategy"),
            budget: Budget::read(fields),
            folded,
            step,
            ending_since_ms: fields.number("ending_since_ms"),
            deadline_ms: fields.number("deadline_ms"),
            ..Node::default()
        }
    }

    pub(crate) fn set_budget(&mut self, fields: Fields) {
        self.budget = Budget::read(fields);
    }

    pub(crate) fn is_dynamic(&self) -> bool {
        self.strategy == "dynamic"
    }

    pub(crate) fn is_alive(&self) -> bool {
        let is_down = ["ended", "stopped", "given_up", "restarting"].contains(&&*self.state);
        self.pid.is_some() && !is_down
    }

    /// Returns the state in one word, and its tone.
    pub(crate) fn condition(&self) -> (&str, Tone) {
        match &*self.state {
            "running" if self.ending_since_ms.is_some() => ("stopping", Tone::Warn),
            "running" if self.is_well() => ("running", Tone::Good),
            "running" if ["degraded", "starting"].contains(&&*self.health) => {
                (&self.health, Tone::Warn)
            }
            "running" => (&self.health, Tone::Bad),
            "given_up" => ("given up", Tone::Bad),
            state @ ("restarting" | "starting" | "stopping") => (state, Tone::Warn),
            state => (state, Tone::Dim),
        }
    }

    fn is_well(&self) -> bool {
        self.health.is_empty() || self.health == "ready"
    }

    /// Returns how much attention the node needs. The number of a node that is not well is at least
    /// 4.
    pub(crate) fn badness(&self) -> u8 {
        match &*self.state {
            "given_up" => 6,
            "restarting" => 5,
            "running" if !self.is_well() => 4,
            "ended" if self.history.last().is_some_and(|run| tone_of(&run.class) == Tone::Bad) => 3,
            "starting" | "stopping" => 2,
            "ended" => 0,
            _ => 1,
        }
    }
}

fn read_run(fields: Fields) -> Run {
    Run {
        pid: fields.number("pid"),
        started_ms: fields.number("started_ms"),
        ended_ms: fields.number("ended_ms").unwrap_or(0),
        reason: fields.text("reason"),
        class: fields.text("class"),
        place: fields.some_text("place"),
        delay_ms: fields.number("delay_ms"),
        has_backtrace: fields.is("backtrace"),
    }
}
