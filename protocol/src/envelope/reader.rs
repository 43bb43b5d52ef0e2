//! Fields of envelopes, read from a message with their bounds checked before anything is allocated.

use bytes::Bytes;

use super::error::{DecodeError, DecodeErrorKind};
use super::varint::{self, Invalid};

/// A place in a message. Cloning or slicing the message shares it.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    message: Bytes,
    at: usize,
    end: usize,
}

impl Reader {
    pub(super) fn new(message: Bytes) -> Self {
        let end = message.len();
        Self { message, at: 0, end }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.end
    }

    /// Goes back to an earlier place.
    pub(super) fn go_back(&mut self, at: usize) {
        self.at = at;
    }

    /// A part of the message.
    pub(super) fn range(&self, range: std::ops::Range<usize>) -> &[u8] {
        &self.message[range]
    }

    pub(super) fn skip_to_end(&mut self) {
        self.at = self.end;
    }

    /// An error about the field that begins here.
    pub(super) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(self.at, kind)
    }

    fn rest(&self) -> &[u8] {
        &self.message[self.at..self.end]
    }

    pub(super) fn remaining(&self) -> usize {
        self.end - self.at
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.rest().first().ok_or_else(|| self.error(DecodeErrorKind::Truncated))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        match varint::read(self.rest()) {
            Ok((value, len)) => {
                self.at += len;
                Ok(value)
            }
            Err(Invalid::Truncated) => Err(self.error(DecodeErrorKind::Truncated)),
            Err(Invalid::Form) => Err(self.error(DecodeErrorKind::Varint)),
        }
    }

    /// A number that its field holds only in part.
    #[inline]
    pub(super) fn number<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, DecodeError> {
        let offset = self.at;
        T::try_from(self.varint()?).map_err(|_| DecodeError::new(offset, DecodeErrorKind::OutOfRange(what)))
    }

    pub(super) fn u128(&mut self) -> Result<u128, DecodeError> {
        let bytes = self.rest().first_chunk().ok_or_else(|| self.error(DecodeErrorKind::Truncated))?;
        let value = u128::from_le_bytes(*bytes);
        self.at += size_of::<u128>();
        Ok(value)
    }

    /// A byte that says whether something follows.
    pub(super) fn is_present(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(DecodeError::new(self.at - 1, DecodeErrorKind::UnknownValue { what, value })),
        }
    }

    pub(super) fn optional(&mut self, what: &'static str) -> Result<Option<u64>, DecodeError> {
        if self.is_present(what)? { self.varint().map(Some) } else { Ok(None) }
    }

    /// A count of things, none of which takes fewer than `least` bytes.
    pub(super) fn count(
        &mut self,
        what: &'static str,
        bound: usize,
        least: usize,
    ) -> Result<usize, DecodeError> {
        let offset = self.at;
        let count = self.varint()?;
        if count > bound as u64 {
            return Err(DecodeError::new(offset, DecodeErrorKind::TooLong { what, bound }));
        }
        // At most `bound`, so it fits.
        let count = count as usize;
        if count.saturating_mul(least) > self.remaining() {
            return Err(DecodeError::new(offset, DecodeErrorKind::Truncated));
        }
        Ok(count)
    }

    /// A length and so many bytes, as a range of the message.
    #[inline]
    fn sized(&mut self, what: &'static str, bound: usize) -> Result<std::ops::Range<usize>, DecodeError> {
        let offset = self.at;
        let len = self.varint()?;
        if len > bound as u64 {
            return Err(DecodeError::new(offset, DecodeErrorKind::TooLong { what, bound }));
        }
        self.take(offset, len)
    }

    #[inline]
    pub(super) fn take(&mut self, offset: usize, len: u64) -> Result<std::ops::Range<usize>, DecodeError> {
        if len > self.remaining() as u64 {
            return Err(DecodeError::new(offset, DecodeErrorKind::Truncated));
        }
        let start = self.at;
        self.at += len as usize;
        Ok(start..self.at)
    }

    /// The next `len` bytes, shared with the message. `offset` is where their length was read.
    #[inline]
    pub(super) fn slice(&mut self, offset: usize, len: u64) -> Result<Bytes, DecodeError> {
        let range = self.take(offset, len)?;
        Ok(self.message.slice(range))
    }

    /// A length and so many bytes, shared with the message.
    #[inline]
    pub(super) fn bytes(&mut self, what: &'static str, bound: usize) -> Result<Bytes, DecodeError> {
        let range = self.sized(what, bound)?;
        Ok(self.message.slice(range))
    }

    /// A length and so many bytes, to be read by their own reader, which counts offsets in the whole message.
    pub(super) fn body(&mut self, what: &'static str, bound: usize) -> Result<Self, DecodeError> {
        let range = self.sized(what, bound)?;
        Ok(Self { message: self.message.clone(), at: range.start, end: range.end })
    }

    pub(super) fn string(&mut self, what: &'static str, bound: usize) -> Result<String, DecodeError> {
        let offset = self.at;
        let range = self.sized(what, bound)?;
        match std::str::from_utf8(&self.message[range]) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(DecodeError::new(offset, DecodeErrorKind::NotUtf8(what))),
        }
    }
}
