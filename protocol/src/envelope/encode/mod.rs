mod greeting;
mod head;
mod len;

use super::bounds::{MAX_REASON, MAX_STATUS_MESSAGE};
use super::kind::flag;
use super::{
    Ack, CallRef, Chunk, Control, Credit, Declaration, DeclareAnswer, Envelope, Notify, OnceTable, Opener,
    Payload, Refusal, Sequenced, WatchValue, WireError, kind, varint,
};
use crate::codec::Codec;

use greeting::{push_hello, push_welcome};
use head::{Head, SHORT};

pub(crate) use head::{Carried, Opening};
pub use len::MAX_HEADER;

/// Writes envelopes into one message.
///
/// A sequence number is written where it does not follow from the envelope before, so a run costs it once.
/// Names, credentials, tokens, metadata and lists are written as they are: whoever makes them keeps within
/// [`bounds`](super::bounds). Sentences for people are cut at their bound.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    last_seq: Option<u64>,
}

impl<'a> Encoder<'a> {
    /// An encoder of one message, whose bytes are appended to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, last_seq: None }
    }

    /// How many bytes `out` holds now.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether `out` holds nothing yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Appends one envelope.
    #[inline]
    pub fn push(&mut self, envelope: &Envelope) {
        match envelope {
            Envelope::Sequenced(seq, sequenced) => self.push_sequenced(*seq, sequenced),
            Envelope::Control(control) => push_control(self.out, control),
            Envelope::Watch(value) => push_watch(self.out, value),
            Envelope::Notify(notify) => push_notify(self.out, notify),
            Envelope::WatchChunk(chunk) => {
                self.out.push(kind::WATCH_CHUNK);
                push_chunk(self.out, chunk);
            }
        }
    }

    /// Appends the envelope of an item that is there as a slice; the same bytes as with [`push`](Self::push).
    #[inline]
    pub fn push_item(&mut self, seq: u64, call: CallRef, codec: Codec, item: &[u8]) {
        self.push_carrying(seq, kind::ITEM, call, codec, Carried::Whole(item));
    }

    /// The same for the response of a call.
    #[inline]
    pub(crate) fn push_response(&mut self, seq: u64, call: CallRef, codec: Codec, payload: &[u8]) {
        self.push_carrying(seq, kind::RESPONSE, call, codec, Carried::Whole(payload));
    }

    #[inline(always)]
    fn push_carrying(&mut self, seq: u64, kind: u8, call: CallRef, codec: Codec, payload: Carried<'_>) {
        let mut head = self.begin::<SHORT>(seq, kind);
        head.call_ref(call);
        head.byte(codec_number(codec));
        head.carry(payload);
    }

    /// Appends the envelope that opens a call, of parts that are kept elsewhere; the same bytes as with
    /// [`push`](Self::push).
    #[inline]
    pub(crate) fn push_call(&mut self, seq: u64, opening: &Opening<'_>) {
        push_opening(self.begin::<MAX_HEADER>(seq, kind::CALL), opening);
    }

    /// The head of an envelope with a sequence number.
    #[inline(always)]
    fn begin<const ROOM: usize>(&mut self, seq: u64, kind: u8) -> Head<'_, ROOM> {
        let follows = self.last_seq.and_then(|last| last.checked_add(1)) == Some(seq);
        self.last_seq = Some(seq);
        let mut head = Head::new(self.out);
        if follows {
            head.byte(kind);
        } else {
            head.byte(kind | kind::STATES_SEQ);
            head.varint(seq);
        }
        head
    }

    /// Appends one envelope with a sequence number; the same bytes as with [`push`](Self::push).
    pub fn push_sequenced(&mut self, seq: u64, sequenced: &Sequenced) {
        match sequenced {
            Sequenced::Declare { service, declaration } => {
                let out = self.push_kind(seq, kind::DECLARE);
                varint::write(out, u64::from(*service));
                push_declaration(out, declaration);
            }
            Sequenced::Declared { service, answer } => {
                let out = self.push_kind(seq, kind::DECLARED);
                varint::write(out, u64::from(*service));
                push_answer(out, answer);
            }
            Sequenced::Call(open) => self.push_call(seq, &open.into()),
            Sequenced::Response { call, codec, payload } => {
                self.push_carrying(seq, kind::RESPONSE, *call, *codec, payload.into());
            }
            Sequenced::Item { call, codec, payload } => {
                self.push_carrying(seq, kind::ITEM, *call, *codec, payload.into());
            }
            Sequenced::Error { call, error } => {
                let out = self.push_about(seq, kind::ERROR, *call);
                push_error(out, error);
            }
            Sequenced::End { call, last } => {
                let out = self.push_about(seq, kind::END, *call);
                match last {
                    None => out.push(0),
                    Some((codec, payload)) => {
                        out.push(1 + codec_number(*codec));
                        push_payload(out, payload);
                    }
                }
            }
            Sequenced::Accepted { call } => _ = self.push_about(seq, kind::ACCEPTED, *call),
            Sequenced::Cancel { call } => _ = self.push_about(seq, kind::CANCEL, *call),
            Sequenced::Void { call } => _ = self.push_about(seq, kind::VOID, *call),
            Sequenced::Gap { call, missed } => {
                let out = self.push_about(seq, kind::GAP, *call);
                varint::write(out, *missed);
            }
            Sequenced::Chunk(chunk) => {
                let out = self.push_kind(seq, kind::CHUNK);
                push_chunk(out, chunk);
            }
        }
    }

    fn push_kind(&mut self, seq: u64, kind: u8) -> &mut Vec<u8> {
        self.begin::<SHORT>(seq, kind).end()
    }

    fn push_about(&mut self, seq: u64, kind: u8, call: CallRef) -> &mut Vec<u8> {
        let mut head = self.begin::<SHORT>(seq, kind);
        head.call_ref(call);
        head.end()
    }
}

fn push_control(out: &mut Vec<u8>, control: &Control) {
    match control {
        Control::Hello(hello) => {
            out.push(kind::HELLO);
            push_sized(out, |out| push_hello(out, hello));
        }
        Control::Welcome(welcome) => {
            out.push(kind::WELCOME);
            push_sized(out, |out| push_welcome(out, welcome));
        }
        Control::Ack(ack) => {
            out.push(kind::ACK);
            push_ack(out, *ack);
        }
        Control::Credit(credit) => {
            out.push(kind::CREDIT);
            push_credit(out, *credit);
        }
        Control::Ping { nonce } => {
            out.push(kind::PING);
            varint::write(out, *nonce);
        }
        Control::Pong { nonce, ack, once_tick } => {
            out.push(kind::PONG);
            varint::write(out, *nonce);
            push_ack(out, *ack);
            varint::write(out, *once_tick);
        }
        Control::Auth { credentials } => {
            out.push(kind::AUTH);
            push_bytes(out, credentials.expose());
        }
        Control::AuthAnswer { refusal } => {
            out.push(kind::AUTH_ANSWER);
            match refusal {
                None => out.push(0),
                Some(Refusal { code, reason }) => {
                    out.push(1);
                    varint::write(out, u64::from(code.number()));
                    push_sentence(out, reason, MAX_REASON);
                }
            }
        }
        Control::GoAway { spread_ms } => {
            out.push(kind::GO_AWAY);
            varint::write(out, *spread_ms);
        }
        Control::Closing { code, reason } => {
            out.push(kind::CLOSING);
            varint::write(out, u64::from(code.number()));
            push_sentence(out, reason, MAX_REASON);
        }
    }
}

fn push_watch(out: &mut Vec<u8>, value: &WatchValue) {
    out.push(kind::WATCH);
    push_call_ref(out, value.call);
    out.push(codec_number(value.codec));
    push_payload(out, &value.payload);
}

fn push_notify(out: &mut Vec<u8>, notify: &Notify) {
    out.push(kind::NOTIFY);
    varint::write(out, u64::from(notify.service));
    varint::write(out, u64::from(notify.method));
    out.push(common_flags(notify.codec, &notify.metadata));
    push_metadata(out, &notify.metadata);
    push_bytes(out, &notify.payload);
}

#[inline]
fn push_opening(mut head: Head<'_, MAX_HEADER>, opening: &Opening<'_>) {
    let Opening { id, service, method, codec, time_left_ms, depth, once, metadata, payload } = opening;
    head.varint(u64::from(*id));
    head.varint(u64::from(*service));
    head.varint(u64::from(*method));
    let mut flags = common_flags(*codec, metadata);
    flags |= if time_left_ms.is_some() { flag::TIME_LEFT } else { 0 };
    flags |= if *depth != 0 { flag::DEPTH } else { 0 };
    flags |= if once.is_some() { flag::ONCE } else { 0 };
    head.byte(flags);
    if let Some(time_left_ms) = time_left_ms {
        head.varint(*time_left_ms);
    }
    if *depth != 0 {
        head.byte(*depth);
    }
    if let Some(once) = once {
        head.bytes(&once.key.to_le_bytes());
        head.bytes(&once.table.id.to_le_bytes());
        head.varint(once.table.tick);
    }
    if metadata.is_empty() {
        return head.carry(*payload);
    }
    let out = head.end();
    push_metadata(out, metadata);
    Head::<SHORT>::new(out).carry(*payload);
}

fn common_flags(codec: Codec, metadata: &[(String, String)]) -> u8 {
    let codec = if codec == Codec::Json { flag::JSON } else { 0 };
    codec | if metadata.is_empty() { 0 } else { flag::METADATA }
}

fn push_metadata(out: &mut Vec<u8>, metadata: &[(String, String)]) {
    if metadata.is_empty() {
        return;
    }
    varint::write(out, metadata.len() as u64);
    for (name, value) in metadata {
        push_bytes(out, name.as_bytes());
        push_bytes(out, value.as_bytes());
    }
}

fn push_error(out: &mut Vec<u8>, error: &WireError) {
    match error {
        WireError::Application { codec, payload } => {
            out.push(codec_number(*codec));
            push_payload(out, payload);
        }
        WireError::Status { code, message, detail } => {
            out.push(2);
            out.push(code.to_wire());
            varint::write(out, *detail);
            push_sentence(out, message, MAX_STATUS_MESSAGE);
        }
    }
}

fn push_answer(out: &mut Vec<u8>, answer: &DeclareAnswer) {
    match answer {
        DeclareAnswer::Same => out.push(0),
        DeclareAnswer::Different(methods) => {
            out.push(1);
            varint::write(out, methods.len() as u64);
            for method in methods {
                push_bytes(out, method.name.as_bytes());
                out.push(method.kind);
                out.push(method.retry);
                push_u128(out, method.hash);
            }
        }
        DeclareAnswer::Unknown => out.push(2),
    }
}

fn push_credit(out: &mut Vec<u8>, credit: Credit) {
    let (tag, total) = match credit {
        Credit::Calls { total } => (0, total),
        Credit::Streams { total } => (1, total),
        Credit::Assembly { total } => (2, total),
        Credit::Items { total, .. } => (3, total),
    };
    out.push(tag);
    if let Credit::Items { call, taken, .. } = credit {
        push_call_ref(out, call);
        varint::write(out, taken);
    }
    varint::write(out, total);
}

fn push_declaration(out: &mut Vec<u8>, declaration: &Declaration) {
    push_bytes(out, declaration.name.as_bytes());
    push_u128(out, declaration.digest);
}

fn push_once_table(out: &mut Vec<u8>, table: OnceTable) {
    push_u128(out, table.id);
    varint::write(out, table.tick);
}

fn push_ack(out: &mut Vec<u8>, ack: Ack) {
    varint::write(out, ack.seq);
    varint::write(out, ack.unsequenced);
}

fn push_chunk(out: &mut Vec<u8>, chunk: &Chunk) {
    varint::write(out, u64::from(chunk.transfer));
    push_bytes(out, &chunk.bytes);
}

fn push_call_ref(out: &mut Vec<u8>, call: CallRef) {
    varint::write(out, call_number(call));
}

fn call_number(call: CallRef) -> u64 {
    u64::from(call.id) << 1 | u64::from(call.opener == Opener::Reader)
}

fn push_payload(out: &mut Vec<u8>, payload: &Payload) {
    Head::<SHORT>::new(out).carry(payload.into());
}

fn push_option(out: &mut Vec<u8>, value: Option<u64>) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        varint::write(out, value);
    }
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::write(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn push_u128(out: &mut Vec<u8>, value: u128) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// A sentence for people may come from anywhere; too long a one must not cost the link.
fn push_sentence(out: &mut Vec<u8>, sentence: &str, bound: usize) {
    let mut end = sentence.len().min(bound);
    while !sentence.is_char_boundary(end) {
        end -= 1;
    }
    push_bytes(out, &sentence.as_bytes()[..end]);
}

/// Writes a body after its length. Once per link, so the second buffer costs nothing that counts.
fn push_sized(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let mut sized = Vec::new();
    body(&mut sized);
    push_bytes(out, &sized);
}

fn codec_number(codec: Codec) -> u8 {
    match codec {
        Codec::Rkyv => 0,
        Codec::Json => 1,
    }
}
