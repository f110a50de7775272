//! Whether a tree can be ready without a child.

/// Whether the readiness of a child counts for the readiness of its tree, as
/// [`TreeSnapshot::health`](crate::TreeSnapshot::health) and `/readyz` compute it.
///
/// ```
/// use regrow::{ChildSpec, Health, Readiness, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let cache = ChildSpec::task("cache", |ctx| async move {
///     ctx.set_health(Health::Starting);
///     std::future::pending().await // … warming up …
/// });
/// for (readiness, ready) in [(Readiness::Required, false), (Readiness::Ignored, true)] {
///     let tree = Supervisor::one_for_one().child(cache.clone().readiness(readiness));
///     let tree = tree.start(&rt).await?;
///     tokio::time::sleep(std::time::Duration::from_millis(1)).await;
///     assert_eq!(tree.tree().await?.health().is_serving(), ready);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Readiness {
    /// The tree is ready only while the child is.
    #[default]
    Required,
    /// The tree may be ready whatever the state of the child and of the processes below it.
    Ignored,
}
