//! One pass over JSON (RFC 8259) that finds the strings in objects, and builds nothing.

use std::ops::Range;

/// A member of an object whose value is a string.
pub(super) struct Member<'t> {
    /// Its name, as it is written between the quotes.
    pub(super) key: &'t [u8],
    /// Where its value stands in the text, without the quotes.
    pub(super) value: Range<usize>,
    /// Whether the value holds a backslash.
    pub(super) is_escaped: bool,
}

/// The text is not JSON.
#[derive(Debug)]
pub(super) struct NotJson;

/// Shows every member whose value is a string, except those below a key that `is_closed`. Reads to
/// the end: what was shown counts only when the whole text is JSON.
pub(super) fn members<'t>(
    text: &'t str,
    is_closed: impl Fn(&[u8]) -> bool,
    mut show: impl FnMut(Member<'t>),
) -> Result<(), NotJson> {
    let mut scanner = Scanner { text: text.as_bytes(), at: 0, open: Vec::with_capacity(16) };
    let mut key = None;
    loop {
        let is_whole = match scanner.next()? {
            b'"' => {
                let value = scanner.string()?;
                if let (Some(key), false) = (key, scanner.is_closed()) {
                    show(Member { key, value: value.0, is_escaped: value.1 });
                }
                true
            }
            bracket @ (b'{' | b'[') => {
                let is_closed = scanner.is_closed() || key.is_some_and(&is_closed);
                scanner.enter(bracket == b'{', is_closed);
                scanner.leave_if_empty()
            }
            first => scanner.scalar(first)?,
        };
        if is_whole && scanner.leave()? {
            return Ok(());
        }
        key = scanner.key()?;
    }
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    open: Vec<Open>,
}

/// An object or array that has not ended yet.
#[derive(Clone, Copy)]
struct Open {
    is_object: bool,
    is_closed: bool,
}

// === impl Scanner ===

impl<'t> Scanner<'t> {
    fn is_closed(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_closed)
    }

    fn enter(&mut self, is_object: bool, is_closed: bool) {
        self.open.push(Open { is_object, is_closed });
    }

    /// Leaves what was just entered, if it ends at once.
    fn leave_if_empty(&mut self) -> bool {
        let Some(open) = self.open.last() else { return false };
        let end = if open.is_object { b'}' } else { b']' };
        self.skip_space();
        if self.text.get(self.at) != Some(&end) {
            return false;
        }
        self.at += 1;
        self.open.pop();
        true
    }

    /// After a value: leaves what ends here. True at the end of the text; else another value comes.
    fn leave(&mut self) -> Result<bool, NotJson> {
        loop {
            let Some(&open) = self.open.last() else {
                self.skip_space();
                return if self.at == self.text.len() { Ok(true) } else { Err(NotJson) };
            };
            match (self.next()?, open.is_object) {
                (b',', _) => return Ok(false),
                (b'}', true) | (b']', false) => _ = self.open.pop(),
                _ => return Err(NotJson),
            }
        }
    }

    /// The name of the next member, with its colon; arrays have none.
    fn key(&mut self) -> Result<Option<&'t [u8]>, NotJson> {
        if !self.open.last().is_some_and(|open| open.is_object) {
            return Ok(None);
        }
        if self.next()? != b'"' {
            return Err(NotJson);
        }
        let (key, _) = self.string()?;
        if self.next()? == b':' { Ok(Some(&self.text[key])) } else { Err(NotJson) }
    }

    /// The rest of a string, and whether it holds a backslash.
    fn string(&mut self) -> Result<(Range<usize>, bool), NotJson> {
        let (start, mut is_escaped) = (self.at, false);
        loop {
            self.at += plain_run(&self.text[self.at..]);
            match self.byte()? {
                b'"' => return Ok((start..self.at - 1, is_escaped)),
                b'\\' => self.escape()?,
                _ => return Err(NotJson),
            }
            is_escaped = true;
        }
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        match self.byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => (0..4).try_for_each(|_| match self.byte()? {
                digit if digit.is_ascii_hexdigit() => Ok(()),
                _ => Err(NotJson),
            }),
            _ => Err(NotJson),
        }
    }

    /// The rest of a number or a word; always whole.
    fn scalar(&mut self, first: u8) -> Result<bool, NotJson> {
        match first {
            b't' => self.word(b"rue")?,
            b'f' => self.word(b"alse")?,
            b'n' => self.word(b"ull")?,
            b'-' => match self.byte()? {
                digit @ b'0'..=b'9' => self.number(digit)?,
                _ => return Err(NotJson),
            },
            b'0'..=b'9' => self.number(first)?,
            _ => return Err(NotJson),
        }
        Ok(true)
    }

    fn word(&mut self, rest: &[u8]) -> Result<(), NotJson> {
        if !self.text[self.at..].starts_with(rest) {
            return Err(NotJson);
        }
        self.at += rest.len();
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), NotJson> {
        if first != b'0' {
            self.digits();
        }
        if self.take(b".") && self.digits() == 0 {
            return Err(NotJson);
        }
        if self.take(b"eE") {
            self.take(b"+-");
            if self.digits() == 0 {
                return Err(NotJson);
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let count = self.text[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn take(&mut self, any_of: &[u8]) -> bool {
        let is_there = self.text.get(self.at).is_some_and(|byte| any_of.contains(byte));
        self.at += usize::from(is_there);
        is_there
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Result<u8, NotJson> {
        self.skip_space();
        self.byte()
    }

    fn byte(&mut self) -> Result<u8, NotJson> {
        let byte = *self.text.get(self.at).ok_or(NotJson)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }
}

/// How many bytes stand before the first quote, backslash or control byte: eight at a time.
fn plain_run(text: &[u8]) -> usize {
    let mut run = 0;
    for chunk in text.chunks_exact(8) {
        let special = specials(u64::from_le_bytes(chunk.try_into().expect("eight bytes")));
        if special != 0 {
            return run + special.trailing_zeros() as usize / 8;
        }
        run += 8;
    }
    let is_special = |b: &u8| matches!(b, b'"' | b'\\' | 0..0x20);
    run + text[run..].iter().position(is_special).unwrap_or(text.len() - run)
}

/// Marks the lowest special byte by its highest bit; higher marks may be wrong.
/// <https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord>
fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & HIGHS
}
