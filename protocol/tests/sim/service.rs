//! The service that both ends serve, and payloads that say where they come from.

use bowline_protocol::codec::Arguments;
use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bytes::Bytes;

pub(crate) const ASK: usize = 0;
pub(crate) const LIST: usize = 1;
pub(crate) const UPLOAD: usize = 2;
pub(crate) const CHAT: usize = 3;
pub(crate) const WATCH: usize = 4;
pub(crate) const NOTIFY: usize = 5;
pub(crate) const LOOK: usize = 6;
pub(crate) const PAY: usize = 7;

const fn method(name: &'static str, kind: MethodKind, retry: Retry, hash: u128) -> MethodDescriptor {
    MethodDescriptor { name, kind, retry, hash, deadline: None, lag: Lag::Close }
}

/// One method of each kind, and of each class of retries.
pub(crate) static SIM: ServiceDescriptor = ServiceDescriptor {
    name: "Sim",
    methods: &[
        method("ask", MethodKind::Unary, Retry::Never, 1),
        method("list", MethodKind::ServerStream, Retry::Never, 2),
        method("upload", MethodKind::ClientStream, Retry::Never, 3),
        method("chat", MethodKind::Bidirectional, Retry::Never, 4),
        method("watch", MethodKind::Watch, Retry::Never, 5),
        method("notify", MethodKind::Notify, Retry::Never, 6),
        method("look", MethodKind::Unary, Retry::Idempotent, 7),
        method("pay", MethodKind::Unary, Retry::Once, 8),
    ],
};

/// Whether the caller reads a stream.
pub(crate) fn has_items(method: usize) -> bool {
    matches!(method, LIST | CHAT | WATCH)
}

/// Whether the caller writes one.
pub(crate) fn has_upload(method: usize) -> bool {
    matches!(method, UPLOAD | CHAT)
}

/// What a payload is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Arguments = 1,
    Response = 2,
    Up = 3,
    Down = 4,
    Notify = 5,
}

/// What a payload says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) part: Part,
    /// The number that the oracle gave to the call.
    pub(crate) call: u32,
    /// Which run of its handler, from 1; 0 from a caller.
    pub(crate) run: u32,
    /// The place among the items of its direction.
    pub(crate) index: u32,
}

const HEADER: usize = 13;

impl Label {
    fn filling(self) -> u8 {
        (self.call ^ self.run.rotate_left(3) ^ self.index.rotate_left(5)) as u8
    }

    /// A payload of `len` bytes, at least as long as the label.
    pub(crate) fn payload(self, len: usize) -> Bytes {
        let mut bytes = Vec::with_capacity(len.max(HEADER));
        bytes.push(self.part as u8);
        bytes.extend(self.call.to_le_bytes());
        bytes.extend(self.run.to_le_bytes());
        bytes.extend(self.index.to_le_bytes());
        bytes.resize(len.max(HEADER), self.filling());
        bytes.into()
    }

    /// The label of a payload, if every byte of it is as it was written.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEADER)?;
        let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let part = match head[0] {
            1 => Part::Arguments,
            2 => Part::Response,
            3 => Part::Up,
            4 => Part::Down,
            5 => Part::Notify,
            _ => return None,
        };
        let label = Self { part, call: number(1), run: number(5), index: number(9) };
        rest.iter().all(|&byte| byte == label.filling()).then_some(label)
    }
}

/// Arguments that are the same in both codecs: the two ends of a simulation always agree on rkyv.
pub(crate) fn arguments(bytes: Bytes) -> Arguments {
    Arguments { rkyv: bytes, recode: |rkyv| Ok(rkyv.to_vec()) }
}
