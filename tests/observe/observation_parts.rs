//! Pictures of a dynamic supervisor with so many children that they are read in parts of 1,024. What
//! changes between the parts is in the picture or follows it: the [`Viewer`] panics if a change is lost or
//! delivered twice.

use super::observation_races::idle;
use super::viewer::{Viewer, nodes};
use crate::support;

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    Backoff, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Exhausted, Observation, Observed,
    Picture, PictureState, Runtime, Supervisor, SupervisorRef,
};
use support::rng::Rng;
use support::settled;

/// The number of children that are in no test themselves. Together with the others there are four parts.
const ROOMS: usize = 3_100;

/// A picture is polled for the pids of the children, for two parts, for two more, and to make its nodes.
const POLLS: usize = 4;

/// The backoff of a child that waits for its restart.
const WAIT: Duration = Duration::from_secs(1);

/// What happens while the picture is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Start,
    StartAndEnd,
    Restart,
    RestartTwice,
    Terminate,
    /// Another child takes the name of a child that ends.
    Replace,
    /// A child begins to wait for its restart.
    Wait,
    /// It is restarted after it has waited.
    WaitIsOver,
    /// It is terminated while it waits.
    EndOfWait,
    GiveUp,
    /// A child of a supervisor below the dynamic supervisor is restarted.
    RestartBelow,
    /// The same, and then its supervisor.
    RestartBoth,
}

const EVENTS: [Event; 12] = [
    Event::Start,
    Event::StartAndEnd,
    Event::Restart,
    Event::RestartTwice,
    Event::Terminate,
    Event::Replace,
    Event::Wait,
    Event::WaitIsOver,
    Event::EndOfWait,
    Event::GiveUp,
    Event::RestartBelow,
    Event::RestartBoth,
];

impl Event {
    /// Returns the specification of the child to which this happens.
    fn spec(self, id: &str) -> ChildSpec {
        match self {
            Event::Wait | Event::WaitIsOver | Event::EndOfWait => {
                idle(id).backoff(Backoff::new().first(WAIT).factor(1.0).jitter(0.0))
            }
            Event::GiveUp => idle(id).restart_budget(0, WAIT, Exhausted::GiveUp),
            Event::RestartBelow | Event::RestartBoth => {
                let spec = Supervisor::one_for_one().named(id).unlimited_restarts();
                spec.child(idle(&below(id))).into()
            }
            _ => idle(id),
        }
    }

    /// Prepares the child for what happens.
    async fn before(self, many: &Many, id: &str) {
        if let Event::WaitIsOver | Event::EndOfWait = self {
            many.kill_child(id).await;
            tokio::time::sleep(WAIT - Duration::from_millis(20)).await;
        }
    }

    async fn happen(self, many: &Many, id: &str) {
        let other = format!("other than {id}");
        match self {
            Event::Start => many.start_child(&other).await,
            Event::StartAndEnd => {
                many.start_child(&other).await;
                many.terminate(&other).await;
            }
            Event::Restart | Event::Wait | Event::GiveUp => many.kill_child(id).await,
            Event::RestartTwice => {
                many.kill_child(id).await;
                many.kill_child(id).await;
            }
            Event::Terminate => many.terminate(id).await,
            Event::Replace => {
                many.terminate(id).await;
                many.start_child(id).await;
            }
            Event::WaitIsOver => {
                tokio::time::sleep(Duration::from_millis(25)).await;
                assert!(many.rt.whereis(id).is_some());
            }
            Event::EndOfWait => {
                let children = many.rooms.which_children().await.unwrap();
                let child = children.iter().find(|child| child.id == id).unwrap();
                let last = child.history.last().unwrap().pid.unwrap();
                many.rooms.terminate_child(last).await.unwrap();
            }
            Event::RestartBelow => many.kill_child(&below(id)).await,
            Event::RestartBoth => {
                many.kill_child(&below(id)).await;
                many.kill_child(id).await;
                assert!(many.rt.whereis(&below(id)).is_some());
            }
        }
    }
}

fn below(id: &str) -> String {
    format!("below {id}")
}

/// A tree with a dynamic supervisor that is read in parts.
struct Many {
    rt: Runtime,
    app: SupervisorRef,
    rooms: DynamicSupervisorRef,
}

impl Many {
    async fn start() -> Self {
        let rt = Runtime::new();
        let spec = DynamicSupervisor::new().named("rooms").unlimited_restarts();
        let app = Supervisor::one_for_one().named("app").child(spec).start(&rt).await.unwrap();
        let rooms = DynamicSupervisorRef::named(&rt, "rooms");
        Many { rt, app, rooms }
    }

    fn observe(&self) -> Observation {
        self.app.observe().unwrap().list_children(usize::MAX)
    }

    async fn start_child(&self, id: &str) {
        self.rooms.start_child(idle(id)).await.unwrap();
    }

    async fn kill_child(&self, name: &str) {
        assert!(self.rt.kill(self.rt.whereis(name).unwrap()));
        settled().await;
    }

    async fn terminate(&self, name: &str) {
        self.rooms.terminate_child(self.rt.whereis(name).unwrap()).await.unwrap();
    }

    /// Takes a picture, and lets something happen after it was polled a few times.
    async fn picture_with(&self, polls: usize, happens: impl Future<Output = ()>) {
        let mut observation = self.observe();
        let mut viewer = Viewer::default();
        let picture = {
            let mut first = pin!(observation.next());
            for _ in 0..polls {
                assert!(first.as_mut().now_or_never().is_none(), "the picture is not complete");
                settled().await;
            }
            happens.await;
            first.await.unwrap()
        };
        viewer.apply(&picture);
        assert!(viewer.is_certain(), "the supervisor has answered in time");
        while let Some(Some(observed)) = observation.next().now_or_never() {
            viewer.apply(&observed);
        }
        assert!(viewer.nodes == nodes(&observation.picture().await), "{:?}", viewer.seen);
    }
}

/// Each event happens to a child of the first part and to one of the last part, at each moment between
/// two polls of the picture.
#[tokio::test(start_paused = true)]
async fn changes_between_the_parts_of_a_picture_are_in_it_or_follow_it() {
    let many = Many::start().await;
    let id = |event: Event, polls: usize, place: &str| format!("{place} {event:?} {polls}");
    for place in ["first", "last"] {
        for event in EVENTS {
            for polls in 0..=POLLS {
                let id = id(event, polls, place);
                many.rooms.start_child(event.spec(&id)).await.unwrap();
            }
        }
        if place == "first" {
            for at in 0..ROOMS {
                many.start_child(&format!("room {at}")).await;
            }
        }
    }
    for polls in 0..=POLLS {
        for event in EVENTS {
            for place in ["first", "last"] {
                let id = id(event, polls, place);
                event.before(&many, &id).await;
                println!("{id}"); // shown if it fails
                many.picture_with(polls, event.happen(&many, &id)).await;
            }
        }
    }
    many.app.stop().await.unwrap();
}

/// The picture shows why the child has ended, since its end does not follow.
#[tokio::test(start_paused = true)]
async fn a_child_that_ends_before_its_part_is_read_is_among_the_ended_ones() {
    let many = Many::start().await;
    for at in 0..ROOMS {
        many.start_child(&format!("room {at}")).await;
    }
    let mut observation = many.observe();
    let picture = {
        let mut first = pin!(observation.next());
        assert!(first.as_mut().now_or_never().is_none());
        settled().await;
        many.terminate("room 7").await;
        many.start_child("short").await;
        many.terminate("short").await;
        first.await
    };
    let Some(Observed::Picture(picture)) = picture else { panic!("a picture is first") };
    let state = |path: &str| picture.find(path).map(|node| node.state);
    assert_eq!(state("app/rooms/room 7"), Some(PictureState::Ended));
    assert_eq!(state("app/rooms/short"), None);
    assert_eq!(folded(&picture).children, ROOMS - 1);
    let mut kinds = Vec::new();
    while let Some(Some(Observed::Change(change))) = observation.next().now_or_never() {
        kinds.push(format!("{} {}", change.path, change.kind.name()));
    }
    let of_short = ["started", "stopping", "ended"].map(|kind| format!("app/rooms/short {kind}"));
    assert_eq!(kinds, of_short);
}

fn folded(picture: &Picture) -> regrow::FoldedCounts {
    picture.find("app/rooms").unwrap().supervision.as_ref().unwrap().folded.unwrap()
}

/// The worst children are those of all parts.
#[tokio::test(start_paused = true)]
async fn the_worst_children_of_all_parts_are_listed_first() {
    let many = Many::start().await;
    for at in 0..ROOMS {
        many.start_child(&format!("room {at}")).await;
    }
    for (room, queued) in [(3_000, 2), (5, 1), (1_500, 3), (2_100, 2)] {
        let room = many.rt.whereis(&format!("room {room}")).unwrap();
        assert!((0..queued).all(|_| many.rt.send(room, Vec::new())));
    }
    for listed in [0, 1, 6, 2_000, usize::MAX] {
        let picture = many.app.observe().unwrap().list_children(listed).picture().await;
        assert_eq!((folded(&picture).children, folded(&picture).running), (ROOMS, ROOMS));
        let ids: Vec<&str> = picture.nodes[2..].iter().map(|node| node.id.as_str()).collect();
        assert_eq!(ids.len(), listed.min(ROOMS));
        let first = ["room 1500", "room 2100", "room 3000", "room 5", "room 0", "room 1"];
        assert_eq!(ids[..ids.len().min(6)], first[..ids.len().min(6)]);
    }
    let mut only = many.app.observe().unwrap().list_children(0).below("app/rooms/room 2999");
    let only = only.picture().await;
    assert_eq!(only.nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>(), ["room 2999"]);
}

/// Reads until the children have changed for the last time, and takes another picture now and then.
async fn read_to_the_last(mut observation: Observation, mut rng: Rng) -> Viewer {
    let mut viewer = Viewer::default();
    let is_last = |viewer: &Viewer| viewer.nodes.contains_key("app/rooms/last");
    while !is_last(&viewer) || !viewer.is_certain() {
        match rng.percent(2) {
            true => viewer.apply(&Observed::Picture(observation.picture().await)),
            false => viewer.apply(&observation.next().await.expect("the tree lives")),
        }
    }
    viewer
}

/// As above, at any moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observers_of_a_storm_of_very_many_children_agree_with_a_fresh_picture() {
    let rounds = std::env::var("REGROW_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    for seed in 1..=rounds.unwrap_or(2) {
        storm(seed).await;
    }
}

async fn storm(seed: u64) {
    let (rooms, mut rng) = (2_500, Rng::new(seed));
    let many = Many::start().await;
    for at in 0..rooms {
        many.start_child(&format!("room {at}")).await;
    }
    let reader = |at| tokio::spawn(read_to_the_last(many.observe(), Rng::new(seed * 100 + at)));
    let readers: Vec<_> = (0..3).map(reader).collect();
    let mut killed = Vec::new();
    for round in 0..500 {
        let pid = many.rt.whereis(&format!("room {}", rng.below(rooms + round)));
        match (pid, rng.below(3)) {
            (Some(pid), 0) => {
                // It knows the process, also when the process is no longer in the table.
                let ended = many.rt.ended(pid);
                killed.extend(many.rt.kill(pid).then_some(ended));
            }
            (Some(pid), 1) => drop(many.rooms.terminate_child(pid).await),
            _ => many.start_child(&format!("room {}", rooms + round)).await,
        }
    }
    for ended in killed {
        ended.await;
    }
    // The exits were queued before this request.
    many.start_child("last").await;
    let mut fresh = Viewer::default();
    while fresh.nodes.is_empty() || !fresh.is_certain() {
        fresh.apply(&Observed::Picture(many.observe().picture().await));
    }
    for reader in readers {
        let viewer = reader.await.unwrap();
        let differs = |(path, node): &(&String, &_)| fresh.nodes.get(*path) != Some(*node);
        let wrong: Vec<_> = viewer.nodes.iter().filter(differs).collect();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:?}");
        assert_eq!(viewer.nodes.len(), fresh.nodes.len(), "seed {seed}");
    }
    many.app.stop().await.unwrap();
}
