//! The redelivery of items that can't be copied.
use futures_util::stream;
use regrow::Pipeline;

struct Job;

fn main() {
    let jobs = Pipeline::from_stream("jobs", || stream::iter([Job]));
    let _ = jobs.at_least_once().for_each("work", |_| async { Ok(()) });
}
