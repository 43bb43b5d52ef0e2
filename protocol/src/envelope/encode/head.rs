//! Envelopes that carry a payload, written from where their parts are kept.

use super::call_number;
use crate::codec::Codec;
use crate::envelope::{CallOpen, CallRef, OnceKey, Payload};

/// What a [`CallOpen`] says, borrowed.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) id: u32,
    pub(crate) service: u32,
    pub(crate) method: u32,
    pub(crate) codec: Codec,
    pub(crate) time_left_ms: Option<u64>,
    pub(crate) depth: u8,
    pub(crate) once: Option<OnceKey>,
    pub(crate) metadata: &'a [(String, String)],
    pub(crate) payload: Carried<'a>,
}

impl<'a> From<&'a CallOpen> for Opening<'a> {
    fn from(open: &'a CallOpen) -> Self {
        let CallOpen { id, service, method, codec, time_left_ms, depth, once, metadata, payload } = open;
        Self {
            id: *id,
            service: *service,
            method: *method,
            codec: *codec,
            time_left_ms: *time_left_ms,
            depth: *depth,
            once: once.as_deref().copied(),
            metadata,
            payload: payload.into(),
        }
    }
}

/// What a [`Payload`] says, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Carried<'a> {
    Whole(&'a [u8]),
    Chunked { transfer: u32, len: u64 },
}

impl<'a> From<&'a Payload> for Carried<'a> {
    #[inline]
    fn from(payload: &'a Payload) -> Self {
        match payload {
            Payload::Whole(bytes) => Self::Whole(bytes),
            Payload::Chunked { transfer, len } => Self::Chunked { transfer: *transfer, len: *len },
        }
    }
}

/// What stands before a payload, gathered so that it is appended at once; it has room for so many bytes.
#[derive(Debug)]
pub(super) struct Head<const ROOM: usize> {
    bytes: [u8; ROOM],
    len: usize,
}

/// Room for a kind, a sequence number, a call, a codec and the announcement of a payload.
pub(super) const SHORT: usize = 32;

impl<const ROOM: usize> Head<ROOM> {
    #[inline]
    pub(super) fn new() -> Self {
        Self { bytes: [0; ROOM], len: 0 }
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// A number as [`varint::write`](crate::envelope::varint::write) writes it.
    #[inline]
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    #[inline]
    pub(super) fn call_ref(&mut self, call: CallRef) {
        self.varint(call_number(call));
    }

    /// Ends with a payload, and appends all of it.
    #[inline]
    pub(super) fn carry(&mut self, out: &mut Vec<u8>, payload: Carried<'_>) {
        match payload {
            Carried::Whole(bytes) => {
                self.varint((bytes.len() as u64) << 1);
                out.reserve(ROOM + bytes.len());
                self.append(out);
                out.extend_from_slice(bytes);
            }
            Carried::Chunked { transfer, len } => {
                self.varint(len << 1 | 1);
                self.varint(u64::from(transfer));
                self.append(out);
            }
        }
    }

    /// Appends what there is, and begins anew.
    #[inline]
    pub(super) fn append(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        // All of it has a length that the compiler knows, which costs less than the part that counts.
        out.extend_from_slice(&self.bytes);
        out.truncate(start + self.len);
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Encoder;
    use super::*;
    use crate::envelope::{Decoder, Envelope, OnceTable, Opener, Sequenced};

    #[test]
    fn the_longest_heads_have_room() {
        let payload = Payload::Chunked { transfer: u32::MAX, len: u64::MAX >> 1 };
        let table = OnceTable { id: u128::MAX, tick: u64::MAX };
        let open = CallOpen {
            id: u32::MAX,
            service: u32::MAX,
            method: u32::MAX,
            codec: Codec::Json,
            time_left_ms: Some(u64::MAX),
            depth: u8::MAX,
            once: Some(Box::new(OnceKey { key: u128::MAX, table })),
            metadata: Vec::new(),
            payload: payload.clone(),
        };
        let call = CallRef { id: u32::MAX, opener: Opener::Reader };
        let response = Sequenced::Response { call, codec: Codec::Json, payload };
        for sequenced in [Sequenced::Call(open), response] {
            let envelope = Envelope::Sequenced(u64::MAX, sequenced);
            let mut out = Vec::new();
            Encoder::new(&mut out).push(&envelope);
            assert_eq!(Decoder::new(out.into()).next(), Some(Ok(envelope)));
        }
    }
}
