//! What takes in envelopes.

use crate::codec::Codec;
use crate::envelope::{CallOpen, CallRef, Envelope, Payload, Sequenced};

/// Takes in envelopes as they are read. Those that come by the thousand come in parts, which nobody need put together.
pub(crate) trait Hear {
    fn call(&mut self, seq: u64, open: CallOpen);
    fn response(&mut self, seq: u64, call: CallRef, codec: Codec, payload: Payload);
    /// Any other that has a number.
    fn sequenced(&mut self, seq: u64, sequenced: Sequenced);
    /// One without a number.
    fn unnumbered(&mut self, envelope: Envelope);
}

/// Puts one envelope together.
#[derive(Debug, Default)]
pub(super) struct Heard(Option<Envelope>);

impl Heard {
    pub(super) fn envelope(self) -> Option<Envelope> {
        self.0
    }
}

impl Hear for Heard {
    fn call(&mut self, seq: u64, open: CallOpen) {
        self.sequenced(seq, Sequenced::Call(open));
    }

    fn response(&mut self, seq: u64, call: CallRef, codec: Codec, payload: Payload) {
        self.sequenced(seq, Sequenced::Response { call, codec, payload });
    }

    fn sequenced(&mut self, seq: u64, sequenced: Sequenced) {
        self.0 = Some(Envelope::Sequenced(seq, sequenced));
    }

    fn unnumbered(&mut self, envelope: Envelope) {
        self.0 = Some(envelope);
    }
}
