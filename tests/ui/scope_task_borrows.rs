//! A task of a scope that borrows from the function around it.
use regrow::{Runtime, ScopeError};

async fn count(rt: &Runtime, lines: Vec<String>) -> Result<usize, ScopeError> {
    regrow::scope(rt, async |scope| {
        let count = scope.spawn(|_| async { Ok(lines.len()) });
        Ok(count.await?)
    })
    .await
}

fn main() {}
