//! The systems that run in this program, a file for each. A row that a file has no arm for is a
//! notion that the system does not have.

mod kameo;
mod ractor;
mod raw;
mod regrow;
mod tokio_actors;

/// The figures of a row, or nothing.
pub(crate) async fn measure(system: &str, row: &str, size: usize) -> Option<Vec<f64>> {
    match system {
        "raw" => raw::measure(row, size).await,
        "regrow" => regrow::measure(row, size).await,
        "ractor" => ractor::measure(row, size).await,
        "kameo" => kameo::measure(row, size).await,
        "tokio-actors" => tokio_actors::measure(row, size).await,
        _ => None,
    }
}
