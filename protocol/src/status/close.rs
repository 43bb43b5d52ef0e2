use std::fmt;

/// Why a link was closed: RFC 6455 section 7.4 codes where they fit, ours in 4000–4999.
///
/// Codes 4000–4499 tell the client to connect again, 4500–4999 to stop. Of the standard ones 1000, 1002, 1003,
/// 1007, 1008 and 1009 stop.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        impl CloseCode {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// A word for logs; `None` for a code that is not in the table.
            pub fn name(self) -> Option<&'static str> {
                match self.0 { $($number => Some($text),)* _ => None }
            }
        }
    };
}

codes! {
    /// Closed on purpose.
    NORMAL = 1000, "normal";
    /// The process or page goes away.
    AWAY = 1001, "away";
    /// WebSocket protocol error.
    PROTOCOL = 1002, "protocol error";
    /// Text where binary is due, or the other way round.
    UNSUPPORTED = 1003, "unsupported data";
    /// The link was lost without a close.
    ABNORMAL = 1006, "lost";
    /// Text that is not UTF-8.
    INVALID_DATA = 1007, "invalid data";
    /// Refused by policy.
    POLICY = 1008, "policy";
    /// A message above the limit.
    TOO_BIG = 1009, "message too big";
    /// A bug at the server.
    INTERNAL = 1011, "internal error";
    /// Not now; the reason says how long to wait.
    TRY_AGAIN = 1013, "try again later";
    /// The server is being stopped.
    DRAIN = 4001, "drain";
    /// The reader of this link was too slow.
    SLOW = 4002, "slow";
    /// No answer to a ping.
    NO_PONG = 4003, "no pong";
    /// The credentials are too old: refresh, then resume.
    CREDENTIALS_EXPIRED = 4004, "credentials expired";
    /// A newer link of the same client took over.
    FENCED = 4005, "fenced";
    /// Too much of something per time.
    RATE_LIMITED = 4006, "rate limited";
    /// A message that made no progress.
    STALLED_MESSAGE = 4007, "message without progress";
    /// A sequence number or acknowledgement that cannot be.
    OUT_OF_STEP = 4008, "out of step";
    /// Nobody said hello in time.
    NO_HELLO = 4009, "no hello";
    /// The credentials were refused.
    BAD_CREDENTIALS = 4500, "bad credentials";
    /// Bytes that are no envelopes, or envelopes that break the rules.
    MALFORMED = 4501, "malformed";
    /// No common version of the envelope format.
    VERSION = 4502, "version";
    /// The caller may not connect.
    FORBIDDEN = 4503, "forbidden";
    /// Another instance took the session.
    SUPERSEDED = 4504, "superseded by another instance";
    /// The caller has too many connections.
    TOO_MANY = 4505, "too many connections";
}

impl CloseCode {
    /// The code with this number; any number can arrive from a peer.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number in the close frame.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether a client stops connecting after this code.
    pub const fn stops(self) -> bool {
        matches!(self.0, 1000 | 1002 | 1003 | 1007 | 1008 | 1009 | 4500..=4999)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_codes_below_4500_reconnect_and_the_others_stop() {
        for number in 4000..4500 {
            assert!(!CloseCode::new(number).stops(), "{number}");
        }
        for number in 4500..5000 {
            assert!(CloseCode::new(number).stops(), "{number}");
        }
    }

    #[test]
    fn six_standard_codes_stop() {
        let stopping: Vec<_> = (0..4000).filter(|number| CloseCode::new(*number).stops()).collect();
        assert_eq!(stopping, [1000, 1002, 1003, 1007, 1008, 1009]);
        assert!((5000..=u16::MAX).all(|number| !CloseCode::new(number).stops()));
    }

    /// The table of the rules, written down a second time: the numbers are a promise to every client.
    #[test]
    fn the_numbers_stay() {
        let named: Vec<_> =
            (0..=u16::MAX).filter(|number| CloseCode::new(*number).name().is_some()).collect();
        let standard = [1000, 1001, 1002, 1003, 1006, 1007, 1008, 1009, 1011, 1013];
        let reconnect = [4001, 4002, 4003, 4004, 4005, 4006, 4007, 4008, 4009];
        let stop = [4500, 4501, 4502, 4503, 4504, 4505];
        assert_eq!(named, [&standard[..], &reconnect, &stop].concat());
        assert_eq!(CloseCode::DRAIN.number(), 4001);
        assert_eq!(CloseCode::OUT_OF_STEP.number(), 4008);
        assert_eq!(CloseCode::NO_HELLO.number(), 4009);
        assert_eq!(CloseCode::MALFORMED.number(), 4501);
        assert_eq!(CloseCode::TOO_MANY.number(), 4505);
    }

    #[test]
    fn a_code_shows_its_number_and_its_name_if_it_has_one() {
        assert_eq!(CloseCode::MALFORMED.to_string(), "4501 (malformed)");
        assert_eq!(CloseCode::new(3999).to_string(), "3999");
        assert_eq!(format!("{:?}", CloseCode::new(3999)), "3999");
    }
}
