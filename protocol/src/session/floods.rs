//! What costs a client nothing to write is bounded per link: more of it closes the link.

use std::time::Duration;

use super::Session;
use super::types::Role;
use crate::Instant;
use crate::limits::Rate;
use crate::status::CloseCode;

/// What is bounded by how often it comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Flood {
    Ping,
    Auth,
    /// An acknowledgement that is no news.
    Ack,
    Cancel,
}

/// How much of each came on one link.
#[derive(Debug, Default)]
pub(super) struct Floods([Bucket; 4]);

/// One rate. What came is paid for until a moment that may lie in the future; each envelope moves it on.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    paid_until: Option<Instant>,
}

impl Bucket {
    /// Whether one more is within the rate; then it is paid for.
    pub(super) fn admit(&mut self, now: Instant, rate: Rate) -> bool {
        let next = self.next(now, rate).filter(|(wait, _)| wait.is_zero());
        self.paid_until = next.map(|(_, until)| until).or(self.paid_until);
        next.is_some()
    }

    /// From when on one is within the rate, which is paid for: the last one that was, if it is still to come, or one more.
    /// `None` if none ever is.
    pub(super) fn reserve(&mut self, now: Instant, rate: Rate) -> Option<Instant> {
        let (wait, until) = self.next(now, rate)?;
        match self.paid_until {
            Some(paid) if paid > now + rate.per => Some(now + (paid - (now + rate.per))),
            _ => {
                self.paid_until = Some(until);
                Some(now + wait)
            }
        }
    }

    /// How long one more has to wait to be within the rate, and until when it pays.
    fn next(&self, now: Instant, rate: Rate) -> Option<(Duration, Instant)> {
        let until = self.paid_until.map_or(now, |until| until.max(now)) + rate.per.checked_div(rate.count)?;
        Some((until.saturating_duration_since(now + rate.per), until))
    }
}

impl Session {
    /// Counts an envelope that costs its writer nothing, and closes the link when there are too many.
    ///
    /// Only a server counts: a client chose whom to trust, and how often a server pings is the server's setting.
    pub(super) fn count_flood(&mut self, now: Instant, flood: Flood) {
        if self.role != Role::Server {
            return;
        }
        let limits = &self.config.limits;
        let (rate, reason) = match flood {
            Flood::Ping => (limits.pings, "too many pings"),
            Flood::Auth => (limits.auths, "too many new credentials"),
            Flood::Ack => (limits.idle_acks, "too many acknowledgements without progress"),
            Flood::Cancel => (limits.cancels, "too many cancels"),
        };
        if !self.link.floods.0[flood as usize].admit(now, rate) {
            self.close(now, CloseCode::RATE_LIMITED, reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::origin;
    use super::*;

    #[test]
    fn a_burst_goes_and_then_as_much_as_the_rate_says() {
        let start = origin();
        let at = |millis| start + Duration::from_millis(millis);
        let rate = Rate { count: 10, per: Duration::from_secs(50) };
        let mut bucket = Bucket::default();
        assert!((0..10).all(|_| bucket.admit(at(0), rate)));
        assert!(!bucket.admit(at(4_999), rate));
        assert!(bucket.admit(at(5_000), rate));
        assert!(!bucket.admit(at(5_000), rate), "what was refused cost nothing, and gained nothing");
        assert!((2..100).all(|it| bucket.admit(at(it * 5_000), rate)), "for ever");
        // After a rest the whole burst is there again, and no more.
        assert!((0..10).all(|_| bucket.admit(at(10_000_000), rate)));
        assert!(!bucket.admit(at(10_000_000), rate));
    }

    #[test]
    fn none_is_none() {
        let mut bucket = Bucket::default();
        assert!(!bucket.admit(origin(), Rate { count: 0, per: Duration::from_secs(1) }));
    }
}
