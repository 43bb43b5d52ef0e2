use std::time::Duration;

use bowline_protocol::status::{Code, Status};

/// The circuit breaker refused a call; nothing was sent, and no handler ran.
///
/// The caller gets `Unavailable` with the wait, by [`status_from_error`](crate::status_from_error) or any other
/// function that looks for a [`Status`] among the causes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a circuit breaker refused the call")]
pub struct BreakerOpen {
    retry_after: Duration,
    #[source]
    status: Status,
}

/// What a breaker says, also across the wire: by this a breaker on the way knows that another one spoke.
const SENTENCE: &str = "the circuit breaker of the service is open";

impl BreakerOpen {
    pub(super) fn new(retry_after: Duration) -> Self {
        // Rounded up, so that whoever waits so long is not told to wait again; 0 would mean "not known".
        let millis = u64::try_from(retry_after.as_micros().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
        Self { retry_after, status: Status::new(Code::Unavailable, SENTENCE).with_detail(millis) }
    }

    /// How long to wait before another try.
    pub fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// Whether a status, of this end or of the other, is a breaker's refusal.
    pub(super) fn said(status: &Status) -> bool {
        status.code == Code::Unavailable && status.message == SENTENCE
    }
}

#[cfg(test)]
mod tests {
    use bowline_rpc::{BoxError, CallError};

    use super::*;
    use crate::status_from_error;

    #[test]
    fn the_caller_gets_unavailable_and_the_wait_rounded_up() {
        for (wait, told) in [(Duration::from_micros(4_200_001), 4_201), (Duration::ZERO, 1)] {
            let error: BoxError = BreakerOpen::new(wait).into();
            let status = status_from_error(&error);
            assert!(BreakerOpen::said(&status));
            assert_eq!(bowline_rpc::status_of(&error), status);
            let CallError::<()>::Unavailable { retry_after, .. } = status.into() else {
                panic!("unavailable")
            };
            assert_eq!(retry_after, Some(Duration::from_millis(told)));
        }
    }
}
