//! A setting of TCP for a listener on a Unix socket.
use regrow::ChildSpec;

fn main() {
    let listener = ChildSpec::unix_listener("a", "/run/a", |_, _| std::future::pending());
    let _listener = listener.nodelay(true);
}
