//! Why topics can't be shared.

/// Why a [`TopicRelay`](crate::cluster::TopicRelay) does not start: the reason of the failed start.
/// Variants may be added later.
///
/// ```
/// use regrow::cluster::TopicsError;
/// use regrow::{ExitReason, PubSub, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let news = PubSub::<String, String>::new(&rt);
/// // There is no node.
/// let tree = Supervisor::one_for_one().child(news.across_nodes("news"));
/// let error = tree.start(&rt).await.unwrap_err();
/// let text = format!("{:#}", ExitReason::from(error));
/// assert!(text.contains(&TopicsError::NoNode.to_string()), "{text}");
/// # }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicsError {
    /// No [`Node`](crate::cluster::Node) has run in this runtime.
    #[error("no node runs in this runtime: start a `Node` before the relay of topics")]
    NoNode,
    /// The node does not share its groups, so relays don't find each other.
    #[error("the node shares no groups, by which relays find each other: set `Node::groups`")]
    NoGroups,
    /// The name is empty, or has more than 200 bytes.
    #[error("{0:?} is no name of topics: it has to have 1 to 200 bytes")]
    InvalidName(String),
    /// The topics have another relay that runs. Topics have one name in the cluster.
    #[error("these topics have a relay already: share them under one name")]
    AlreadyShared,
    /// The topics were made for another runtime than that of the supervisor.
    #[error("these topics are of another runtime: make them with the runtime of the relay")]
    OtherRuntime,
}
