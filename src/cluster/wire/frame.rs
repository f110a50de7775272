//! Frames: what follows the handshake. A frame is its length in 4 bytes and its body. A frame without
//! a body is a tick.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::cluster::wire::lost::ConnectionLost;

/// The first byte of a frame that is one message without a header.
pub(crate) const PASS_THROUGH: u8 = 112;

/// Reads the body of the next frame into `body`, which is empty for a tick.
///
/// The length is checked before anything is reserved, and memory grows with the bytes that have
/// arrived. So a peer that announces a long frame and sends nothing costs nothing.
///
/// # Cancel safety
///
/// Not cancel safe: the bytes that were read are lost.
pub(crate) async fn read_frame(
    reader: &mut (impl AsyncRead + Unpin),
    most: usize,
    body: &mut Vec<u8>,
) -> Result<(), ConnectionLost> {
    body.clear();
    let length = reader.read_u32().await?;
    if usize::try_from(length).map_or(true, |length| length > most) {
        return Err(ConnectionLost::TooLong { length, most });
    }
    let read = reader.take(length.into()).read_to_end(body).await?;
    if read < usize::try_from(length).unwrap_or(usize::MAX) {
        return Err(ConnectionLost::Closed);
    }
    Ok(())
}

/// Appends a frame with the control message and the payload that `write` appends.
///
/// # Panics
///
/// If the frame has 4 GiB or more.
pub(crate) fn append_frame(frames: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = frames.len();
    frames.extend([0, 0, 0, 0, PASS_THROUGH]);
    write(frames);
    let length = u32::try_from(frames.len() - start - 4);
    let length = length.expect("a frame is shorter than 4 GiB").to_be_bytes();
    frames[start..start + 4].copy_from_slice(&length);
}

#[cfg(test)]
mod tests {
    use super::{append_frame, read_frame};
    use crate::cluster::wire::lost::ConnectionLost;

    async fn read(bytes: &[u8]) -> Result<Vec<u8>, ConnectionLost> {
        let mut body = vec![9];
        read_frame(&mut &bytes[..], 16, &mut body).await.map(|()| body)
    }

    #[tokio::test]
    async fn a_frame_is_read_up_to_its_maximum() {
        assert_eq!(read(&[0, 0, 0, 0]).await.unwrap(), b"");
        assert_eq!(read(b"\0\0\0\x02hi...").await.unwrap(), b"hi");
        let longest = [&[0, 0, 0, 16][..], &[1; 16]].concat();
        assert_eq!(read(&longest).await.unwrap(), [1; 16]);
        for long in [[0, 0, 0, 17], [0xff; 4]] {
            let lost = read(&long).await.unwrap_err();
            assert!(matches!(lost, ConnectionLost::TooLong { most: 16, .. }), "{lost:?}");
        }
    }

    #[tokio::test]
    async fn a_truncated_frame_is_a_closed_connection() {
        for bytes in [&b""[..], b"\0\0", b"\0\0\0\x02", b"\0\0\0\x02h"] {
            assert_eq!(read(bytes).await.unwrap_err(), ConnectionLost::Closed);
        }
    }

    #[tokio::test]
    async fn an_announced_frame_that_does_not_arrive_reserves_nothing() {
        let (bytes, mut body) = ([0x3f, 0xff, 0xff, 0xff], Vec::new());
        read_frame(&mut &bytes[..], usize::MAX, &mut body).await.unwrap_err();
        assert!(body.capacity() <= 64, "{}", body.capacity());
    }

    #[test]
    fn an_appended_frame_has_its_length() {
        let mut frames = vec![0; 4];
        append_frame(&mut frames, |frames| frames.extend(b"abc"));
        assert_eq!(frames, b"\0\0\0\0\0\0\0\x04\x70abc");
    }
}
