//! A server's machine, and a client written by hand.

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    CallOpen, CallRef, Control, Declaration, Encoder, Envelope, Hello, Opener, Payload, Sequenced, VERSION,
    WireError, WireLimits,
};
use bowline_protocol::session::{Config, Event, IncomingCall, Session, Welcoming};
use bowline_protocol::status::{CloseCode, Code};
use bowline_test_support::origin;
use bytes::Bytes;

use crate::common::*;

/// A server's machine, and a client written by hand.
pub(crate) struct Hand {
    pub(crate) server: Session,
    pub(crate) seq: u64,
}

pub(crate) fn limits() -> WireLimits {
    WireLimits {
        calls: 256,
        streams: 256,
        stream_window: 65_536,
        message: 1 << 20,
        payload: 1 << 24,
        assembly: 1 << 24,
        replay: 1 << 20,
    }
}

pub(crate) fn hello() -> Hello {
    let declarations = vec![Declaration { name: "Chat".into(), digest: CHAT.digest() }];
    Hello {
        versions: vec![VERSION],
        instance: 1,
        attempt: 1,
        declarations,
        limits: limits(),
        ..Hello::default()
    }
}

impl Hand {
    pub(crate) fn connected(config: Config) -> Self {
        let mut server = Session::server(config);
        server.handle_connected(origin());
        Self { server, seq: 0 }
    }

    pub(crate) fn live() -> Self {
        Self::live_with(serving())
    }

    pub(crate) fn live_with(config: Config) -> Self {
        let mut hand = Self::connected(config);
        hand.say(Envelope::Control(Control::Hello(Box::new(hello()))));
        let ids = Welcoming::new(1, [0; 32], 1);
        hand.server.welcome(origin(), ids);
        hand.events();
        hand.heard();
        assert!(hand.server.is_live());
        hand
    }

    pub(crate) fn say(&mut self, envelope: Envelope) {
        let mut message = Vec::new();
        Encoder::new(&mut message).push(&envelope);
        self.server.handle_message(origin(), message.into());
    }

    pub(crate) fn say_next(&mut self, sequenced: Sequenced) {
        self.seq += 1;
        self.say(Envelope::Sequenced(self.seq, sequenced));
    }

    pub(crate) fn open(&mut self, id: u32, method: usize) {
        self.say_next(Sequenced::Call(opening(id, method, Payload::Whole("x".into()))));
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.server.poll_event()).collect()
    }

    pub(crate) fn heard(&mut self) -> Vec<Envelope> {
        let mut envelopes = Vec::new();
        while let Some(message) = self.server.poll_transmit(origin()) {
            envelopes.extend(bowline_protocol::envelope::Decoder::new(message).map(Result::unwrap));
        }
        envelopes
    }

    /// The code that the link is closed with, which must be so now.
    pub(crate) fn closed(&mut self) -> CloseCode {
        let heard = self.heard();
        let refusal = self.server.poll_close().expect("closed");
        assert!(!refusal.reason.is_empty());
        let told = matches!(heard.last(), Some(Envelope::Control(Control::Closing { code, .. })) if *code == refusal.code);
        assert!(told, "{heard:?}");
        // Nothing of what follows is looked at.
        self.server.handle_message(origin(), Bytes::from_static(&[0xff]));
        assert_eq!(self.server.poll_close(), None);
        refusal.code
    }

    /// The status that a call failed with; the link lives.
    pub(crate) fn failed(&mut self, id: u32) -> Code {
        assert!(self.server.is_live());
        let of = CallRef { id, opener: Opener::Reader };
        let heard = self.heard();
        let status = heard.iter().find_map(|envelope| match envelope {
            Envelope::Sequenced(_, Sequenced::Error { call, error: WireError::Status { code, .. } })
                if *call == of =>
            {
                Some(*code)
            }
            _ => None,
        });
        status.unwrap_or_else(|| panic!("no error for {id} in {heard:?}"))
    }
}

pub(crate) fn opening(id: u32, method: usize, payload: Payload) -> CallOpen {
    CallOpen {
        id,
        service: 0,
        method: method as u32,
        codec: Codec::Rkyv,
        time_left_ms: None,
        depth: 0,
        once: None,
        metadata: Vec::new(),
        payload,
    }
}

pub(crate) fn mine(id: u32) -> CallRef {
    CallRef { id, opener: Opener::Writer }
}

pub(crate) fn yours(id: u32) -> CallRef {
    CallRef { id, opener: Opener::Reader }
}

pub(crate) fn item(call: CallRef, payload: Payload) -> Sequenced {
    Sequenced::Item { call, codec: Codec::Rkyv, payload }
}

pub(crate) fn whole(len: usize) -> Payload {
    Payload::Whole(vec![0; len].into())
}

pub(crate) fn started(hand: &mut Hand) -> IncomingCall {
    match hand.events().remove(0) {
        Event::Call(call) => call,
        other => panic!("{other:?}"),
    }
}
