//! `Content-Encoding: gzip` (RFC 1952) without compressing: stored blocks (RFC 1951, section
//! 3.2.4). A client cannot tell, and the bytes on the wire differ from those inside all the same.

/// The most that a stored block holds.
const BLOCK: usize = 65_535;

/// Wraps the bytes.
pub(super) fn wrap(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a block is no longer than its limit");
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    if bytes.is_empty() {
        out.extend([1, 0, 0, 255, 255]);
    }
    let size = u32::try_from(bytes.len() % (1 << 32)).expect("it is below that");
    out.extend(checksum(bytes).to_le_bytes());
    out.extend(size.to_le_bytes());
    out
}

/// CRC-32 (RFC 1952, section 8).
fn checksum(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|index| {
        let start = u32::try_from(index).expect("the table has 256 places");
        (0..8).fold(start, |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 })
    });
    let step = |crc: u32, byte: &u8| table[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8);
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_known_vector() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn long_bytes_come_in_blocks_and_the_last_one_says_so() {
        let long = wrap(&vec![7; BLOCK + 1]);
        assert_eq!(long.len(), 10 + 5 + BLOCK + 5 + 1 + 8);
        assert_eq!((long[10], long[15 + BLOCK]), (0, 1));
        assert_eq!(long[long.len() - 4..], (1_u32 << 16).to_le_bytes());
        assert_eq!(wrap(b"").len(), 23);
    }
}
