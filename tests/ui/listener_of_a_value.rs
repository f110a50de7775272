//! A value that can't be cloned, in the function that each connection clones.
use regrow::ChildSpec;

struct Jobs(Vec<u8>);

fn main() {
    let mut jobs = Jobs(vec![1]);
    let serve = |_, _, _| async move {
        jobs.0.pop();
        Ok(())
    };
    let _listener = ChildSpec::tcp_listener("a", "127.0.0.1:0", serve);
}
