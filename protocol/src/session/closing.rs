//! The end of a link: closed by this end, or lost.

use super::types::Role;
use super::{Link, Session};
use crate::Instant;
use crate::envelope::{Control, Encoder, Envelope, Hello, Refusal};
use crate::status::CloseCode;

/// Where a link is.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// There is no link.
    #[default]
    Idle,
    /// Client: the hello is to be written.
    HelloDue,
    /// The other end's hello or welcome is waited for.
    Waiting,
    /// Server: the application looks at the hello.
    Greeted(Box<Hello>),
    /// Calls travel.
    Live,
    /// This end closes the link; `told` once the other end was told why.
    Closing { refusal: Refusal, told: bool },
    /// The link is closed, as far as this end goes.
    Closed,
    /// Server: the session has ended, and this machine with it.
    Over,
}

impl Phase {
    /// Whether what comes is looked at. After its own close an end only lets the peer talk itself out.
    pub(super) fn reads(&self) -> bool {
        match self {
            Self::HelloDue | Self::Waiting | Self::Greeted(_) | Self::Live => true,
            Self::Idle | Self::Closing { .. } | Self::Closed | Self::Over => false,
        }
    }
}

impl Session {
    /// Closes the link. The other end is told why; then [`poll_close`](Self::poll_close) has the code.
    ///
    /// The session goes on without the link, unless the code [stops](CloseCode::stops) the client.
    pub fn close(&mut self, _now: Instant, code: CloseCode, reason: &str) {
        if !self.link.phase.reads() {
            return;
        }
        // A socket that accepts nothing won't take the explanation either.
        let told = matches!(code, CloseCode::SLOW | CloseCode::NO_PONG);
        self.count_strike(code);
        let refusal = Refusal { code, reason: reason.to_owned() };
        self.link.phase = Phase::Closing { refusal, told };
        self.link.hello_due = None;
    }

    /// Server: tells the client that this end will close soon, and to move to another session at a moment of its choice
    /// within `spread`. Nothing else changes. On each link the client listens to the first only.
    pub fn go_away(&mut self, _now: Instant, spread: std::time::Duration) {
        if self.is_live() && self.role == Role::Server {
            self.link.go_away = Some(u64::try_from(spread.as_millis()).unwrap_or(u64::MAX));
        }
    }

    /// A link that is closed for cause again and again, while nothing moves, takes its session with it.
    pub(super) fn count_strike(&mut self, code: CloseCode) {
        if matches!(code, CloseCode::SLOW | CloseCode::STALLED_MESSAGE | CloseCode::OUT_OF_STEP) {
            self.state.strikes = self.state.strikes.saturating_add(1);
        }
    }

    /// The code and reason to close the link with, once.
    pub fn poll_close(&mut self) -> Option<Refusal> {
        if !matches!(self.link.phase, Phase::Closing { told: true, .. }) {
            return None;
        }
        match std::mem::replace(&mut self.link.phase, Phase::Closed) {
            Phase::Closing { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    pub(super) fn write_closing(&mut self, encoder: &mut Encoder<'_>) {
        let Phase::Closing { refusal, told } = &mut self.link.phase else { return };
        if !std::mem::replace(told, true) {
            let Refusal { code, reason } = refusal.clone();
            encoder.push(&Envelope::Control(Control::Closing { code, reason }));
        }
    }

    /// The link is gone; `code` is what it was closed with, by either end, if it was.
    ///
    /// The session goes on without it, unless the code says that nobody comes back: then everything ends at a server,
    /// and at a client all that was written.
    pub fn handle_disconnect(&mut self, now: Instant, code: Option<CloseCode>) {
        if matches!(self.link.phase, Phase::Idle | Phase::Over) {
            return;
        }
        let was_live = self.link.has_lived;
        let link = std::mem::replace(&mut self.link, Link::new(&self.config));
        let had_session = self.state.identity.is_some();
        if had_session {
            self.detach(was_live, link.unsequenced);
        }
        let is_over = !had_session || code.is_some_and(CloseCode::stops);
        match self.role {
            Role::Server if is_over => self.end(now),
            Role::Client if is_over && had_session => self.lose(None, true),
            Role::Client | Role::Server => {}
        }
    }
}
