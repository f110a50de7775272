//! Pictures of a dynamic supervisor with so many children that it is read in parts.

use super::observation_races::{idle, quiet, read_all_until, restarted, tree};
use super::viewer::{Viewer, nodes};
use crate::support;

use std::pin::pin;

use futures_util::FutureExt;
use regrow::{
    DynamicSupervisor, DynamicSupervisorRef, Observed, PictureState, Runtime, Supervisor,
};
use support::rng::Rng;

/// Starts so many rooms that the dynamic supervisor is read in parts.
async fn many_rooms(rt: &Runtime) -> DynamicSupervisorRef {
    let rooms = DynamicSupervisorRef::named(rt, "rooms");
    for at in 0..2_500 {
        rooms.start_child(idle(&format!("room {at}"))).await.unwrap();
    }
    rooms
}

/// The supervisor answers with the pids of its children, then they change, and then they are read.
#[tokio::test(start_paused = true)]
async fn changes_between_the_parts_of_a_picture_are_in_it_or_follow_it() {
    let rt = Runtime::new();
    let app = tree(&rt).await;
    let rooms = many_rooms(&rt).await;
    let mut observation = app.observe().unwrap().list_children(usize::MAX);
    let mut viewer = Viewer::default();
    let picture = {
        let mut first = pin!(observation.next());
        assert!(first.as_mut().now_or_never().is_none(), "it waits for the dynamic supervisor");
        restarted(&rt, "room 1").await;
        rooms.terminate_child(rt.whereis("room 2").unwrap()).await.unwrap();
        rooms.start_child(idle("new")).await.unwrap();
        let short = rooms.start_child(idle("short")).await.unwrap();
        rooms.terminate_child(short).await.unwrap();
        first.await.unwrap()
    };
    viewer.apply(&picture);
    let Observed::Picture(picture) = picture else { panic!("{picture}") };
    let shown = |path: &str| picture.find(path).map(|node| node.state);
    let ended = ["app/rooms/room 2", "app/rooms/short"].map(shown);
    assert_eq!(ended, [Some(PictureState::Ended), None]);
    assert_eq!(["app/rooms/room 1", "app/rooms/new"].map(shown), [None, None]);
    let of_rooms = picture.find("app/rooms").unwrap().supervision.as_ref().unwrap();
    assert_eq!((of_rooms.folded.unwrap().children, of_rooms.last_known), (2_498, false));
    while let Some(Some(observed)) = observation.next().now_or_never() {
        viewer.apply(&observed);
    }
    assert_eq!(viewer.nodes, nodes(&observation.picture().await), "{:?}", viewer.seen);
    assert_eq!(viewer.nodes.len(), 2_506);
    app.stop().await.unwrap();
}

/// As above, at any moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observers_of_a_storm_of_very_many_children_agree_with_a_fresh_picture() {
    for seed in 1..=3 {
        let rt = Runtime::new();
        let rooms = DynamicSupervisor::new().named("rooms").unlimited_restarts();
        let app = Supervisor::one_for_one().named("app").child(rooms).start(&rt).await.unwrap();
        let rooms = many_rooms(&rt).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let observation = app.observe().unwrap().list_children(usize::MAX);
                tokio::spawn(read_all_until(observation, stopped.clone()))
            })
            .collect();
        let mut rng = Rng::new(seed);
        for round in 0..300 {
            let pid = rt.whereis(&format!("room {}", rng.below(2_500 + round)));
            match (pid, rng.below(3)) {
                (Some(pid), 0) => drop(rt.kill(pid)),
                (Some(pid), 1) => drop(rooms.terminate_child(pid).await),
                _ => drop(rooms.start_child(idle(&format!("room {}", 2_500 + round))).await),
            }
        }
        quiet(&rt).await;
        stop.send(true).unwrap();
        let fresh = app.observe().unwrap().list_children(usize::MAX).picture().await;
        for reader in readers {
            assert!(reader.await.unwrap().nodes == nodes(&fresh), "seed {seed}");
        }
        app.stop().await.unwrap();
    }
}
