//! What a hello is told: continue, begin anew, or go away.

use std::time::Duration;

use super::token::Digest;
use super::tombstones::Epitaph;
use super::types::{Gap, Verdict, Who};
use super::{NodeLimits, Place, Registry};
use crate::Instant;
use crate::envelope::{GapReason, Hello, Refusal, Resume};
use crate::status::CloseCode;

/// Why a hello can't continue its session.
pub(super) enum Obstacle {
    Gone(Gap),
    Refused(Refusal),
}

impl Registry {
    /// Judges a hello of an authenticated link. A refused one never changes the session that it names.
    pub fn look(&mut self, now: Instant, hello: &Hello, who: &Who) -> Verdict {
        self.handle_timeout(now);
        let Some(resume) = &hello.resume else { return self.admit(None) };
        match self.judge(now, hello, resume, who) {
            Ok(()) => Verdict::Resume { session: resume.session },
            Err(Obstacle::Refused(refusal)) => Verdict::Refuse(refusal),
            Err(Obstacle::Gone(gap)) => self.admit(Some(gap)),
        }
    }

    /// A new session, if there is room for one.
    pub(super) fn admit(&mut self, gap: Option<Gap>) -> Verdict {
        match self.turn_away() {
            Some(refusal) => Verdict::Refuse(refusal),
            None => Verdict::New { gap },
        }
    }

    pub(super) fn turn_away(&mut self) -> Option<Refusal> {
        let why = if self.is_draining {
            "the server is being stopped"
        } else if self.attached >= self.limits.attached {
            "full"
        } else {
            return None;
        };
        self.counted.turned_away += 1;
        Some(wait(CloseCode::TRY_AGAIN, why, self.limits.refusal_wait))
    }

    /// Whether `hello` may continue the session that it names; counts the resume if so.
    fn judge(&mut self, now: Instant, hello: &Hello, resume: &Resume, who: &Who) -> Result<(), Obstacle> {
        let presented = Digest::of(resume.token.expose());
        self.recognise(hello, resume, who, &presented)?;
        let Some(entry) = self.entries.get_mut(&resume.session) else { return Ok(()) };
        let NodeLimits { resumes, resumes_period: period, .. } = self.limits;
        while entry.resumes.front().is_some_and(|at| *at + period <= now) {
            entry.resumes.pop_front();
        }
        // Only what was let through counts: who keeps trying gets in when the period has passed.
        if entry.resumes.len() >= resumes {
            self.counted.floods += 1;
            let left = entry.resumes.front().map_or(period, |at| (*at + period).duration_since(now));
            return Err(Obstacle::Refused(wait(CloseCode::RATE_LIMITED, "too many resumes", left)));
        }
        entry.resumes.push_back(now);
        Ok(())
    }

    /// Whether the token is valid, its bearer the owner, and the attempt the newest; in this order, because what is
    /// said about a session is for its owner only.
    pub(super) fn recognise(
        &mut self,
        hello: &Hello,
        resume: &Resume,
        who: &Who,
        presented: &Digest,
    ) -> Result<(), Obstacle> {
        let gone = |reason| Err(Obstacle::Gone(Gap { reason, remains: None }));
        let counted = &mut self.counted;
        let Some(entry) = self.entries.get(&resume.session) else {
            return match self.tombstones.read(resume.session, who.identity, presented) {
                Epitaph::Of(reason, remains) => Err(Obstacle::Gone(Gap { reason, remains: Some(remains) })),
                Epitaph::Foreign => {
                    counted.identities_refused += 1;
                    gone(GapReason::IdentityChanged)
                }
                Epitaph::Unknown => {
                    counted.tokens_refused += 1;
                    gone(GapReason::Unknown)
                }
            };
        };
        if !entry.tokens.admit(presented) {
            counted.tokens_refused += 1;
            return gone(GapReason::Unknown);
        }
        if entry.identity != who.identity {
            counted.identities_refused += 1;
            return gone(GapReason::IdentityChanged);
        }
        if let Place::Ending(reason) = entry.place {
            return gone(reason);
        }
        if entry.epoch != resume.epoch {
            return gone(GapReason::StateLost);
        }
        if entry.instance == hello.instance && hello.attempt <= entry.attempt {
            counted.fenced += 1;
            let reason = "a newer link has the session".into();
            return Err(Obstacle::Refused(Refusal { code: CloseCode::FENCED, reason }));
        }
        Ok(())
    }
}

/// A refusal that says how long to wait, in words that clients read the number from.
fn wait(code: CloseCode, why: &str, left: Duration) -> Refusal {
    let seconds = left.as_millis().div_ceil(1000);
    Refusal { code, reason: format!("{why}, retry after {seconds} s") }
}
