//! A value that can't be cloned, in the function that each connection clones.

use regrow::ChildSpec;
use tokio::sync::mpsc::Receiver;

fn serve(mut jobs: Receiver<u8>) {
    let _ = ChildSpec::tcp_listener("a", "127.0.0.1:0", |_, _, _| async move {
        jobs.recv().await;
        Ok(())
    });
}

fn main() {
    let (_, jobs) = tokio::sync::mpsc::channel(1);
    serve(jobs);
}
