mod greeting;
mod hear;

use std::iter::FusedIterator;

use bytes::Bytes;

use super::bounds::{
    MAX_ANSWER, MAX_CREDENTIALS, MAX_HELLO, MAX_METADATA, MAX_METADATA_ENTRIES, MAX_METHODS, MAX_NAME,
    MAX_REASON, MAX_STATUS_MESSAGE, MAX_WELCOME,
};
use super::error::{DecodeError, DecodeErrorKind, Failed, failed};
use super::kind::{self, flag};
use super::reader::Reader;
use super::{
    Ack, CallOpen, CallRef, Chunk, Control, Credit, Declaration, DeclareAnswer, Envelope, Notify, OnceKey,
    OnceTable, Opener, Payload, Refusal, Sequenced, WatchValue, WireError, WireMethod,
};
use crate::codec::Codec;
use crate::status::{CloseCode, Code};

use greeting::{hello, welcome};
use hear::Heard;

pub(crate) use hear::Hear;

type Result<T, E = Failed> = std::result::Result<T, E>;

/// Reads the envelopes of one message, one after the other.
///
/// Payloads, credentials and tokens are slices of the message and keep it alive; names and sentences are copied.
/// After the first error nothing more comes. Envelopes that came before it are sound.
#[derive(Debug, Clone)]
pub struct Decoder {
    message: Bytes,
    at: usize,
    last_seq: Option<u64>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was read yet; the message must not be empty.
    Fresh,
    Reading,
    Over,
}

impl Decoder {
    /// A decoder of one whole binary message.
    pub fn new(message: Bytes) -> Self {
        Self { message, at: 0, last_seq: None, state: State::Fresh }
    }

    /// The payload of the next envelope, if that is an item as the one before it may have been: of this call and codec, with
    /// the number that follows, and whole and of at most `max` bytes. If not, nothing is read, and
    /// [`next`](Iterator::next) says what it is.
    #[inline]
    pub fn next_item(&mut self, call: CallRef, codec: Codec, max: usize) -> Option<&[u8]> {
        // Most runs end here, and a reading that fails costs an allocation.
        if *self.message.get(self.at)? != kind::ITEM {
            return None;
        }
        let seq = self.last_seq?.checked_add(1)?;
        let mut reader = Reader::new(&self.message, self.at + 1);
        let range = item(&mut reader, call, codec, max)?;
        (self.at, self.last_seq) = (reader.at(), Some(seq));
        self.message.get(range)
    }

    /// Reads the next envelope and hands it to `to`. What [`next`](Iterator::next) says, but for the envelope itself.
    #[inline]
    pub(crate) fn next_to(&mut self, to: &mut impl Hear) -> Option<Result<(), DecodeError>> {
        let is_at_end = self.at == self.message.len();
        match self.state {
            State::Over => return None,
            State::Reading if is_at_end => {
                self.state = State::Over;
                return None;
            }
            State::Fresh if is_at_end => {
                self.state = State::Over;
                return Some(Err(DecodeError::new(0, DecodeErrorKind::EmptyMessage)));
            }
            State::Fresh | State::Reading => self.state = State::Reading,
        }
        Some(self.envelope(to).map_err(|failed| {
            self.state = State::Over;
            *failed
        }))
    }

    #[inline]
    fn envelope(&mut self, to: &mut impl Hear) -> Result<()> {
        let mut reader = Reader::new(&self.message, self.at);
        let r = &mut reader;
        let first = r.byte()?;
        let kind = first & !kind::STATES_SEQ;
        let states_seq = first != kind;
        match kind {
            kind::DECLARE..=kind::CHUNK => {
                let seq = seq(r, states_seq, self.last_seq)?;
                self.last_seq = Some(seq);
                match kind {
                    kind::CALL => {
                        let open = call(r)?;
                        self.at = reader.at();
                        to.call(seq, open);
                    }
                    kind::RESPONSE => {
                        let (call, codec, payload) = (call_ref(r)?, codec(r)?, payload(r)?);
                        self.at = reader.at();
                        to.response(seq, call, codec, payload);
                    }
                    _ => {
                        let sequenced = sequenced(r, kind)?;
                        self.at = reader.at();
                        to.sequenced(seq, sequenced);
                    }
                }
            }
            _ if states_seq => return Err(failed(r.at() - 1, DecodeErrorKind::UnknownKind(first))),
            _ => {
                let envelope = unnumbered(r, kind)?;
                self.at = reader.at();
                to.unnumbered(envelope);
            }
        }
        Ok(())
    }
}

/// The sequence number of an envelope that states it, or follows the one numbered `last`.
#[inline]
fn seq(r: &mut Reader<'_>, stated: bool, last: Option<u64>) -> Result<u64> {
    if stated {
        let offset = r.at();
        return match r.varint()? {
            0 => Err(failed(offset, DecodeErrorKind::Sequence)),
            seq => Ok(seq),
        };
    }
    let offset = r.at() - 1;
    match last {
        None => Err(failed(offset, DecodeErrorKind::NoSequence)),
        Some(last) => last.checked_add(1).ok_or_else(|| failed(offset, DecodeErrorKind::Sequence)),
    }
}

impl Iterator for Decoder {
    type Item = Result<Envelope, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut heard = Heard::default();
        match self.next_to(&mut heard)? {
            Ok(()) => heard.envelope().map(Ok),
            Err(error) => Some(Err(error)),
        }
    }
}

impl FusedIterator for Decoder {}

/// An envelope with a number that is no call and no response.
#[inline]
fn sequenced(r: &mut Reader<'_>, kind: u8) -> Result<Sequenced> {
    Ok(match kind {
        kind::ITEM => Sequenced::Item { call: call_ref(r)?, codec: codec(r)?, payload: payload(r)? },
        kind::CHUNK => Sequenced::Chunk(chunk(r)?),
        kind::ERROR => Sequenced::Error { call: call_ref(r)?, error: error(r)? },
        kind::ACCEPTED => Sequenced::Accepted { call: call_ref(r)? },
        kind::END => Sequenced::End { call: call_ref(r)?, last: last_value(r)? },
        kind::CANCEL => Sequenced::Cancel { call: call_ref(r)? },
        kind::VOID => Sequenced::Void { call: call_ref(r)? },
        kind::GAP => Sequenced::Gap { call: call_ref(r)?, missed: r.varint()? },
        kind::DECLARE => {
            Sequenced::Declare { service: r.number("service number")?, declaration: declaration(r)? }
        }
        // The caller passes no other kind.
        _ => Sequenced::Declared { service: r.number("service number")?, answer: answer(r)? },
    })
}

fn unnumbered(r: &mut Reader<'_>, kind: u8) -> Result<Envelope> {
    Ok(match kind {
        kind::WATCH => {
            Envelope::Watch(WatchValue { call: call_ref(r)?, codec: codec(r)?, payload: payload(r)? })
        }
        kind::NOTIFY => Envelope::Notify(notify(r)?),
        kind::WATCH_CHUNK => Envelope::WatchChunk(chunk(r)?),
        _ => Envelope::Control(control(r, kind)?),
    })
}

fn control(r: &mut Reader<'_>, kind: u8) -> Result<Control> {
    Ok(match kind {
        kind::HELLO => Control::Hello(Box::new(hello(&mut r.body("hello", MAX_HELLO)?)?)),
        kind::WELCOME => Control::Welcome(Box::new(welcome(&mut r.body("welcome", MAX_WELCOME)?)?)),
        kind::ACK => Control::Ack(ack(r)?),
        kind::CREDIT => Control::Credit(credit(r)?),
        kind::PING => Control::Ping { nonce: r.varint()? },
        kind::PONG => Control::Pong { nonce: r.varint()?, ack: ack(r)?, once_tick: r.varint()? },
        kind::AUTH => Control::Auth { credentials: r.bytes("credentials", MAX_CREDENTIALS)?.into() },
        kind::AUTH_ANSWER => Control::AuthAnswer {
            refusal: if r.is_present("answer to credentials")? {
                Some(Refusal { code: close_code(r)?, reason: r.string("reason", MAX_REASON)? })
            } else {
                None
            },
        },
        kind::GO_AWAY => Control::GoAway { spread_ms: r.varint()? },
        kind::CLOSING => Control::Closing { code: close_code(r)?, reason: r.string("reason", MAX_REASON)? },
        _ => return Err(failed(r.at() - 1, DecodeErrorKind::UnknownKind(kind))),
    })
}

#[inline]
fn call(r: &mut Reader<'_>) -> Result<CallOpen> {
    let id = r.number("call id")?;
    let service = r.number("service number")?;
    let method = r.number("method number")?;
    let known = flag::JSON | flag::METADATA | flag::TIME_LEFT | flag::DEPTH | flag::ONCE;
    let flags = flags(r, known, "flags of a call")?;
    Ok(CallOpen {
        id,
        service,
        method,
        codec: flagged_codec(flags),
        time_left_ms: if flags & flag::TIME_LEFT != 0 { Some(r.varint()?) } else { None },
        depth: if flags & flag::DEPTH != 0 { depth(r)? } else { 0 },
        once: if flags & flag::ONCE != 0 {
            Some(Box::new(OnceKey { key: r.u128()?, table: once_table(r)? }))
        } else {
            None
        },
        metadata: if flags & flag::METADATA != 0 { metadata(r)? } else { Vec::new() },
        payload: payload(r)?,
    })
}

fn notify(r: &mut Reader<'_>) -> Result<Notify> {
    let service = r.number("service number")?;
    let method = r.number("method number")?;
    let flags = flags(r, flag::JSON | flag::METADATA, "flags of a notify")?;
    Ok(Notify {
        service,
        method,
        codec: flagged_codec(flags),
        metadata: if flags & flag::METADATA != 0 { metadata(r)? } else { Vec::new() },
        payload: r.bytes("payload", usize::MAX)?,
    })
}

fn flags(r: &mut Reader<'_>, known: u8, what: &'static str) -> Result<u8> {
    match r.byte()? {
        flags if flags & !known == 0 => Ok(flags),
        value => Err(failed(r.at() - 1, DecodeErrorKind::UnknownValue { what, value })),
    }
}

fn flagged_codec(flags: u8) -> Codec {
    if flags & flag::JSON != 0 { Codec::Json } else { Codec::Rkyv }
}

fn depth(r: &mut Reader<'_>) -> Result<u8> {
    match r.byte()? {
        0 => Err(failed(r.at() - 1, DecodeErrorKind::Empty("depth"))),
        depth => Ok(depth),
    }
}

fn metadata(r: &mut Reader<'_>) -> Result<Vec<(String, String)>> {
    let start = r.at();
    // An entry is two lengths at least.
    let count = r.count("count of metadata", MAX_METADATA_ENTRIES, 2)?;
    if count == 0 {
        return Err(failed(start, DecodeErrorKind::Empty("metadata")));
    }
    let mut entries = Vec::with_capacity(count);
    let mut room = MAX_METADATA;
    for _ in 0..count {
        let name = metadata_text(r, &mut room)?;
        let value = metadata_text(r, &mut room)?;
        entries.push((name, value));
    }
    Ok(entries)
}

fn metadata_text(r: &mut Reader<'_>, room: &mut usize) -> Result<String> {
    let text = r.string("metadata", *room).map_err(|error| match error.kind {
        // The bound is one of all entries together, not of what the others left.
        DecodeErrorKind::TooLong { what, .. } => {
            failed(error.offset, DecodeErrorKind::TooLong { what, bound: MAX_METADATA })
        }
        _ => error,
    })?;
    *room -= text.len();
    Ok(text)
}

fn error(r: &mut Reader<'_>) -> Result<WireError> {
    Ok(match r.byte()? {
        0 => WireError::Application { codec: Codec::Rkyv, payload: payload(r)? },
        1 => WireError::Application { codec: Codec::Json, payload: payload(r)? },
        2 => WireError::Status {
            code: Code::from_wire(r.byte()?),
            detail: r.varint()?,
            message: r.string("message of a status", MAX_STATUS_MESSAGE)?,
        },
        value => {
            let what = "form of an error";
            return Err(failed(r.at() - 1, DecodeErrorKind::UnknownValue { what, value }));
        }
    })
}

fn last_value(r: &mut Reader<'_>) -> Result<Option<(Codec, Payload)>> {
    Ok(match r.byte()? {
        0 => None,
        1 => Some((Codec::Rkyv, payload(r)?)),
        2 => Some((Codec::Json, payload(r)?)),
        value => {
            let what = "form of an end";
            return Err(failed(r.at() - 1, DecodeErrorKind::UnknownValue { what, value }));
        }
    })
}

fn answer(r: &mut Reader<'_>) -> Result<DeclareAnswer> {
    Ok(match r.byte()? {
        0 => DeclareAnswer::Same,
        1 => DeclareAnswer::Different(methods(r)?),
        2 => DeclareAnswer::Unknown,
        value => {
            let what = "answer to a declaration";
            return Err(failed(r.at() - 1, DecodeErrorKind::UnknownValue { what, value }));
        }
    })
}

fn methods(r: &mut Reader<'_>) -> Result<Vec<WireMethod>> {
    // A length, two bytes and a hash.
    const LEAST: usize = 1 + 2 + 16;
    let start = r.at();
    let count = r.count("count of methods", MAX_METHODS, LEAST)?;
    let mut methods = Vec::with_capacity(count);
    for _ in 0..count {
        methods.push(WireMethod {
            name: r.string("method name", MAX_NAME)?,
            kind: r.byte()?,
            retry: r.byte()?,
            hash: r.u128()?,
        });
        if r.at() - start > MAX_ANSWER {
            let kind = DecodeErrorKind::TooLong { what: "answer to a declaration", bound: MAX_ANSWER };
            return Err(failed(start, kind));
        }
    }
    Ok(methods)
}

fn declaration(r: &mut Reader<'_>) -> Result<Declaration> {
    let offset = r.at();
    let name = r.string("service name", MAX_NAME)?;
    if name.is_empty() {
        return Err(failed(offset, DecodeErrorKind::Empty("service name")));
    }
    Ok(Declaration { name, digest: r.u128()? })
}

fn credit(r: &mut Reader<'_>) -> Result<Credit> {
    Ok(match r.byte()? {
        0 => Credit::Calls { total: r.varint()? },
        1 => Credit::Streams { total: r.varint()? },
        2 => Credit::Assembly { total: r.varint()? },
        3 => Credit::Items { call: call_ref(r)?, taken: r.varint()?, total: r.varint()? },
        value => {
            let what = "kind of credit";
            return Err(failed(r.at() - 1, DecodeErrorKind::UnknownValue { what, value }));
        }
    })
}

fn once_table(r: &mut Reader<'_>) -> Result<OnceTable> {
    Ok(OnceTable { id: r.u128()?, tick: r.varint()? })
}

fn ack(r: &mut Reader<'_>) -> Result<Ack> {
    Ok(Ack { seq: r.varint()?, unsequenced: r.varint()? })
}

fn close_code(r: &mut Reader<'_>) -> Result<CloseCode> {
    Ok(CloseCode::new(r.number("close code")?))
}

fn chunk(r: &mut Reader<'_>) -> Result<Chunk> {
    let transfer = r.number("transfer")?;
    let offset = r.at();
    let bytes = r.bytes("chunk", usize::MAX)?;
    if bytes.is_empty() {
        return Err(failed(offset, DecodeErrorKind::Empty("chunk")));
    }
    Ok(Chunk { transfer, bytes })
}

#[inline]
fn call_ref(r: &mut Reader<'_>) -> Result<CallRef> {
    let offset = r.at();
    let number = r.varint()?;
    let id =
        u32::try_from(number >> 1).map_err(|_| failed(offset, DecodeErrorKind::OutOfRange("call id")))?;
    let opener = if number & 1 == 0 { Opener::Writer } else { Opener::Reader };
    Ok(CallRef { id, opener })
}

/// Where the payload of an item lies behind its first byte, if it is like this.
#[inline]
fn item(r: &mut Reader<'_>, of: CallRef, in_codec: Codec, max: usize) -> Option<std::ops::Range<usize>> {
    if call_ref(r).ok()? != of || codec(r).ok()? != in_codec {
        return None;
    }
    let (offset, number) = (r.at(), r.varint().ok()?);
    let len = number >> 1;
    if number & 1 != 0 || len > max as u64 {
        return None;
    }
    r.take(offset, len).ok()
}

#[inline]
fn codec(r: &mut Reader<'_>) -> Result<Codec> {
    match r.byte()? {
        0 => Ok(Codec::Rkyv),
        1 => Ok(Codec::Json),
        value => Err(failed(r.at() - 1, DecodeErrorKind::UnknownValue { what: "codec", value })),
    }
}

#[inline(always)]
fn payload(r: &mut Reader<'_>) -> Result<Payload> {
    let offset = r.at();
    let number = r.varint()?;
    let len = number >> 1;
    if number & 1 == 0 {
        return Ok(Payload::Whole(r.slice(offset, len)?));
    }
    if len == 0 {
        return Err(failed(offset, DecodeErrorKind::Empty("chunked payload")));
    }
    Ok(Payload::Chunked { len, transfer: r.number("transfer")? })
}
