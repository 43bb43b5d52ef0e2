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

/// What stands before a payload, written where it stays: bytes that are gathered one by one and then copied together stall
/// the processor. It has room for so many bytes.
#[derive(Debug)]
pub(super) struct Head<'a, const ROOM: usize> {
    /// With room behind what is written.
    out: &'a mut Vec<u8>,
    /// Where the next byte is written.
    at: usize,
}

/// Room for a kind, a sequence number, a call, a codec and the announcement of a payload.
pub(super) const SHORT: usize = 32;

impl<'a, const ROOM: usize> Head<'a, ROOM> {
    #[inline]
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        let at = out.len();
        out.extend_from_slice(&[0; ROOM]);
        Self { out, at }
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.out[self.at] = byte;
        self.at += 1;
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
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

    /// Ends with a payload.
    #[inline]
    pub(super) fn carry(mut self, payload: Carried<'_>) {
        match payload {
            Carried::Whole(bytes) => {
                self.varint((bytes.len() as u64) << 1);
                self.end().extend_from_slice(bytes);
            }
            Carried::Chunked { transfer, len } => {
                self.varint(len << 1 | 1);
                self.varint(u64::from(transfer));
                self.end();
            }
        }
    }

    /// Takes what is left of the room back.
    #[inline]
    pub(super) fn end(self) -> &'a mut Vec<u8> {
        self.out.truncate(self.at);
        self.out
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
