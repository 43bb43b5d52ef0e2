mod greeting;
mod len;

use super::bounds::{MAX_REASON, MAX_STATUS_MESSAGE};
use super::kind::flag;
use super::{
    Ack, CallOpen, CallRef, Chunk, Control, Credit, Declaration, DeclareAnswer, Envelope, Notify, OnceTable,
    Opener, Payload, Refusal, Sequenced, WatchValue, WireError, kind, varint,
};
use crate::codec::Codec;

use greeting::{push_hello, push_welcome};

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
        self.push_seq(seq, kind::ITEM);
        push_call_ref(self.out, call);
        self.out.push(codec_number(codec));
        push_whole(self.out, item);
    }

    #[inline]
    fn push_seq(&mut self, seq: u64, kind: u8) {
        if self.last_seq.and_then(|last| last.checked_add(1)) == Some(seq) {
            self.out.push(kind);
        } else {
            self.out.push(kind | kind::STATES_SEQ);
            varint::write(self.out, seq);
        }
        self.last_seq = Some(seq);
    }

    /// Appends one envelope with a sequence number; the same bytes as with [`push`](Self::push).
    pub fn push_sequenced(&mut self, seq: u64, sequenced: &Sequenced) {
        self.push_seq(seq, kind_of(sequenced));
        let out = &mut *self.out;
        match sequenced {
            Sequenced::Declare { service, declaration } => {
                varint::write(out, u64::from(*service));
                push_declaration(out, declaration);
            }
            Sequenced::Declared { service, answer } => {
                varint::write(out, u64::from(*service));
                push_answer(out, answer);
            }
            Sequenced::Call(open) => push_call(out, open),
            Sequenced::Response { call, codec, payload } | Sequenced::Item { call, codec, payload } => {
                push_call_ref(out, *call);
                out.push(codec_number(*codec));
                push_payload(out, payload);
            }
            Sequenced::Error { call, error } => {
                push_call_ref(out, *call);
                push_error(out, error);
            }
            Sequenced::End { call, last } => {
                push_call_ref(out, *call);
                match last {
                    None => out.push(0),
                    Some((codec, payload)) => {
                        out.push(1 + codec_number(*codec));
                        push_payload(out, payload);
                    }
                }
            }
            Sequenced::Accepted { call } | Sequenced::Cancel { call } | Sequenced::Void { call } => {
                push_call_ref(out, *call);
            }
            Sequenced::Gap { call, missed } => {
                push_call_ref(out, *call);
                varint::write(out, *missed);
            }
            Sequenced::Chunk(chunk) => push_chunk(out, chunk),
        }
    }
}

fn kind_of(sequenced: &Sequenced) -> u8 {
    match sequenced {
        Sequenced::Declare { .. } => kind::DECLARE,
        Sequenced::Declared { .. } => kind::DECLARED,
        Sequenced::Call(_) => kind::CALL,
        Sequenced::Response { .. } => kind::RESPONSE,
        Sequenced::Error { .. } => kind::ERROR,
        Sequenced::Accepted { .. } => kind::ACCEPTED,
        Sequenced::Item { .. } => kind::ITEM,
        Sequenced::End { .. } => kind::END,
        Sequenced::Cancel { .. } => kind::CANCEL,
        Sequenced::Void { .. } => kind::VOID,
        Sequenced::Gap { .. } => kind::GAP,
        Sequenced::Chunk(_) => kind::CHUNK,
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

fn push_call(out: &mut Vec<u8>, open: &CallOpen) {
    let CallOpen { id, service, method, codec, time_left_ms, depth, once, metadata, payload } = open;
    varint::write(out, u64::from(*id));
    varint::write(out, u64::from(*service));
    varint::write(out, u64::from(*method));
    let mut flags = common_flags(*codec, metadata);
    flags |= if time_left_ms.is_some() { flag::TIME_LEFT } else { 0 };
    flags |= if *depth != 0 { flag::DEPTH } else { 0 };
    flags |= if once.is_some() { flag::ONCE } else { 0 };
    out.push(flags);
    if let Some(time_left_ms) = time_left_ms {
        varint::write(out, *time_left_ms);
    }
    if *depth != 0 {
        out.push(*depth);
    }
    if let Some(once) = once {
        push_u128(out, once.key);
        push_once_table(out, once.table);
    }
    push_metadata(out, metadata);
    push_payload(out, payload);
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
    varint::write(out, u64::from(call.id) << 1 | u64::from(call.opener == Opener::Reader));
}

fn push_payload(out: &mut Vec<u8>, payload: &Payload) {
    match payload {
        Payload::Whole(bytes) => push_whole(out, bytes),
        Payload::Chunked { transfer, len } => {
            varint::write(out, len << 1 | 1);
            varint::write(out, u64::from(*transfer));
        }
    }
}

fn push_whole(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::write(out, (bytes.len() as u64) << 1);
    out.extend_from_slice(bytes);
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
