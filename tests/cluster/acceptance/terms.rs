//! 1. Terms that cross a connection and come back. 2. Which releases of OTP connect.

use regrow::cluster::{EncodedTerm, ExternalPid, Term, from_term};
use regrow::{NodeChange, Received, Runtime};

use crate::beam::{Beam, COOKIE, Epmd};
use crate::pairs::subscribe;

/// Terms of Erlang, each of which crosses the connection twice, decoded and encoded in between.
const TERMS: &str = "X = [a, 1.5], [
    [-1], [255], lists:seq(0, 255), lists:duplicate(65535, 7), lists:duplicate(65536, 7),
    lists:duplicate(70000, 255), [-1 | lists:seq(0, 255)], 1 bsl 31, -(1 bsl 31), 1 bsl 63,
    -(1 bsl 63), 1 bsl 64, 1 bsl 70, -(1 bsl 3000), -0.0, 0.1, 1.7976931348623157e308, 5.0e-324,
    self(), make_ref(), hd(erlang:ports()), erlang:alias(), fun lists:map/2, fun() -> X end,
    fun(Y) -> [Y | X] end, #{}, #{1 => 1, 1.0 => 2}, maps:from_list([{N, N} || N <- lists:seq(1, 100)]),
    <<1:1>>, <<1, 2, 5:3>>, <<>>, binary:copy(<<\"x\">>, 3000000), 'ok', '', list_to_atom([16#8A9E]),
    [1 | 2], [a, b | <<>>], {}, [], list_to_tuple(lists:seq(1, 256)),
    lists:foldl(fun(_, T) -> [T] end, [], lists:seq(1, 10000)), lists:duplicate(10000, {a, [b]})]";

/// Starts a process that sends the second element of a pair to its first one.
fn echo(rt: &Runtime) {
    let echo = rt.spawn(|mut ctx| async move {
        while let Received::Term(pair) = ctx.recv().await {
            let pair = pair.term().unwrap();
            let [to, term] = pair.as_tuple().unwrap() else { panic!("{pair}") };
            let to: ExternalPid = from_term(to).unwrap();
            let to = ctx.runtime().pid_of(&to).unwrap();
            let term: &Term = term;
            assert!(ctx.runtime().send_term(to, EncodedTerm::new(term).unwrap()));
        }
    });
    assert!(rt.register("echo", echo.pid()));
}

#[tokio::test]
async fn a01_terms_that_a_node_sends_back_are_the_same_to_erlang() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, _tree) = epmd.node("rust@127.0.0.1").await;
    echo(&rt);
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    let differ = format!(
        "Terms = begin {TERMS} end, true = length(Terms) > 40, \
         [T || T <- Terms, begin {{echo, 'rust@127.0.0.1'}} ! {{self(), T}}, \
          receive B -> B =/= T after 20000 -> true end end]"
    );
    assert_eq!(beam.eval(&differ).await, "[]");
}

#[tokio::test]
async fn a02_each_supported_release_of_otp_connects_in_both_directions() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, _tree) = epmd.node("rust@127.0.0.1").await;
    let (_, mut changes) = subscribe(&rt);
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    let release = beam.eval("list_to_integer(erlang:system_info(otp_release))").await;
    println!("OTP {release}");
    assert!(release.parse::<u32>().unwrap() >= 25, "{release}");
    let change = |change| Some(("beam@127.0.0.1".to_owned(), change));
    assert_eq!(beam.eval("net_kernel:connect_node('rust@127.0.0.1')").await, "true");
    assert_eq!(changes.recv().await, change(NodeChange::Up));
    assert!(rt.node("beam@127.0.0.1").disconnect().await);
    assert_eq!(changes.recv().await, change(NodeChange::Down));
    beam.until("nodes(hidden)", "[]").await;
    rt.node("beam@127.0.0.1").connect().await.unwrap();
    assert_eq!(changes.recv().await, change(NodeChange::Up));
    beam.until("nodes(hidden)", "['rust@127.0.0.1']").await;
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
}
