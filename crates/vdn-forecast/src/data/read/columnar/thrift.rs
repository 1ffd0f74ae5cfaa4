//! A strict reader of structures in Thrift's compact protocol, for the size checks. Anything that
//! writers do not produce counts as damage.

use std::io::{self, Read};

/// The types of fields in the compact protocol.
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
pub(super) const INTEGER: u8 = 5;
pub(super) const STRUCTURE: u8 = 12;

/// The type of a list.
pub(super) const LIST: u8 = 9;

/// The maximum nesting of skipped structures; the format itself nests eight deep.
pub(super) const DEPTH: usize = 24;

/// Reads structures and counts their bytes. `None` means that the data are damaged.
pub(super) struct Thrift<R> {
    input: io::Take<R>,
    pub(super) read: u64,
}

impl<R: Read> Thrift<R> {
    pub(super) fn new(input: io::Take<R>) -> Self {
        Self { input, read: 0 }
    }

    /// Passes the number and type of each field of a structure to `take`, which reads its value.
    /// Field numbers have to increase, as writers produce them. With repeated fields, this reader
    /// and the library could read different values.
    pub(super) fn fields(
        &mut self,
        mut take: impl FnMut(&mut Self, i64, u8) -> Option<()>,
    ) -> Option<()> {
        let mut number = 0_i64;
        loop {
            let byte = self.byte()?;
            let (more, kind) = (byte >> 4, byte & 15);
            if kind == 0 {
                return Some(());
            }
            let before = number;
            number = match more {
                0 => i64::from(self.integer()?),
                more => number + i64::from(more),
            };
            if number <= before || number > i64::from(i16::MAX) {
                return None;
            }
            take(self, number, kind)?;
        }
    }

    pub(super) fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            TRUE | FALSE => Some(()),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(length)
            }
            LIST | 10 => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.skip_element(kind, depth))
            }
            11 => {
                let count = self.varint()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 15, depth)
                })
            }
            STRUCTURE => self.fields(|this, _, kind| this.skip(kind, depth)),
            13 => self.pass(16),
            _ => None,
        }
    }

    /// Returns the number and the type of the elements of a list.
    pub(super) fn list(&mut self) -> Option<(u64, u8)> {
        let byte = self.byte()?;
        let count = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
        Some((count, byte & 15))
    }

    /// Skips an element of a list or a map, in which a boolean takes a byte.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            TRUE | FALSE => self.byte().map(drop),
            kind => self.skip(kind, depth),
        }
    }

    fn pass(&mut self, length: u64) -> Option<()> {
        if length > self.input.limit() {
            return None;
        }
        let passed = io::copy(&mut self.input.by_ref().take(length), &mut io::sink()).ok()?;
        self.read += passed;
        (passed == length).then_some(())
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte).ok()?;
        self.read += 1;
        Some(byte[0])
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn integer(&mut self) -> Option<i32> {
        let value = self.varint()?;
        i32::try_from((value >> 1) as i64 ^ -((value & 1) as i64)).ok()
    }
}
