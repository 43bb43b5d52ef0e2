//! The first byte of each envelope. `WIRE.md` has the same table.

/// Set in the first byte of a sequenced envelope whose sequence number follows.
pub(super) const STATES_SEQ: u8 = 0x80;

pub(super) const HELLO: u8 = 0x01;
pub(super) const WELCOME: u8 = 0x02;
pub(super) const ACK: u8 = 0x03;
pub(super) const CREDIT: u8 = 0x04;
pub(super) const PING: u8 = 0x05;
pub(super) const PONG: u8 = 0x06;
pub(super) const AUTH: u8 = 0x07;
pub(super) const AUTH_ANSWER: u8 = 0x08;
pub(super) const GO_AWAY: u8 = 0x09;
pub(super) const CLOSING: u8 = 0x0a;

pub(super) const DECLARE: u8 = 0x10;
pub(super) const DECLARED: u8 = 0x11;
pub(super) const CALL: u8 = 0x12;
pub(super) const RESPONSE: u8 = 0x13;
pub(super) const ERROR: u8 = 0x14;
pub(super) const ACCEPTED: u8 = 0x15;
pub(super) const ITEM: u8 = 0x16;
pub(super) const END: u8 = 0x17;
pub(super) const CANCEL: u8 = 0x18;
pub(super) const VOID: u8 = 0x19;
pub(super) const GAP: u8 = 0x1a;
pub(super) const CHUNK: u8 = 0x1b;

pub(super) const WATCH: u8 = 0x20;
pub(super) const NOTIFY: u8 = 0x21;
pub(super) const WATCH_CHUNK: u8 = 0x22;

/// What a set bit in the flags of a call or notify says.
pub(super) mod flag {
    pub(crate) const JSON: u8 = 0x01;
    pub(crate) const METADATA: u8 = 0x02;
    pub(crate) const TIME_LEFT: u8 = 0x04;
    pub(crate) const DEPTH: u8 = 0x08;
    pub(crate) const ONCE: u8 = 0x10;
}
