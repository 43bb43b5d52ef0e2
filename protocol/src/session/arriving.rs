//! A message under way: whether it goes on, how fast, and how much comes without ever becoming one.

use std::time::Duration;

use super::Session;
use super::caller::earlier;
use crate::Instant;
use crate::limits::{Limits, Timing};
use crate::status::CloseCode;

/// How often over the limit of messages may be on the wire before one of them is whole. Source: rule of the protocol; one
/// message, and as much again for the frames that it is cut into.
const OVERHEAD: u64 = 2;

/// What came on a link so far, as far as its driver can see it: totals, which only grow but for `unfinished`.
///
/// A driver that sees whole messages only, as in a browser, has nothing to say here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arriving {
    /// Bytes of messages, whole or not, with the headers of their frames. Control frames of the WebSocket are left out:
    /// a proxy may have sent them.
    pub bytes: u64,
    /// Messages that became whole.
    pub messages: u64,
    /// Bytes of every kind since the last whole message.
    pub unfinished: u64,
    /// Whether a message has begun and is not whole.
    pub is_partial: bool,
}

/// What comes on one link.
#[derive(Debug, Default)]
pub(super) struct Progress {
    seen: Arriving,
    under_way: Option<UnderWay>,
}

/// A message of which a part has come.
#[derive(Debug, Clone, Copy)]
struct UnderWay {
    /// When bytes of it last came.
    heard: Instant,
    /// Since when its pace is measured, and what had come by then.
    since: Instant,
    from: u64,
}

impl Progress {
    /// Returns whether bytes of messages came.
    fn handle_received(&mut self, now: Instant, arriving: Arriving) -> bool {
        let before = std::mem::replace(&mut self.seen, arriving);
        let came = arriving.bytes > before.bytes;
        let goes_on = arriving.messages == before.messages;
        self.under_way = match self.under_way {
            _ if !arriving.is_partial => None,
            Some(it) if goes_on => Some(UnderWay { heard: if came { now } else { it.heard }, ..it }),
            _ => Some(UnderWay { heard: now, since: now, from: before.bytes }),
        };
        came
    }

    fn timeout(&self, timing: &Timing) -> Option<Instant> {
        let it = self.under_way?;
        earlier(Some(it.heard + timing.message_stall), Some(it.since + timing.message_pace))
    }

    /// What is wrong with the message under way, if something is.
    fn handle_timeout(&mut self, now: Instant, limits: &Limits, timing: &Timing) -> Option<&'static str> {
        let it = self.under_way.as_mut()?;
        if it.heard + timing.message_stall <= now {
            return Some("a message began and does not go on");
        }
        if it.since + timing.message_pace <= now {
            let came = self.seen.bytes.saturating_sub(it.from);
            if came < least(limits.message_pace, timing.message_pace) {
                return Some("a message comes too slowly");
            }
            (it.since, it.from) = (now, self.seen.bytes);
        }
        None
    }

    /// What it waits for has waited since now.
    pub(super) fn restart(&mut self, now: Instant) {
        if let Some(it) = &mut self.under_way {
            *it = UnderWay { heard: now, since: now, from: self.seen.bytes };
        }
    }
}

/// The bytes that a pace makes in this time.
fn least(pace: usize, time: Duration) -> u64 {
    (pace as f64 * time.as_secs_f64()) as u64
}

impl Session {
    /// What has come on the link so far: said after each read in which a message began or went on, and after the one that
    /// completed it, before or after its [`handle_message`](Self::handle_message).
    ///
    /// They show that the other end is alive. In return a message that began has to go on, and to become whole: if not,
    /// the link is closed with 4007.
    pub fn handle_received(&mut self, now: Instant, arriving: Arriving) {
        if !self.link.phase.reads() {
            return;
        }
        if self.link.progress.handle_received(now, arriving) {
            self.link.heartbeat.handle_message(now);
        }
        if arriving.unfinished > OVERHEAD.saturating_mul(self.message_in() as u64) {
            let reason = "too many bytes without a whole message";
            self.close(now, CloseCode::STALLED_MESSAGE, reason);
        }
    }

    pub(super) fn arriving_timeout(&self) -> Option<Instant> {
        self.link.phase.reads().then(|| self.link.progress.timeout(&self.config.timing))?
    }

    /// Closes a link whose message under way does not go on.
    pub(super) fn expire_arriving(&mut self, now: Instant) {
        if !self.link.phase.reads() {
            return;
        }
        let Self { link, config, .. } = self;
        if let Some(reason) = link.progress.handle_timeout(now, &config.limits, &config.timing) {
            self.close(now, CloseCode::STALLED_MESSAGE, reason);
        }
    }
}
