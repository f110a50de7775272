//! The order and the bound of frames.

use futures_util::FutureExt;

use super::Outbox;
use crate::cluster::wire::chunks::CHUNK;
use crate::cluster::wire::loss_reason::ConnectionLost;

async fn take(outbox: &Outbox) -> Vec<u8> {
    let mut bytes = Vec::new();
    outbox.take(&mut bytes).await;
    bytes
}

#[tokio::test]
async fn frames_that_wait_are_taken_together_in_their_order() {
    let outbox = Outbox::new(100);
    assert!(take(&outbox).now_or_never().is_none() && !outbox.waits());
    assert!(outbox.push(|frame| frame.push(1)) && outbox.push(|frame| frame.push(2)));
    outbox.push_tick(); // bytes wait, so no tick is needed
    let taken = take(&outbox).await;
    assert_eq!(taken, [0, 0, 0, 2, 112, 1, 0, 0, 0, 2, 112, 2]);
    assert!(outbox.waits());
    outbox.written(taken.len());
    assert!(!outbox.waits());
    outbox.push_tick();
    assert_eq!(take(&outbox).await, [0; 4]);
}

#[tokio::test]
async fn long_frames_are_taken_alone_and_in_their_order() {
    let (outbox, mut expected) = (Outbox::new(9 * CHUNK), Vec::new());
    let mut taken: Vec<u8> = Vec::new();
    for (number, length) in [1, CHUNK + 1, 2, CHUNK - 20, 3, 3 * CHUNK, 4].into_iter().enumerate() {
        let content = vec![number as u8; length];
        crate::cluster::wire::frame::append_frame(&mut expected, |frame| frame.extend(&content));
        assert!(outbox.push(|frame| frame.extend(&content)));
    }
    let mut bytes = Vec::new();
    while taken.len() < expected.len() {
        outbox.take(&mut bytes).await;
        outbox.written(bytes.len());
        taken.extend(&bytes);
    }
    assert!(taken == expected && !outbox.waits());
}

#[tokio::test]
async fn a_frame_beyond_the_bound_closes_the_outbox() {
    let outbox = Outbox::new(10);
    assert!(outbox.push(|frame| frame.extend([0; 20])));
    assert_eq!(take(&outbox).await.len(), 25); // taken, and not written yet
    assert!(outbox.push(|frame| frame.extend([0; 7]))); // the longest frame doesn't count
    assert!(outbox.overflowed().now_or_never().is_none());
    assert!(!outbox.push(|_| {}));
    assert_eq!(outbox.overflowed().await, ConnectionLost::Overflow(10));
    outbox.written(25);
    assert!(!outbox.push(|_| {}));
}

#[tokio::test]
async fn written_bytes_make_room() {
    let outbox = Outbox::new(10);
    for _ in 0..100 {
        assert!(outbox.push(|frame| frame.extend([0; 20])));
        let taken = take(&outbox).await;
        outbox.written(taken.len());
    }
    // The longest frame is one of those that wait.
    assert!(outbox.push(|_| {}) && outbox.push(|_| {}) && outbox.push(|_| {}));
    let (first, second) = (outbox.push(|_| {}), outbox.push(|_| {}));
    assert!(first && !second);
}

/// A tick waits when the next frame comes: it hides no longest frame that has long been written.
#[tokio::test]
async fn a_longest_frame_that_was_written_does_not_raise_the_bound() {
    let outbox = Outbox::new(10);
    assert!(outbox.push(|frame| frame.extend([0; 100])));
    let taken = take(&outbox).await;
    outbox.written(taken.len());
    outbox.push_tick();
    let appended = (0..100).filter(|_| outbox.push(|frame| frame.extend([0; 7]))).count();
    assert_eq!(appended, 2); // 4 and 12 bytes wait before them, and 12 don't count
}

#[test]
fn a_closed_outbox_refuses_frames() {
    let outbox = Outbox::new(10);
    outbox.close();
    assert!(!outbox.push(|_| {}) && !outbox.waits());
}

/// A writer that comes for more bytes has written those before.
#[tokio::test]
async fn a_long_frame_is_encoded_in_the_memory_of_the_one_before() {
    let (outbox, content) = (Outbox::new(9 * CHUNK), vec![7; 3 * CHUNK]);
    let mut bytes = Vec::new();
    assert!(outbox.push(|frame| frame.extend(&content)));
    outbox.take(&mut bytes).await;
    let memory = bytes.as_ptr();
    outbox.written(bytes.len());
    assert!(outbox.take(&mut bytes).now_or_never().is_none());
    // A short frame between them is copied out of it.
    assert!(outbox.push(|frame| frame.push(1)));
    outbox.take(&mut bytes).await;
    assert!(bytes.len() == 6 && bytes.capacity() < CHUNK);
    outbox.written(bytes.len());
    assert!(outbox.push(|frame| frame.extend(&content)));
    outbox.take(&mut bytes).await;
    assert!(bytes.as_ptr() == memory && bytes.ends_with(&content));
}

/// Such as the late answer of a call.
#[tokio::test]
async fn a_long_frame_for_a_closed_outbox_keeps_no_memory() {
    let outbox = Outbox::new(9 * CHUNK);
    outbox.close();
    assert!(!outbox.push(|frame| frame.extend(vec![7; 3 * CHUNK])));
    assert!(outbox.long_buffer().take().is_none());
}

/// As when a peer sends a long call before each short one, and doesn't read the answers.
#[tokio::test]
async fn a_frame_that_is_much_shorter_than_the_long_buffer_leaves_it_to_the_connection() {
    let (outbox, content) = (Outbox::new(99 * CHUNK), vec![7; CHUNK + 1]);
    let mut expected = Vec::new();
    crate::cluster::wire::frame::append_frame(&mut expected, |frame| frame.extend(&content));
    for round in 0..20 {
        let longest = (64 + round) * CHUNK;
        outbox.long_buffer().keep(Vec::with_capacity(longest));
        if round % 2 == 0 {
            assert!(outbox.push(|frame| frame.extend(&content)));
        } else {
            let written: Result<(), ()> = outbox.try_push(|frame| {
                frame.extend(&content);
                Ok(())
            });
            written.unwrap();
        }
        let kept = outbox.long_buffer().take().unwrap();
        assert!(kept.is_empty() && kept.capacity() >= longest);
    }
    let mut memory = 0;
    for _ in 0..20 {
        let taken = take(&outbox).await;
        outbox.written(taken.len());
        assert!(taken == expected);
        memory += taken.capacity();
    }
    assert!(memory <= 20 * 2 * expected.len() && !outbox.waits(), "{memory} bytes");
}
