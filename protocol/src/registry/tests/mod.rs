//! Every rule of the registry, with literal times.

mod attempts;
mod bounds;
mod limits;
mod moves;
mod tokens;
mod windows;

use std::net::IpAddr;
use std::time::Duration;

use super::*;
use crate::envelope::{Hello, Refusal, Resume, Secret};
use crate::status::CloseCode;

const MIB: usize = 1024 * 1024;
const EPOCH: u128 = 77;

/// A registry, the instant it began at, and its clients' side of the story.
struct Book {
    registry: Registry,
    start: Instant,
}

impl Book {
    fn new(limits: NodeLimits) -> Self {
        Self { registry: Registry::new(limits), start: origin() }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    /// Begins session `session` at `seconds` with the token `[session as u8; 32]`, as instance 1, attempt 1.
    fn begin(&mut self, seconds: f64, session: u128, who: Who) {
        let now = self.at(seconds);
        let hello = Hello { instance: 1, attempt: 1, ..Hello::default() };
        assert_eq!(self.registry.look(now, &hello, &who), Verdict::New { gap: None });
        let new = New { session, token: &token(session), epoch: EPOCH, who, hello: &hello };
        self.registry.insert(now, new).unwrap();
    }

    /// As `begin`, and the client acknowledges its welcome.
    fn begin_proved(&mut self, seconds: f64, session: u128, who: Who) {
        self.begin(seconds, session, who);
        self.registry.prove(session);
    }

    /// As `begin_proved`, and the link is lost at once.
    fn park(&mut self, seconds: f64, session: u128, who: Who, held: usize) {
        self.begin_proved(seconds, session, who);
        self.registry.detach(self.at(seconds), session, held);
    }

    fn look(&mut self, seconds: f64, hello: &Hello, who: Who) -> Verdict {
        let now = self.at(seconds);
        self.registry.look(now, hello, &who)
    }

    /// Resumes with `hello` and is given `next`.
    fn resume(&mut self, seconds: f64, hello: &Hello, who: Who, next: [u8; 32]) -> Attached {
        let session = hello.resume.as_ref().unwrap().session;
        assert_eq!(self.look(seconds, hello, who), Verdict::Resume { session });
        let now = self.at(seconds);
        self.registry.attach(now, hello, &who, &next).unwrap()
    }

    /// What `look` says to a hello that may not go on, as a gap.
    fn gap(&mut self, seconds: f64, hello: &Hello, who: Who) -> Gap {
        match self.look(seconds, hello, who) {
            Verdict::New { gap: Some(gap) } => gap,
            verdict => panic!("{verdict:?}"),
        }
    }

    fn refusal(&mut self, seconds: f64, hello: &Hello, who: Who) -> (CloseCode, String) {
        match self.look(seconds, hello, who) {
            Verdict::Refuse(Refusal { code, reason }) => (code, reason),
            verdict => panic!("{verdict:?}"),
        }
    }

    /// Ends what the registry wants ended, and says what that was.
    fn evicted(&mut self, seconds: f64) -> Vec<(u128, GapReason)> {
        let now = self.at(seconds);
        let mut all = Vec::new();
        while let Some((session, reason)) = self.registry.poll_evicted() {
            self.registry.remove(now, session, reason, Remains::default());
            all.push((session, reason));
        }
        all
    }

    fn held(&self) -> RegistryHeld {
        self.registry.stats().held
    }

    fn counted(&self) -> RegistryCounted {
        self.registry.stats().counted
    }
}

impl Default for Book {
    fn default() -> Self {
        Self::new(NodeLimits::default())
    }
}

/// The token that `begin` gives.
fn token(session: u128) -> [u8; 32] {
    [session as u8; 32]
}

/// A hello of instance 1 that wants to go on with `session`.
fn hello(session: u128, token: [u8; 32], attempt: u64) -> Hello {
    let resume = Resume {
        session,
        token: Secret::from(token.to_vec()),
        epoch: EPOCH,
        last_processed: 0,
        declarations: 0,
        generation: 1,
        unsequenced: 0,
    };
    Hello { instance: 1, attempt, resume: Some(resume), ..Hello::default() }
}

fn user(identity: u128) -> Who {
    Who { identity: Some(identity), address: None }
}

fn address(last: u8) -> Who {
    Who { identity: None, address: Some(IpAddr::from([192, 0, 2, last])) }
}

const NOBODY: Who = Who { identity: None, address: None };
const UNKNOWN: Gap = Gap { reason: GapReason::Unknown, remains: None };

/// A start time, which tests only add to.
#[expect(clippy::disallowed_methods, reason = "an instant can be had no other way")]
fn origin() -> Instant {
    Instant::now()
}
