//! What a node that knows the cookie sends: the body of a frame. The connection is kept as long as the
//! node keeps it, for at most 64 inputs.
#![no_main]

mod peer;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use peer::{World, frame, write};

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::start(Duration::from_secs(60)));
    static INPUTS: Cell<u32> = const { Cell::new(0) };
}

/// A call to `net_kernel`, whose answer shows that the frame before it was handled.
const ASK: &[u8] = b"\x70\x83\x68\x04\x61\x06\x58\x77\x03f@h\x00\x00\x00\x01\x00\x00\x00\x00\
    \x00\x00\x00\x09\x77\x00\x77\x0anet_kernel\
    \x83\x68\x03\x77\x09$gen_call\x68\x02\x58\x77\x03f@h\x00\x00\x00\x01\x00\x00\x00\x00\
    \x00\x00\x00\x09\x77\x01a\x68\x02\x77\x07is_auth\x77\x01b";
const ANSWER: &[u8] = b"\x83\x68\x02\x77\x01a\x77\x03yes";

fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap_or(0).to_be_bytes()[..], body].concat()
}

fuzz_target!(|body: &[u8]| {
    WORLD.with_borrow_mut(|world| {
        let tokio = &world.tokio;
        let kept = world.peer.take().filter(|_| INPUTS.get() % 64 != 0);
        INPUTS.set(INPUTS.get().wrapping_add(1));
        world.peer = tokio.block_on(async {
            let mut peer = match kept {
                Some(peer) => peer,
                None => world.join().await,
            };
            write(&mut peer, &[framed(body), framed(ASK)].concat()).await;
            loop {
                match frame(&mut peer).await {
                    None => return None,
                    Some(frame) if frame.ends_with(ANSWER) => return Some(peer),
                    Some(_) => {}
                }
            }
        });
        world.assert_alive();
    });
});
