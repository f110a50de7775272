//! The devices: a server for each of them, and the connections that their readings come through.

use std::time::Duration;

use regrow::{
    CallError, ChildSpec, DynamicSupervisorRef, ExitReason, GenServer, KeyedServers, ListenerSpec,
    Reply, Result, Runtime, ServerContext, TaskContext,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::store::{Call, Row, STORE};
use crate::{LIMIT, Settings};

// ANCHOR: device
/// A device that sends readings: the number of the last one that is on disk.
pub(crate) struct Device {
    stored: Option<i64>,
}

pub(crate) struct Reading(Row, Reply<Result<(), CallError>>);

impl GenServer for Device {
    type Args = Duration;
    type Call = Reading;
    type Cast = ();

    async fn init(idle: Duration, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.idle_after(idle);
        Ok(Device { stored: None })
    }

    async fn handle_call(&mut self, reading: Reading, ctx: &mut ServerContext<Self>) -> Result {
        let Reading(row, reply) = reading;
        assert!(!row.value.is_infinite(), "a value that was never expected");
        let mut stored = Ok(());
        if self.stored != Some(row.seq) {
            let write = |reply| Call::Write(row.clone(), reply);
            stored = ctx.runtime().server(STORE).call_waiting(write, LIMIT).await;
        }
        self.stored = stored.is_ok().then_some(row.seq);
        reply.send(stored);
        Ok(())
    }

    async fn handle_timeout(&mut self, ctx: &mut ServerContext<Self>) -> Result {
        ctx.stop(ExitReason::Normal)
    }
}
// ANCHOR_END: device

// ANCHOR: listener
type Devices = KeyedServers<String, Device>;

pub(crate) fn listener(rt: &Runtime, config: Settings) -> ListenerSpec<TcpStream> {
    let devices = Devices::new(&DynamicSupervisorRef::named(rt, "devices"));
    let address = config.borrow().listen;
    let serve = move |ctx, stream, _| serve(ctx, stream, devices, config);
    let listener = ChildSpec::tcp_listener("listener", address, serve);
    listener.max_connections(10_000).drain(LIMIT).nodelay(true)
}

/// Answers one line after the other, until the client leaves or the listener is stopped.
async fn serve(
    mut ctx: TaskContext,
    stream: TcpStream,
    devices: Devices,
    config: Settings,
) -> Result {
    let mut lines = BufReader::new(stream).lines();
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line,
            () = ctx.shutdown() => return Ok(()), // no reading is in progress
        };
        let Ok(Some(line)) = line else { return Ok(()) }; // the client is gone
        let answer = match store(&line, &devices, &config).await {
            Ok(seq) => format!("ok {seq}\n"),
            Err(error) => format!("no: {error}\n"),
        };
        lines.get_mut().write_all(answer.as_bytes()).await.ok();
    }
}

/// Passes a line `DEVICE NUMBER VALUE` to its device, and returns when the reading is on disk.
async fn store(line: &str, devices: &Devices, config: &Settings) -> Result<i64> {
    let [device, seq, value] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err("expected: DEVICE NUMBER VALUE".into());
    };
    let row = Row { device: device.into(), seq: seq.parse()?, value: value.parse()? };
    let spec = || Device::spec(Duration::from_millis(config.borrow().idle_ms)).label(&row.device);
    devices.call_or_start(&row.device, spec, |reply| Reading(row.clone(), reply), LIMIT).await??;
    Ok(row.seq)
}
// ANCHOR_END: listener
