//! The self-test: clients over TCP sockets, and assertions on every line that they receive.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use regrow::{
    ExitReason, Keep, Leftovers, Run, RunError, Runtime, StopReport, SupervisorRef, TreeNode,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::{Settings, tree};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// The self-test takes some seconds. After this limit it fails.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn run() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {})); // the crashes are on purpose; their effects are printed below
    match timeout(LIMIT, chat()).await {
        Ok(Ok(())) => {
            println!("All assertions held.");
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => {
            eprintln!("An assertion failed: {error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("The self-test hangs.");
            ExitCode::FAILURE
        }
    }
}

async fn chat() -> Outcome {
    let House { rt, address, stop, program } = House::open(Duration::from_secs(300)).await?;
    let mut people = talk(address).await?;
    crashes(address, &mut people).await?;
    another_room(&mut people).await?;
    println!("\n-- the tree");
    show(&SupervisorRef::named(&rt, "chat").tree().await?.root, 0);
    too_slow(address, people).await?;
    silent().await?;

    stop.cancel();
    let report: StopReport = program.await??;
    println!("\nstopped {}", if report.is_clean() { "in order" } else { "badly" });
    let order = |path: &str| report.children.iter().position(|child| child.path == path);
    let sequence = ["chat/listener/acceptor", "chat/listener/connections", "chat/rooms"].map(order);
    if !report.is_clean() || !sequence.is_sorted() || sequence[0].is_none() {
        return Err(format!("{report}").into());
    }
    match rt.leftovers() == Leftovers::default() {
        true => Ok(()),
        false => Err("the runtime has leftovers".into()),
    }
}

/// A running chat.
struct House {
    rt: Runtime,
    address: SocketAddr,
    stop: CancellationToken,
    program: JoinHandle<Result<StopReport, RunError>>,
}

impl House {
    async fn open(patience: Duration) -> Outcome<Self> {
        let (rt, stop) = (Runtime::new(), CancellationToken::new());
        let port = Keep::new(|| TcpListener::bind("127.0.0.1:0"));
        let address = port.lend().await.map_err(ExitReason::into_error)?.local_addr()?;
        let tree = tree(port.into(), Settings { patience, empty: Duration::from_secs(60) });
        let program = Run::new(tree).on(&rt).without_signals().stop_on(stop.clone());
        let program = tokio::spawn(program.run());
        Ok(House { rt, address, stop, program })
    }
}

/// Three users join and talk.
async fn talk(address: SocketAddr) -> Outcome<[Client; 3]> {
    let mut ann = Client::enter("ann", address).await?;
    let mut bob = Client::enter("bob", address).await?;
    ann.hears("* bob is here").await?;
    let mut bobby = Client::knock("bobby", address).await?;
    bobby.says("bob").await?;
    bobby.hears("That name is taken. Who are you?").await?;
    bobby.says("cat").await?;
    bobby.hears_something().await?;
    let mut cat = bobby.now_called("cat");
    ann.hears("* cat is here").await?;
    bob.hears("* cat is here").await?;
    ann.says("good morning").await?;
    bob.hears("ann: good morning").await?;
    cat.hears("ann: good morning").await?;
    Ok([ann, bob, cat])
}

async fn crashes(address: SocketAddr, people: &mut [Client; 3]) -> Outcome {
    let [ann, bob, cat] = people;
    println!("\n-- bob's connection crashes, and no other");
    bob.says("/crash").await?;
    bob.is_cut_off().await?;
    ann.hears("* bob was cut off").await?;
    cat.hears("* bob was cut off").await?;
    *bob = Client::enter("bob", address).await?;
    ann.hears("* bob is here").await?;
    cat.hears("* bob is here").await?;

    println!("\n-- the room crashes, and all members join it again");
    ann.says("/topple").await?;
    for person in [&mut *ann, bob, cat] {
        person.hears_at_last("* the room crashed and was restarted").await?;
    }
    bob.says("what was that?").await?;
    ann.hears_at_last("bob: what was that?").await?;
    cat.hears_at_last("bob: what was that?").await
}

async fn another_room(people: &mut [Client; 3]) -> Outcome {
    let [ann, bob, _] = people;
    println!("\n-- a room of their own");
    ann.says("/join tea").await?;
    ann.hears("* this is tea").await?;
    bob.hears_at_last("* ann went to another room").await?;
    bob.says("/join tea").await?;
    bob.hears("* this is tea").await?;
    ann.hears("* bob is here").await?;
    ann.says("/who").await?;
    ann.hears("* here: ann, bob").await
}

/// One user reads nothing and is disconnected, and one leaves.
async fn too_slow(address: SocketAddr, people: [Client; 3]) -> Outcome {
    let [mut ann, mut bob, _cat] = people;
    println!("\n-- dan reads nothing, and is disconnected");
    let mut dan = Client::enter("dan", address).await?;
    dan.says("/join tea").await?;
    ann.hears("* dan is here").await?;
    bob.hears("* dan is here").await?;
    let long = "x".repeat(60_000);
    let (expected, gone) = (format!("ann: {long}"), "* dan could not keep up");
    loop {
        ann.sends(&long).await?;
        match bob.line().await? {
            line if line == expected => {}
            line if line == gone => break println!("bob   hears     {gone}"),
            line => return Err(format!("bob hears {line:?}").into()),
        }
    }
    ann.hears(gone).await?;

    println!("\n-- ann leaves");
    ann.says("/quit").await?;
    bob.hears_at_last("* ann left").await
}

/// A user is disconnected after two seconds of silence.
async fn silent() -> Outcome {
    println!("\n-- cat is silent and is disconnected, although ann talks");
    let House { address, stop, program, .. } = House::open(Duration::from_secs(2)).await?;
    let mut ann = Client::enter("ann", address).await?;
    let mut cat = Client::enter("cat", address).await?;
    let talk = async {
        loop {
            let _ = ann.sends("still there?").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let silent = async {
        cat.hears("ann: still there?").await?;
        cat.hears_at_last("You have been silent for too long.").await?;
        cat.is_cut_off().await
    };
    tokio::select! { ended = silent => ended?, () = talk => {} }
    stop.cancel();
    let report = program.await??;
    if report.is_clean() { Ok(()) } else { Err(format!("{report}").into()) }
}

fn show(node: &TreeNode, depth: usize) {
    println!("{}{}", "   ".repeat(depth), node.id);
    node.children.iter().for_each(|child| show(child, depth + 1));
}
