//! A puppet: a process that does what a script says, and reports what it receives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use regrow::{
    ExitReason, GenServer, MonitorRef, Pid, Received, Reply, RestartLimitReached, Result, Runtime,
    ServerContext,
};

/// What the puppets of one script share.
#[derive(Default)]
pub(crate) struct Stage {
    pids: HashMap<String, Pid>,
    names: HashMap<Pid, String>,
    starts: HashMap<String, u32>,
    changes: Vec<String>,
}

/// The puppets of one script.
#[derive(Clone)]
pub(crate) struct Puppets {
    pub(crate) rt: Runtime,
    stage: Arc<Mutex<Stage>>,
}

impl Puppets {
    pub(crate) fn new() -> Self {
        Puppets { rt: Runtime::new(), stage: Arc::default() }
    }

    pub(crate) fn know(&self, name: &str, pid: Pid) {
        let mut stage = self.stage.lock().unwrap();
        stage.pids.insert(name.to_owned(), pid);
        stage.names.insert(pid, name.to_owned());
    }

    /// Returns the pid of a name, or a pid that no process has.
    pub(crate) fn pid(&self, name: &str) -> Pid {
        self.stage.lock().unwrap().pids.get(name).copied().unwrap_or(Pid::OUTSIDE)
    }

    pub(crate) fn name(&self, pid: Pid) -> String {
        let stage = self.stage.lock().unwrap();
        stage.names.get(&pid).map_or_else(|| "other".to_owned(), String::clone)
    }

    pub(crate) fn is_alive(&self, name: &str) -> bool {
        self.rt.is_alive(self.pid(name))
    }

    pub(crate) fn changed(&self, change: String) {
        self.stage.lock().unwrap().changes.push(change);
    }

    pub(crate) fn starts(&self, name: &str) -> u32 {
        self.stage.lock().unwrap().starts.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn take_changes(&self) -> Vec<String> {
        let mut changes = std::mem::take(&mut self.stage.lock().unwrap().changes);
        changes.sort();
        changes
    }

    /// Reports the end of a process.
    pub(crate) fn watch(&self, name: &str, pid: Pid) {
        let (puppets, name) = (self.clone(), name.to_owned());
        let ended = self.rt.ended(pid);
        tokio::spawn(async move {
            let reason = ended.await;
            puppets.changed(format!("{name} gone {}", shown(&reason)));
        });
    }
}

/// The reason as OTP shows it.
pub(crate) fn shown(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Normal => "normal".to_owned(),
        ExitReason::Shutdown => "shutdown".to_owned(),
        ExitReason::ShutdownWith(detail) => format!("{{shutdown,{}}}", detail.text()),
        ExitReason::Killed => "killed".to_owned(),
        ExitReason::NoProc => "noproc".to_owned(),
        // A supervisor of OTP that gives up ends with `shutdown`.
        ExitReason::Crashed(crash) if crash.downcast_ref::<RestartLimitReached>().is_some() => {
            "shutdown".to_owned()
        }
        ExitReason::Crashed(crash) => crash.message().to_owned(),
        other => panic!("no script has {other:?}"),
    }
}

/// The reason that a script names. A kill is no reason.
fn reason(text: &str) -> ExitReason {
    match text {
        "normal" => ExitReason::Normal,
        "shutdown" => ExitReason::Shutdown,
        "sx" => ExitReason::shutdown_with("x"),
        text => ExitReason::crashed(text),
    }
}

/// How a puppet starts.
#[derive(Clone)]
pub(crate) struct Role {
    pub(crate) puppets: Puppets,
    pub(crate) name: String,
    pub(crate) traps: bool,
    pub(crate) is_child: bool,
}

pub(crate) struct Puppet {
    role: Role,
    monitors: Vec<(String, MonitorRef)>,
}

/// A command, and the reply with its result.
pub(crate) struct Do(pub(crate) Vec<String>, pub(crate) Reply<String>);

impl GenServer for Puppet {
    type Args = Role;
    type Call = Do;
    type Cast = ();

    async fn init(role: Role, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(role.traps);
        let (puppets, name) = (&role.puppets, &role.name);
        puppets.know(name, ctx.pid());
        if role.is_child {
            let starts = {
                let mut stage = puppets.stage.lock().unwrap();
                let starts = stage.starts.entry(name.clone()).or_default();
                *starts += 1;
                *starts
            };
            puppets.changed(format!("{name} started {starts}"));
        }
        Ok(Puppet { role, monitors: Vec::new() })
    }

    async fn handle_call(&mut self, call: Do, ctx: &mut ServerContext<Self>) -> Result {
        let Do(words, reply) = call;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let ["end", why] = words[..] {
            return Err(reason(why));
        }
        reply.send(self.obey(&words, ctx).to_owned());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        let puppets = &self.role.puppets;
        let what = match info {
            Received::Down { reference, pid, reason } => {
                let known = self.monitors.iter().find(|(_, monitor)| *monitor == reference);
                let other = known.map_or_else(|| puppets.name(pid), |(name, _)| name.clone());
                format!("down {other} {}", shown(&reason))
            }
            Received::DownName { name, reason, .. } => format!("down {name} {}", shown(&reason)),
            Received::Exit { from, reason } => {
                format!("exit {} {}", puppets.name(from), shown(&reason))
            }
            Received::Message(text) => format!("message {}", String::from_utf8(text).unwrap()),
            other => panic!("no script sends {other:?}"),
        };
        puppets.changed(format!("{} got {what}", self.role.name));
        Ok(())
    }
}

impl Puppet {
    #[expect(clippy::too_many_lines, reason = "an arm for each command")]
    fn obey(&mut self, words: &[&str], ctx: &mut ServerContext<Self>) -> &'static str {
        let (puppets, own) = (&self.role.puppets, ctx.pid());
        let rt = &puppets.rt;
        let done = |done| if done { "ok" } else { "refused" };
        match *words {
            ["link", other] => {
                let traps = rt.info(own).is_some_and(|info| info.trap_exit);
                if !traps && !puppets.is_alive(other) {
                    return "skipped";
                }
                rt.link(own, puppets.pid(other));
            }
            ["unlink", other] => rt.unlink(own, puppets.pid(other)),
            ["monitor", other] => {
                self.monitors.push((other.to_owned(), ctx.monitor(puppets.pid(other))));
            }
            ["monitor_name", name] => {
                self.monitors.push((name.to_owned(), rt.monitor_name(own, name)));
            }
            ["demonitor", other] => {
                let Some(at) = self.monitors.iter().position(|(name, _)| name == other) else {
                    return "none";
                };
                rt.demonitor_flush(self.monitors.remove(at).1);
            }
            ["exit", other, "kill"] => drop(rt.kill(puppets.pid(other))),
            ["exit", other, why] => drop(rt.exit(puppets.pid(other), reason(why))),
            ["send", other, text] => {
                let text = format!("{} {text}", self.role.name);
                rt.send(puppets.pid(other), text.into_bytes());
            }
            ["trap", flag] => drop(ctx.trap_exit(flag == "on")),
            ["register", name] => {
                if rt.info(own).is_some_and(|info| !info.names.is_empty()) {
                    return "skipped";
                }
                return done(rt.register(name, own));
            }
            ["join", group] => {
                if rt.whereis_tag(group).contains(&own) {
                    return "skipped";
                }
                rt.register_tag(group, own);
            }
            ["leave", group] => return done(rt.unregister_tag(group, own)),
            _ => panic!("no command: {words:?}"),
        }
        "ok"
    }
}
