use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    Ack, CallOpen, CallRef, Chunk, Control, Credit, DeclareAnswer, Decoder, Encoder, Envelope, Notify,
    Opener, Outcome, Payload, Resume, Sequenced, VERSION, WatchValue, Welcome, WireError, WireLimits,
};
use bowline_protocol::schema::Hasher;
use bowline_protocol::session::{Role, Session};
use bytes::Bytes;

use super::{Script, wild};

/// The other end of the session under test. It knows the rules, and keeps them as long as its script says so: a peer
/// that breaks them with every word is told from the first one and meets little of a session.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// The last number that it wrote.
    written: u64,
    /// What it has read, and may acknowledge.
    read: Ack,
    mine: Vec<Call>,
    theirs: Vec<Call>,
    /// Numbers and open bytes of large payloads that it writes.
    writing: Vec<Transfer>,
    /// The same of those that it reads.
    reading: Vec<Transfer>,
    /// Calls, streams and bytes of large payloads: used, allowed.
    allowed: [(u64, u64); 3],
    window: u64,
    /// Declarations of the session without an answer.
    undeclared: Vec<u32>,
    /// One digest over what its hello declared.
    declarations: u128,
    /// It has a service to declare; a client did so in its hello.
    declares: bool,
    /// It lied about what it has read: what follows does not fit what it knows.
    confused: bool,
    /// Who the client was in the last welcome.
    pub(crate) caller: Option<u128>,
}

#[derive(Debug)]
struct Call {
    id: u32,
    method: u32,
    /// What its items cost, what of that was taken, and what they may cost.
    items: (u64, u64, u64),
    /// What the items that came for it cost.
    came: u64,
    ended: bool,
    over: bool,
}

#[derive(Debug)]
struct Transfer {
    number: u32,
    left: u64,
    call: CallRef,
    unsequenced: bool,
    terminal: bool,
}

impl Call {
    fn new(id: u32, method: u32, window: u64) -> Self {
        Self { id, method, items: (0, 0, window), came: 0, ended: false, over: false }
    }
}

impl Peer {
    /// Reads what the session wrote, which is always well formed and in step.
    pub(crate) fn read(&mut self, message: &Bytes) {
        for envelope in Decoder::new(message.clone()) {
            match envelope.expect("a session writes what can be read") {
                Envelope::Sequenced(seq, envelope) => {
                    assert_eq!(seq, self.read.seq + 1, "numbers have no holes");
                    self.read.seq = seq;
                    self.read_sequenced(&envelope);
                }
                Envelope::Control(control) => self.read_control(&control),
                Envelope::Watch(WatchValue { call, payload, .. }) => {
                    self.read.unsequenced += 1;
                    self.read_payload(call, &payload, true, false);
                }
                Envelope::WatchChunk(chunk) => {
                    self.read.unsequenced += 1;
                    self.read_chunk(&chunk);
                }
                Envelope::Notify(_) => self.read.unsequenced += 1,
            }
        }
    }

    /// What this peer, as a client, asks for when its link is lost: it says the truth about its numbers.
    pub(crate) fn resume(&mut self, session: &mut Session, generation: u64) -> Resume {
        let resume = Resume {
            session: 1,
            token: Bytes::from_static(&[7; 32]).into(),
            epoch: 2,
            last_processed: self.read.seq,
            declarations: self.declarations,
            generation,
            unsequenced: self.read.unsequenced,
        };
        self.begin_link(session.last_processed());
        resume
    }

    /// What this peer, as a server, says to the client that asks for `resume`: the truth.
    pub(crate) fn welcome(&self, resume: &Resume, generation: u64) -> Welcome {
        Welcome {
            version: VERSION,
            session: resume.session,
            token: Bytes::from_static(&[7; 32]).into(),
            epoch: resume.epoch,
            generation,
            outcome: Outcome::Resumed,
            peer_last_processed: Some(self.read.seq),
            peer_unsequenced: self.read.unsequenced,
            limits: wild::generous(),
            heartbeat_ms: 25_000,
            once: None,
            identity: self.caller,
        }
    }

    /// The session goes on on another link; `processed` is the last number that the other end has.
    pub(crate) fn begin_link(&mut self, processed: u64) {
        self.written = processed;
        self.read.unsequenced = 0;
        self.writing.retain(|it| !it.unsequenced);
        self.reading.retain(|it| !it.unsequenced);
    }

    /// The other end was told that this one has read up to `seq`, which is not so.
    pub(crate) fn claim(&mut self, seq: u64) {
        self.confused |= seq != self.read.seq;
        self.read.seq = seq;
    }

    fn read_control(&mut self, control: &Control) {
        match control {
            Control::Hello(hello) => {
                self.declares = true;
                self.undeclared = (0..hello.declarations.len() as u32).collect();
                self.start(&hello.limits);
            }
            Control::Welcome(welcome) => self.start(&welcome.limits),
            Control::Credit(Credit::Calls { total }) => self.allowed[0].1 = *total,
            Control::Credit(Credit::Streams { total }) => self.allowed[1].1 = *total,
            Control::Credit(Credit::Assembly { total }) => self.allowed[2].1 = *total,
            Control::Credit(Credit::Items { call, taken, total }) => {
                if let Some(call) = self.call(*call) {
                    call.items = (call.items.0, *taken, *total);
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, limits: &WireLimits) {
        self.allowed = [limits.calls.into(), limits.streams.into(), limits.assembly].map(|total| (0, total));
        self.window = limits.stream_window;
    }

    fn read_sequenced(&mut self, envelope: &Sequenced) {
        match envelope {
            Sequenced::Declare { service, .. } => self.undeclared.push(*service),
            Sequenced::Call(open) => {
                self.theirs.push(Call::new(open.id, open.method, self.window));
                let call = CallRef { id: open.id, opener: Opener::Writer };
                self.read_payload(call, &open.payload, false, false);
            }
            Sequenced::Item { call, payload, .. } => {
                let cost = 64 + len_of(payload);
                if let Some(call) = self.call(*call) {
                    call.came += cost;
                }
                self.read_payload(*call, payload, false, false);
            }
            Sequenced::Response { call, payload, .. }
            | Sequenced::Error { call, error: WireError::Application { payload, .. } }
            | Sequenced::End { call, last: Some((_, payload)) } => {
                self.read_payload(*call, payload, false, true);
            }
            Sequenced::Error { call, .. } => self.read_terminal(*call),
            Sequenced::End { call, .. } if call.opener == Opener::Reader => self.read_terminal(*call),
            Sequenced::Cancel { call } => self.reading.retain(|it| it.call != *call),
            Sequenced::Chunk(chunk) => self.read_chunk(chunk),
            _ => {}
        }
    }

    fn read_payload(&mut self, call: CallRef, payload: &Payload, unsequenced: bool, terminal: bool) {
        match payload {
            Payload::Chunked { transfer, len } => {
                if terminal {
                    // Its announcement says that nothing else of the call goes on.
                    self.reading.retain(|it| it.call != call);
                }
                let is_free = self.reading.iter().all(|it| it.number != *transfer || it.call == call);
                assert!(is_free || self.confused);
                self.reading.retain(|it| it.number != *transfer);
                self.reading.push(Transfer { number: *transfer, left: *len, call, unsequenced, terminal });
            }
            Payload::Whole(_) if terminal => self.read_terminal(call),
            Payload::Whole(_) => {}
        }
    }

    fn read_chunk(&mut self, chunk: &Chunk) {
        let place = self.reading.iter().position(|it| it.number == chunk.transfer);
        if place.is_none() && self.confused {
            return;
        }
        let place = place.expect("a chunk of a payload that was announced");
        let transfer = &mut self.reading[place];
        let left = transfer.left.checked_sub(chunk.bytes.len() as u64);
        assert!(left.is_some() || self.confused, "no more than announced");
        transfer.left = left.unwrap_or_default();
        if transfer.left == 0 {
            let Transfer { call, terminal, .. } = self.reading.remove(place);
            if terminal {
                self.read_terminal(call);
            }
        }
    }

    fn read_terminal(&mut self, call: CallRef) {
        assert_eq!(call.opener, Opener::Reader, "only a callee ends calls");
        self.reading.retain(|it| it.call != call);
        let under_way = self.writing.iter().any(|it| it.call == by_writer(call.id));
        let place = self.mine.iter().position(|it| it.id == call.id && !it.over);
        // Twice only where this peer broke the rules of its ids.
        let Some(place) = place else { return };
        if under_way {
            // Its id is free after the cancel that says so.
            self.mine[place].over = true;
        } else {
            self.mine.remove(place);
        }
    }

    /// The call that the session names so.
    fn call(&mut self, call: CallRef) -> Option<&mut Call> {
        let calls = match call.opener {
            Opener::Writer => &mut self.theirs,
            Opener::Reader => &mut self.mine,
        };
        calls.iter_mut().find(|it| it.id == call.id)
    }

    /// The right first message of this end, or something like it.
    pub(crate) fn handshake(&mut self, script: &mut Script<'_>, tested: Role) -> Bytes {
        let control = match tested {
            Role::Server => {
                let hello = wild::hello(script);
                let declared = hello.declarations.iter();
                let digest =
                    declared.fold(Hasher::new("declarations"), |it, next| it.field(&next.name, next.digest));
                self.declarations = digest.finish();
                Control::Hello(Box::new(hello))
            }
            Role::Client => {
                let welcome = wild::welcome(script);
                self.caller = welcome.identity;
                Control::Welcome(Box::new(welcome))
            }
        };
        encoded(&[Envelope::Control(control)])
    }

    /// A message of a few envelopes, sometimes with changed bytes, sometimes of bytes alone.
    pub(crate) fn message(&mut self, script: &mut Script<'_>) -> Bytes {
        if script.once_in(128) {
            let len = script.len() % 64;
            return Bytes::copy_from_slice(script.take(len));
        }
        let count = 1 + script.below(4);
        let envelopes: Vec<_> = (0..count).map(|_| self.envelope(script)).collect();
        let mut message = encoded(&envelopes);
        if script.once_in(128) {
            let mut changed = message.to_vec();
            let place = script.number() as usize % changed.len();
            changed[place] ^= script.byte();
            if script.once_in(4) {
                changed.truncate(place);
            }
            message = changed.into();
        }
        message
    }

    fn envelope(&mut self, script: &mut Script<'_>) -> Envelope {
        match script.byte() {
            255 => Envelope::Sequenced(script.number().max(1), wild::sequenced(script)),
            252..=254 => self.numbered(wild::sequenced(script)),
            250 | 251 => wild::unsequenced(script),
            _ => self.fair(script),
        }
    }

    fn numbered(&mut self, envelope: Sequenced) -> Envelope {
        self.written += 1;
        Envelope::Sequenced(self.written, envelope)
    }

    /// An envelope that keeps the rules, as far as this peer knows them.
    fn fair(&mut self, script: &mut Script<'_>) -> Envelope {
        if let Some(service) = self.undeclared.pop() {
            let answer = if script.once_in(8) { wild::answer(script) } else { DeclareAnswer::Same };
            return self.numbered(Sequenced::Declared { service, answer });
        }
        if std::mem::take(&mut self.declares) {
            let declaration = wild::declaration(script);
            return self.numbered(Sequenced::Declare { service: 0, declaration });
        }
        let fair = match script.below(16) {
            0..=3 => self.open(script),
            4 | 5 => self.upload(script),
            6..=9 => self.answer(script),
            10 | 11 => self.chunk(script),
            12 => self.cancel(script),
            13 => Some(self.credit(script)),
            14 => Some(Envelope::Notify(Notify {
                service: 0,
                method: 4,
                codec: wild::codec(script),
                metadata: vec![],
                payload: wild::bytes(script),
            })),
            _ => None,
        };
        fair.unwrap_or(Envelope::Control(Control::Ack(self.read)))
    }

    fn open(&mut self, script: &mut Script<'_>) -> Option<Envelope> {
        let method = [0, 1, 2, 3, 5][usize::from(script.below(5))];
        let class = usize::from(matches!(method, 1 | 3 | 5));
        let id = (0..8).find(|id| self.mine.iter().all(|it| it.id != *id))?;
        if self.allowed[class].0 >= self.allowed[class].1 {
            return None;
        }
        self.allowed[class].0 += 1;
        let payload = self.payload(script, by_writer(id), false);
        self.mine.push(Call::new(id, method, self.window));
        Some(self.numbered(Sequenced::Call(CallOpen {
            id,
            service: 0,
            method,
            codec: wild::codec(script),
            time_left_ms: script.once_in(2).then_some(1 + u64::from(script.byte()) * 64),
            depth: 0,
            once: None,
            metadata: vec![],
            payload,
        })))
    }

    /// An item, or the end of items, of a call that this peer opened.
    fn upload(&mut self, script: &mut Script<'_>) -> Option<Envelope> {
        let is_open = |it: &&Call| matches!(it.method, 2 | 3) && !it.ended && !it.over;
        let id = self.mine.iter().filter(is_open).nth(usize::from(script.below(4)))?.id;
        if script.once_in(8) {
            self.mine.iter_mut().filter(|it| it.id == id).for_each(|it| it.ended = true);
            return Some(self.numbered(Sequenced::End { call: by_writer(id), last: None }));
        }
        self.item(script, by_writer(id))
    }

    fn item(&mut self, script: &mut Script<'_>, call: CallRef) -> Option<Envelope> {
        // One payload of a call after the other.
        if self.writing.iter().any(|it| it.call == call) {
            return None;
        }
        let payload = self.payload(script, call, false);
        let calls = if call.opener == Opener::Writer { &mut self.mine } else { &mut self.theirs };
        let found = calls.iter_mut().find(|it| it.id == call.id)?;
        let cost = 64 + len_of(&payload);
        let (used, taken, total) = found.items;
        if used + cost > total && used != taken {
            // What was set aside for it is lost, which is this peer's own affair.
            self.writing.retain(|it| it.call != call);
            return None;
        }
        found.items.0 += cost;
        Some(self.numbered(Sequenced::Item { call, codec: Codec::Rkyv, payload }))
    }

    /// Something for a call of the session.
    fn answer(&mut self, script: &mut Script<'_>) -> Option<Envelope> {
        let Call { id, method, .. } = *self.theirs.get(usize::from(script.below(4)))?;
        let call = CallRef { id, opener: Opener::Reader };
        if self.writing.iter().any(|it| it.call == call) {
            return None;
        }
        let is_stream = matches!(method, 1 | 3 | 5);
        match script.below(8) {
            0 => {
                self.theirs.retain(|it| it.id != id);
                let error = wild::error(script);
                let error = match error {
                    WireError::Application { codec, payload: Payload::Chunked { .. } } => {
                        WireError::Application { codec, payload: Payload::Whole(Bytes::new()) }
                    }
                    other => other,
                };
                Some(self.numbered(Sequenced::Error { call, error }))
            }
            1 if is_stream => {
                self.theirs.retain(|it| it.id != id);
                Some(self.numbered(Sequenced::End { call, last: None }))
            }
            2 if is_stream => Some(self.numbered(Sequenced::Accepted { call })),
            3 if is_stream && method != 5 => {
                Some(self.numbered(Sequenced::Gap { call, missed: script.number() }))
            }
            _ if method == 5 => {
                let payload = self.payload(script, call, true);
                Some(Envelope::Watch(WatchValue { call, codec: Codec::Rkyv, payload }))
            }
            _ if is_stream => self.item(script, call),
            _ => {
                let payload = self.payload(script, call, false);
                if matches!(payload, Payload::Whole(_)) || script.once_in(2) {
                    self.theirs.retain(|it| it.id != id);
                }
                Some(self.numbered(Sequenced::Response { call, codec: Codec::Rkyv, payload }))
            }
        }
    }

    fn chunk(&mut self, script: &mut Script<'_>) -> Option<Envelope> {
        let place = usize::from(script.below(4));
        let transfer = self.writing.get_mut(place)?;
        let len = (script.len().max(1) as u64).min(transfer.left);
        transfer.left -= len;
        let Transfer { number, left, unsequenced, .. } = *transfer;
        if left == 0 {
            self.writing.remove(place);
        }
        let chunk = Chunk { transfer: number, bytes: vec![7; len as usize].into() };
        Some(match unsequenced {
            true => Envelope::WatchChunk(chunk),
            false => self.numbered(Sequenced::Chunk(chunk)),
        })
    }

    fn cancel(&mut self, script: &mut Script<'_>) -> Option<Envelope> {
        let over = self.mine.iter().find(|it| it.over).map(|it| it.id);
        let id = over.or_else(|| self.mine.get(usize::from(script.below(4))).map(|it| it.id))?;
        self.writing.retain(|it| it.call != by_writer(id));
        self.mine.retain(|it| it.id != id || !it.over);
        self.mine.iter_mut().filter(|it| it.id == id).for_each(|it| it.ended = true);
        Some(self.numbered(Sequenced::Cancel { call: by_writer(id) }))
    }

    /// Raises the total of something.
    fn credit(&mut self, script: &mut Script<'_>) -> Envelope {
        let more = u64::from(script.byte());
        let credit = match script.below(6) {
            0 => Credit::Calls { total: 8 + more },
            1 => Credit::Streams { total: 8 + more },
            2 => Credit::Assembly { total: (1 << 20) + (more << 16) },
            choice => {
                let (calls, opener) = match choice {
                    3 => (&self.mine, Opener::Writer),
                    _ => (&self.theirs, Opener::Reader),
                };
                let streams = calls.iter().filter(|it| matches!(it.method, 1..=3));
                match streams.take(4).last() {
                    Some(it) => Credit::Items {
                        call: CallRef { id: it.id, opener },
                        taken: it.came,
                        total: it.came + 4096,
                    },
                    None => Credit::Calls { total: 8 },
                }
            }
        };
        Envelope::Control(Control::Credit(credit))
    }

    fn payload(&mut self, script: &mut Script<'_>, call: CallRef, unsequenced: bool) -> Payload {
        let bytes = wild::bytes(script);
        let number = (0..16).find(|number| self.writing.iter().all(|it| it.number != *number));
        let len = bytes.len() as u64;
        let (used, total) = self.allowed[2];
        match number {
            Some(transfer) if script.once_in(4) && len > 0 && used + len <= total => {
                self.allowed[2].0 += len;
                self.writing.push(Transfer {
                    number: transfer,
                    left: len,
                    call,
                    unsequenced,
                    terminal: false,
                });
                Payload::Chunked { transfer, len }
            }
            _ => Payload::Whole(bytes),
        }
    }
}

fn by_writer(id: u32) -> CallRef {
    CallRef { id, opener: Opener::Writer }
}

fn len_of(payload: &Payload) -> u64 {
    match payload {
        Payload::Whole(bytes) => bytes.len() as u64,
        Payload::Chunked { len, .. } => *len,
    }
}

pub(crate) fn encoded(envelopes: &[Envelope]) -> Bytes {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    envelopes.iter().for_each(|envelope| encoder.push(envelope));
    out.into()
}
