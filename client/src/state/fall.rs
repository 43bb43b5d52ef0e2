use std::time::Duration;

use bowline_protocol::status::CloseCode;

/// How a try or a link came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fall {
    /// No link could be made, or it was lost without a word.
    Lost,
    /// Closed with a code, by either end.
    Closed { code: CloseCode, reason: String },
    /// What was given is no endpoint.
    Useless { reason: String },
}

impl Fall {
    /// Whether the endpoint is of less use than others, although the link had lived.
    pub(super) fn is_farewell(&self) -> bool {
        const FAREWELLS: [CloseCode; 5] = [
            CloseCode::AWAY,
            CloseCode::INTERNAL,
            CloseCode::new(1012), // "service restart", of the registry that RFC 6455 section 11.7 begins
            CloseCode::TRY_AGAIN,
            CloseCode::DRAIN,
        ];
        matches!(self, Self::Closed { code, .. } if FAREWELLS.contains(code))
    }

    /// How long the other end asks us to wait: a reason with "retry after 30 s".
    pub(super) fn wait(&self) -> Option<Duration> {
        /// It may ask for patience, not for eternity.
        const LONGEST: u64 = 600;
        let Self::Closed { reason, .. } = self else { return None };
        let (_, rest) = reason.split_once("retry after ")?;
        let seconds = rest.split_once(" s")?.0.parse::<u64>().ok()?;
        Some(Duration::from_secs(seconds.min(LONGEST)))
    }
}
