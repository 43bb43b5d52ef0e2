//! Calls of `idempotent` methods that are made again when they are answered `Unavailable`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bowline_protocol::schema::{MethodKind, Retry};
use bowline_protocol::status::Code;
use bowline_runtime::{Sleep, now, random_bytes, sleep_until};

use crate::channel::Target;
use crate::error::Ending;
use crate::peer::Peer;
use crate::reply::Outcome;
use crate::{Call, Reply};

/// How often a call is made again: 3 times. Source: our choice; what three tries don't bring is no hiccup.
const RETRIES: u32 = 3;

/// The longest pause before the first retry, which doubles each time: 0.1 s. Its length is uniform between nothing and
/// that ("full jitter"), so that callers that failed together don't come back together.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest pause there is: 1 s. Only a callee that asks for more gets more.
const LONGEST: Duration = Duration::from_secs(1);

/// The tenths of a token that all calls of a session have for retries: 10 tokens. Each retry takes one, each success
/// gives a tenth back: while most calls fail, retries are at most a tenth of the load. Source: gRPC's throttling.
const BUDGET: u32 = 100;

/// What it takes to make a call again.
pub(super) struct Again {
    call: Call,
    target: Target,
    /// Where it was made last.
    peer: Peer,
    retries: u32,
    budget: Arc<Budget>,
}

impl Again {
    /// `None` for calls that are made only once, which this costs nothing.
    pub(super) fn of(target: &Target, peer: &Peer, call: &Call) -> Option<Box<Self>> {
        let method = call.descriptor();
        if method.retry != Retry::Idempotent || method.kind != MethodKind::Unary {
            return None;
        }
        let mut call = call.try_clone()?;
        call.ask_as(target, peer.clone());
        let (target, peer, budget) = (target.clone(), peer.clone(), target.extensions().get());
        Some(Box::new(Self { call, target, peer, retries: 0, budget }))
    }

    /// The pause before the call is made again; `None` if `reply` is its answer.
    pub(super) fn after(&mut self, reply: &Reply) -> Option<Sleep> {
        let Outcome::Failed(status, Ending::Status) = &reply.0 else {
            if reply.is_ok() || reply.is_application_error() {
                self.budget.give_back();
            }
            return None;
        };
        if status.code != Code::Unavailable || self.retries >= RETRIES || !self.peer.may_repeat(&self.call) {
            return None;
        }
        let until = now().checked_add(pause(self.retries).max(Duration::from_millis(status.detail)))?;
        // A retry that could only be too late would tell the caller less than the answer does.
        let in_time = self.call.deadline().is_none_or(|deadline| until < deadline);
        if !in_time || !self.budget.take() {
            return None;
        }
        self.retries += 1;
        Some(sleep_until(until))
    }

    /// The call once more, and what it is made on.
    pub(super) fn parts(&mut self) -> Option<Parts<'_>> {
        let peer = self.target.peer();
        self.peer = peer.clone();
        Some(Parts { target: &self.target, peer, call: self.call.try_clone()? })
    }
}

/// What a call is made of once more.
pub(super) struct Parts<'a> {
    pub(super) target: &'a Target,
    pub(super) peer: Peer,
    pub(super) call: Call,
}

fn pause(retries: u32) -> Duration {
    let longest = PAUSE.saturating_mul(1 << retries.min(16)).min(LONGEST);
    let fraction = f64::from(u32::from_le_bytes(random_bytes())) / f64::from(u32::MAX);
    longest.mul_f64(fraction)
}

/// What one session may spend on retries.
#[derive(Debug)]
struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(BUDGET))
    }
}

impl Budget {
    fn take(&self) -> bool {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |tenths| tenths.checked_sub(10)).is_ok()
    }

    fn give_back(&self) {
        let more = |tenths| (tenths < BUDGET).then_some(tenths + 1);
        // A full budget stays full.
        let _full = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_uniform_up_to_a_bound_that_doubles_to_a_second() {
        for (retries, longest) in [(0, 100), (1, 200), (2, 400), (3, 800), (4, 1000), (40, 1000)] {
            let longest = Duration::from_millis(longest);
            let pauses: Vec<_> = (0..200).map(|_| pause(retries)).collect();
            assert!(pauses.iter().all(|pause| *pause <= longest), "{retries}");
            // 200 draws miss a quarter with a chance of 1 in 10^25.
            assert!(pauses.iter().any(|pause| *pause < longest / 4), "{retries}");
            assert!(pauses.iter().any(|pause| *pause > longest * 3 / 4), "{retries}");
        }
    }

    #[test]
    fn ten_successes_pay_for_one_retry() {
        let budget = Budget::default();
        for _ in 0..10 {
            assert!(budget.take());
        }
        for _ in 0..9 {
            assert!(!budget.take());
            budget.give_back();
        }
        assert!(!budget.take());
        budget.give_back();
        assert!(budget.take());
        assert!(!budget.take());
    }

    #[test]
    fn successes_are_not_saved_up_beyond_ten_retries() {
        let budget = Budget::default();
        for _ in 0..1000 {
            budget.give_back();
        }
        assert_eq!((0..20).filter(|_| budget.take()).count(), 10);
    }
}
