//! A value that can't be cloned, in the function that each connection clones.
use regrow::ChildSpec;

struct Job;
struct Jobs(Vec<Job>);

fn main() {
    let mut jobs = Jobs(vec![Job]);
    let serve = |_, _, _| async move {
        jobs.0.pop();
        Ok(())
    };
    let _listener = ChildSpec::tcp_listener("a", "127.0.0.1:0", serve);
}
