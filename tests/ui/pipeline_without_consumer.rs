//! A pipeline without a consumer, as a child.
use futures_util::stream;
use regrow::{Pipeline, Supervisor};

fn main() {
    let numbers = Pipeline::from_stream("numbers", || stream::iter(0..10));
    let halves = numbers.map("halve", |n| async move { Ok(n / 2) });
    let _ = Supervisor::one_for_one().child(halves);
}
