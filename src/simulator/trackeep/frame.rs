//! Frames of a WebSocket (RFC 6455, section 5.2), whole messages alone.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const LARGEST: u64 = 1024 * 1024;

/// What came from a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Text(String),
    Ping(Vec<u8>),
    Pong,
    Close,
}

pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// The next frame; an error ends the conversation.
pub(super) async fn read<S: AsyncRead + Unpin>(from: &mut S) -> io::Result<Frame> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let [first, second] = [from.read_u8().await?, from.read_u8().await?];
    // Whole, and masked, as clients must.
    if first & 0x80 == 0 || second & 0x80 == 0 {
        return Err(wrong());
    }
    let length = match second & 0x7f {
        126 => u64::from(from.read_u16().await?),
        127 => from.read_u64().await?,
        length => u64::from(length),
    };
    let length = usize::try_from(length.min(LARGEST + 1)).map_err(io::Error::other)?;
    if length as u64 > LARGEST {
        return Err(wrong());
    }
    let mut mask = [0; 4];
    from.read_exact(&mut mask).await?;
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    bytes.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    match first & 0x0f {
        TEXT => String::from_utf8(bytes).map(Frame::Text).map_err(|_| wrong()),
        CLOSE => Ok(Frame::Close),
        PING => Ok(Frame::Ping(bytes)),
        PONG => Ok(Frame::Pong),
        _ => Err(wrong()),
    }
}

/// Sends a frame, unmasked, as servers must.
pub(super) async fn write<S: AsyncWrite + Unpin>(
    to: &mut S,
    kind: u8,
    bytes: &[u8],
) -> io::Result<()> {
    let mut frame = vec![0x80 | kind];
    match (u8::try_from(bytes.len()), u16::try_from(bytes.len())) {
        (Ok(length @ 0..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((bytes.len() as u64).to_be_bytes());
        }
    }
    frame.extend(bytes);
    to.write_all(&frame).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_examples_of_the_rfc() {
        // RFC 6455, section 5.7: a masked "Hello", and what a server sends.
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(read(&mut &masked[..]).await.unwrap(), Frame::Text("Hello".to_owned()));
        let mut sent = Vec::new();
        write(&mut sent, TEXT, b"Hello").await.unwrap();
        assert_eq!(sent, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert!(read(&mut &sent[..]).await.is_err(), "a client's are masked");
        let mut long = Vec::new();
        write(&mut long, TEXT, &[b'x'; 256]).await.unwrap();
        assert_eq!(long[..4], [0x81, 0x7e, 0x01, 0x00]);
    }
}
