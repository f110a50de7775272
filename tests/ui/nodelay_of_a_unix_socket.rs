//! A setting of TCP for a listener on a Unix socket.

use regrow::{ChildSpec, ListenerSpec};
use tokio::net::UnixStream;

fn main() {
    let _: ListenerSpec<UnixStream> =
        ChildSpec::unix_listener("a", "/run/a", |_, _| std::future::pending()).nodelay(true);
}
