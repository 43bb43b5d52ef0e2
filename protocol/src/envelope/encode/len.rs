//! How long envelopes become, before they are written.

use crate::envelope::{Control, DeclareAnswer, Envelope, Payload, Sequenced, WireError, varint};

/// More bytes than the header of any envelope takes that carries a payload, metadata apart.
///
/// A batch that leaves this much room for each envelope, and its payload, never outgrows its message.
/// [`Envelope::max_len`] counts metadata, names and sentences too.
pub const MAX_HEADER: usize = 112;

impl Envelope {
    /// At least as many bytes as the encoded envelope takes; rarely more than [`MAX_HEADER`] too many.
    ///
    /// Costs a few additions (one per name, for lists), so that a batch can ask before it takes an envelope in.
    pub fn max_len(&self) -> usize {
        MAX_HEADER
            + match self {
                Self::Control(control) => control_len(control),
                Self::Sequenced(_, sequenced) => sequenced_len(sequenced),
                Self::Watch(value) => payload_len(&value.payload),
                Self::Notify(notify) => metadata_len(&notify.metadata) + notify.payload.len(),
                Self::WatchChunk(chunk) => chunk.bytes.len(),
            }
    }
}

/// Room for a length field and a digest or two numbers, beside a name.
const PER_ENTRY: usize = 32;

fn control_len(control: &Control) -> usize {
    match control {
        Control::Hello(hello) => {
            let resume = hello.resume.as_ref().map_or(0, |resume| 96 + resume.token.len());
            let names = hello.declarations.iter().map(|it| PER_ENTRY + it.name.len()).sum::<usize>();
            // 80 for the limits, 5 for each version.
            80 + 5 * hello.versions.len() + hello.credentials.len() + names + resume
        }
        Control::Welcome(welcome) => 256 + welcome.token.len(),
        Control::Auth { credentials } => credentials.len(),
        Control::AuthAnswer { refusal } => refusal.as_ref().map_or(0, |it| it.reason.len()),
        Control::Closing { reason, .. } => reason.len(),
        Control::Ack(_)
        | Control::Credit(_)
        | Control::Ping { .. }
        | Control::Pong { .. }
        | Control::GoAway { .. } => 0,
    }
}

fn sequenced_len(sequenced: &Sequenced) -> usize {
    match sequenced {
        Sequenced::Declare { declaration, .. } => declaration.name.len(),
        Sequenced::Declared { answer: DeclareAnswer::Different(methods), .. } => {
            methods.iter().map(|it| PER_ENTRY + it.name.len()).sum()
        }
        Sequenced::Call(open) => metadata_len(&open.metadata) + payload_len(&open.payload),
        Sequenced::Response { payload, .. } | Sequenced::Item { payload, .. } => payload_len(payload),
        Sequenced::Error { error, .. } => match error {
            WireError::Application { payload, .. } => payload_len(payload),
            WireError::Status { message, .. } => message.len(),
        },
        Sequenced::End { last, .. } => last.as_ref().map_or(0, |(_, payload)| payload_len(payload)),
        Sequenced::Chunk(chunk) => chunk.bytes.len(),
        Sequenced::Declared { .. }
        | Sequenced::Accepted { .. }
        | Sequenced::Cancel { .. }
        | Sequenced::Void { .. }
        | Sequenced::Gap { .. } => 0,
    }
}

fn payload_len(payload: &Payload) -> usize {
    match payload {
        Payload::Whole(bytes) => bytes.len(),
        Payload::Chunked { .. } => 0,
    }
}

fn metadata_len(metadata: &[(String, String)]) -> usize {
    metadata.iter().map(|(name, value)| 2 * varint::MAX_LEN + name.len() + value.len()).sum()
}
