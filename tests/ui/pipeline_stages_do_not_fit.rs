//! A stage of a pipeline takes items of another type than the stage before passes on.

use regrow::Pipeline;

fn main() {
    let _lines = Pipeline::from_demand("lines", |_| async { Ok(vec!["1", "2"]) })
        .map("parse", |line: &str| async move { Ok(line.len()) })
        .for_each("store", |line: String| async move { Ok(println!("{line}")) });
}
