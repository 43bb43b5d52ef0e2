//! Two ends of a session, their applications, and what they meant to say.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_protocol::limits::Limits;
use bowline_protocol::session::{CallId, Config, Held};
use bowline_test_support::{Pair, Random, Side, Weather};

use crate::common::*;

pub(crate) const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// One call, as the oracle knows it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) caller: Side,
    pub(crate) method: usize,
    pub(crate) own: CallId,
    /// Its name at the callee while a handler runs or is to answer.
    pub(crate) handler: Option<CallId>,
    pub(crate) starts: u32,
    pub(crate) is_stopped: bool,
    pub(crate) is_cancelled: bool,
    /// Its caller's machine is gone.
    pub(crate) is_lost: bool,
    pub(crate) terminals: u32,
    /// It ended as its handler meant, not by a failure.
    pub(crate) is_complete: bool,
    /// Items meant, and items that the reader has: from caller to callee, from callee to caller.
    pub(crate) meant: [u32; 2],
    pub(crate) arrived: [u32; 2],
    pub(crate) upload_over: bool,
    /// The number of the last value of a watch that the reader has.
    pub(crate) value: u32,
    /// The last value that was meant before the handler that runs now.
    pub(crate) since: u32,
}

pub(crate) struct World {
    pub(crate) pair: Pair,
    pub(crate) random: Random,
    pub(crate) calls: Vec<Call>,
    /// Calls by caller's side and name, while the caller waits for their end.
    pub(crate) own: BTreeMap<(u8, CallId), usize>,
    /// Calls by callee's side and name, until the handler has answered.
    pub(crate) handled: BTreeMap<(u8, CallId), usize>,
    pub(crate) notifies: (u64, u64),
    pub(crate) limits: Limits,
    pub(crate) cuts: bool,
    /// The session that the server's machine has been live in.
    pub(crate) server_session: Option<u128>,
    /// The session has gone on over another link.
    pub(crate) writes_again: bool,
}

pub(crate) fn payload(number: u32, direction: u8, index: u32, len: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.push(direction);
    bytes.extend(index.to_le_bytes());
    bytes.resize(len.max(9), number as u8 ^ index as u8);
    bytes
}

pub(crate) fn parse(bytes: &[u8]) -> (u32, u8, u32) {
    let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    let index = u32::from_le_bytes(bytes[5..9].try_into().unwrap());
    assert!(
        bytes[9..].iter().all(|&byte| byte == number as u8 ^ index as u8),
        "the bytes of another payload"
    );
    (number, bytes[4], index)
}

impl World {
    pub(crate) fn new(seed: u64, weather: Weather, cuts: bool) -> Self {
        let mut random = Random::new(seed);
        let limits = random.scarce_limits();
        let config = Config { limits: limits.clone(), ..serving() };
        let mut pair = Pair::live(config.clone(), config);
        pair.records = false;
        pair.weather = weather;
        pair.seed(seed);
        let server_session = pair.server().session_id();
        Self {
            pair,
            random,
            calls: Vec::new(),
            own: BTreeMap::new(),
            handled: BTreeMap::new(),
            notifies: (0, 0),
            limits,
            cuts,
            server_session,
            writes_again: false,
        }
    }

    pub(crate) fn len(&mut self) -> usize {
        match self.random.below(20) {
            0 => 65_000 + self.random.below(120_000) as usize,
            1..=3 => self.random.below(10_000) as usize,
            _ => self.random.below(100) as usize,
        }
    }

    pub(crate) fn any(&mut self, from: Vec<usize>) -> Option<usize> {
        if from.is_empty() { None } else { Some(from[self.random.below(from.len() as u64) as usize]) }
    }

    /// The network heals, handlers answer, readers read: everything ends.
    pub(crate) fn settle(&mut self) {
        for end in &mut self.pair.ends {
            (end.takes, end.hears) = (true, true);
        }
        // The scarcest limits let three messages of 600 bytes wait for an acknowledgement, which comes after a second.
        for _ in 0..20_000 {
            self.pair.advance(Duration::from_millis(100));
            self.take_events();
            self.check_bounds();
            for number in 0..self.calls.len() {
                for side in SIDES {
                    if self.is_read_at(number, side) {
                        self.read(number, side, usize::MAX);
                    }
                }
                self.answer(number);
            }
            self.take_events();
            if self.own.is_empty() && self.handled.is_empty() {
                // A call that was cancelled may still be under way.
                self.pair.advance(Duration::from_secs(3));
                self.take_events();
                if self.handled.is_empty() {
                    break;
                }
            }
        }
        self.check_bounds();
        assert!(
            self.own.is_empty(),
            "{:?}",
            self.own.values().map(|&it| &self.calls[it]).collect::<Vec<_>>()
        );
        for call in &self.calls {
            assert!(call.is_cancelled || call.terminals == 1 || self.cuts, "one terminal: {call:?}");
            assert!(call.handler.is_none());
            if call.is_complete && call.method == UNARY {
                assert_eq!(call.starts, 1);
            }
        }
        for side in SIDES {
            assert_eq!(self.pair.session(side).stats().held, Held::default(), "{side:?}");
        }
        let dropped = self.pair.client().stats().counted.notifies_dropped;
        let refused = self.pair.server().stats().counted.notifies_refused;
        assert!(self.notifies.0 <= self.notifies.1 + dropped + refused);
    }
}
