//! Nodes on a network without sockets, under tokio's paused clock.
