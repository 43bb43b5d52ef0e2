use std::fmt;

/// What kind of failure ended a call, in gRPC's terms where gRPC has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// The caller withdrew the call.
    Cancelled,
    /// The arguments, or an item, could not be decoded or were refused.
    InvalidArgument,
    /// The time was up.
    DeadlineExceeded,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// The caller is not known.
    Unauthenticated,
    /// A limit was reached.
    ResourceExhausted,
    /// There is no such service or method at the other end.
    Unimplemented,
    /// Not now; another try may succeed.
    Unavailable,
    /// A bug at the other end; the id leads to its log.
    Internal,
    /// The two ends were built with incompatible versions of the method.
    SchemaMismatch,
    /// The reader was too slow for a source that can't wait.
    Lagged,
    /// The other end can't know whether an earlier try of this `once` call ran, and ran nothing now.
    OutcomeUnknown,
}

impl Code {
    /// Every code with its number on the wire and its name in logs and metrics.
    const TABLE: [(Self, u8, &'static str); 12] = [
        (Self::Cancelled, 1, "cancelled"),
        (Self::InvalidArgument, 3, "invalid_argument"),
        (Self::DeadlineExceeded, 4, "deadline_exceeded"),
        (Self::PermissionDenied, 7, "permission_denied"),
        (Self::ResourceExhausted, 8, "resource_exhausted"),
        (Self::Unimplemented, 12, "unimplemented"),
        (Self::Internal, 13, "internal"),
        (Self::Unavailable, 14, "unavailable"),
        (Self::Unauthenticated, 16, "unauthenticated"),
        (Self::SchemaMismatch, 32, "schema_mismatch"),
        (Self::Lagged, 33, "lagged"),
        (Self::OutcomeUnknown, 34, "outcome_unknown"),
    ];

    /// The number on the wire; gRPC's where gRPC has the code, ours from 32 on.
    pub fn to_wire(self) -> u8 {
        self.row().1
    }

    /// The code with this number; a number we don't know is [`Code::Internal`], so that newer peers can say more.
    pub fn from_wire(number: u8) -> Self {
        Self::TABLE.iter().find(|row| row.1 == number).map_or(Self::Internal, |row| row.0)
    }

    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (Self, u8, &'static str) {
        *Self::TABLE.iter().find(|row| row.0 == self).expect("every code has a row")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known about a call that did not get its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It never left this end.
    NotSent,
    /// It left, and the other end never started it.
    NotExecuted,
    /// It left; whether it ran is not known.
    OutcomeUnknown,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "the call was never sent",
            Self::NotExecuted => "the call was not executed",
            Self::OutcomeUnknown => "whether the call was executed is not known",
        })
    }
}

/// A failure of a call that is Bowline's and not the method's own.
///
/// This is what layers return and what crosses the wire. `message` is for people and reaches the caller;
/// causes are logged where they happen and never sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Status {
    /// What kind of failure.
    pub code: Code,
    /// A sentence for people.
    pub message: String,
    /// A number that belongs to the code: items missed (`Lagged`), milliseconds to wait (`Unavailable`,
    /// `ResourceExhausted`), the id that the log has (`Internal`). 0 for none.
    pub detail: u64,
}

impl Status {
    /// A status with this code and sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: 0 }
    }

    /// The same with a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: u64) -> Self {
        self.detail = detail;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_from_its_number() {
        for (code, number, name) in Code::TABLE {
            assert_eq!(code.to_wire(), number);
            assert_eq!(Code::from_wire(number), code);
            assert_eq!(code.as_str(), name);
            assert_eq!(code.to_string(), name);
        }
    }

    /// Fails to compile when a code is added, and fails when it has no row.
    #[test]
    fn every_code_has_one_row_of_its_own() {
        let place = |code| match code {
            Code::Cancelled => 0,
            Code::InvalidArgument => 1,
            Code::DeadlineExceeded => 2,
            Code::PermissionDenied => 3,
            Code::ResourceExhausted => 4,
            Code::Unimplemented => 5,
            Code::Internal => 6,
            Code::Unavailable => 7,
            Code::Unauthenticated => 8,
            Code::SchemaMismatch => 9,
            Code::Lagged => 10,
            Code::OutcomeUnknown => 11,
        };
        let places: Vec<_> = Code::TABLE.iter().map(|row| place(row.0)).collect();
        assert_eq!(places, (0..=11).collect::<Vec<_>>());
        let numbers = Code::TABLE.map(|row| row.1);
        assert!(numbers.is_sorted_by(|one, next| one < next), "numbers are unique and in order");
    }

    #[test]
    fn a_number_that_we_do_not_know_is_internal() {
        let known = Code::TABLE.map(|row| row.1);
        for number in (0..=u8::MAX).filter(|number| !known.contains(number)) {
            assert_eq!(Code::from_wire(number), Code::Internal, "{number}");
        }
    }

    #[test]
    fn a_status_reads_as_code_and_sentence() {
        let status = Status::new(Code::Unavailable, "restarting").with_detail(1500);
        assert_eq!(status.to_string(), "unavailable: restarting");
        assert_eq!(status.detail, 1500);
        assert_eq!(Status::new(Code::Internal, "").detail, 0);
    }

    #[test]
    fn a_delivery_reads_as_a_sentence() {
        assert_eq!(Delivery::NotSent.to_string(), "the call was never sent");
        assert_eq!(Delivery::NotExecuted.to_string(), "the call was not executed");
        assert_eq!(Delivery::OutcomeUnknown.to_string(), "whether the call was executed is not known");
    }
}
