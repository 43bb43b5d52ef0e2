//! What circuit breakers tell.

use super::emit::{add, count};
use super::names::{BREAKER_REFUSALS, BREAKER_STATE, BREAKER_TRANSITIONS};

/// There is one more breaker.
pub(crate) fn made(service: &'static str, state: &'static str) {
    add(&BREAKER_STATE, &[("rpc.service", service), ("state", state)], 1);
}

/// There is one less.
pub(crate) fn gone(service: &'static str, state: &'static str) {
    add(&BREAKER_STATE, &[("rpc.service", service), ("state", state)], -1);
}

/// It went from one state to another.
pub(crate) fn moved(service: &'static str, from: &'static str, to: &'static str) {
    gone(service, from);
    made(service, to);
    count(&BREAKER_TRANSITIONS, &[("rpc.service", service), ("state", to)], 1);
}

/// It refused a call.
pub(crate) fn refused(service: &'static str) {
    count(&BREAKER_REFUSALS, &[("rpc.service", service)], 1);
}
