//! Fields of envelopes, read from a message with their bounds checked before anything is allocated.

use bytes::Bytes;

use super::error::{DecodeErrorKind, Failed, failed};
use super::varint::{self, Invalid};

type Result<T> = std::result::Result<T, Failed>;

/// A place in a message. Slicing the message shares it.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    message: &'a Bytes,
    /// What is read: the message, or its beginning.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(message: &'a Bytes, at: usize) -> Self {
        Self { message, bytes: message, at }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn skip_to_end(&mut self) {
        self.at = self.bytes.len();
    }

    /// An error about the field that begins here.
    #[cold]
    pub(super) fn error(&self, kind: DecodeErrorKind) -> Failed {
        failed(self.at, kind)
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.error(DecodeErrorKind::Truncated))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64> {
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
    pub(super) fn number<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T> {
        let offset = self.at;
        T::try_from(self.varint()?).map_err(|_| failed(offset, DecodeErrorKind::OutOfRange(what)))
    }

    pub(super) fn u128(&mut self) -> Result<u128> {
        let bytes = self.rest().first_chunk().ok_or_else(|| self.error(DecodeErrorKind::Truncated))?;
        let value = u128::from_le_bytes(*bytes);
        self.at += size_of::<u128>();
        Ok(value)
    }

    /// A byte that says whether something follows.
    pub(super) fn is_present(&mut self, what: &'static str) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(failed(self.at - 1, DecodeErrorKind::UnknownValue { what, value })),
        }
    }

    pub(super) fn optional(&mut self, what: &'static str) -> Result<Option<u64>> {
        if self.is_present(what)? { self.varint().map(Some) } else { Ok(None) }
    }

    /// A count of things, none of which takes fewer than `least` bytes.
    pub(super) fn count(&mut self, what: &'static str, bound: usize, least: usize) -> Result<usize> {
        let offset = self.at;
        let count = self.varint()?;
        if count > bound as u64 {
            return Err(failed(offset, DecodeErrorKind::TooLong { what, bound }));
        }
        // At most `bound`, so it fits.
        let count = count as usize;
        if count.saturating_mul(least) > self.remaining() {
            return Err(failed(offset, DecodeErrorKind::Truncated));
        }
        Ok(count)
    }

    /// A length and so many bytes, as a range of the message.
    #[inline]
    fn sized(&mut self, what: &'static str, bound: usize) -> Result<std::ops::Range<usize>> {
        let offset = self.at;
        let len = self.varint()?;
        if len > bound as u64 {
            return Err(failed(offset, DecodeErrorKind::TooLong { what, bound }));
        }
        self.take(offset, len)
    }

    #[inline]
    pub(super) fn take(&mut self, offset: usize, len: u64) -> Result<std::ops::Range<usize>> {
        if len > self.remaining() as u64 {
            return Err(failed(offset, DecodeErrorKind::Truncated));
        }
        let start = self.at;
        self.at += len as usize;
        Ok(start..self.at)
    }

    /// The next `len` bytes, shared with the message. `offset` is where their length was read.
    #[inline]
    pub(super) fn slice(&mut self, offset: usize, len: u64) -> Result<Bytes> {
        let range = self.take(offset, len)?;
        Ok(self.message.slice(range))
    }

    /// A length and so many bytes, shared with the message.
    #[inline]
    pub(super) fn bytes(&mut self, what: &'static str, bound: usize) -> Result<Bytes> {
        let range = self.sized(what, bound)?;
        Ok(self.message.slice(range))
    }

    /// A length and so many bytes, to be read by their own reader, which counts offsets in the whole message.
    pub(super) fn body(&mut self, what: &'static str, bound: usize) -> Result<Self> {
        let range = self.sized(what, bound)?;
        Ok(Self { message: self.message, bytes: &self.bytes[..range.end], at: range.start })
    }

    pub(super) fn string(&mut self, what: &'static str, bound: usize) -> Result<String> {
        let offset = self.at;
        let range = self.sized(what, bound)?;
        match std::str::from_utf8(&self.bytes[range]) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(failed(offset, DecodeErrorKind::NotUtf8(what))),
        }
    }
}
