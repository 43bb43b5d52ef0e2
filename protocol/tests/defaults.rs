//! The numbers that the docs promise to whoever sets nothing: the rules on the wire and the docs of each field name them.

use std::time::Duration;

use bowline_protocol::limits::{Limits, Rate, Timing};
use bowline_protocol::once::OnceLimits;
use bowline_protocol::registry::NodeLimits;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_session_takes_and_holds_this_much() {
    let limits = Limits::default();
    assert_eq!((limits.calls, limits.streams, limits.nested, limits.depth), (256, 256, 32, 4));
    assert_eq!((limits.message_in, limits.message_out, limits.message_pace), (MIB, 63 * KIB, 512));
    assert_eq!((limits.message_out_slow, limits.slow_link), (16 * KIB, 64 * KIB));
    assert_eq!((limits.payload_in, limits.assembly), (16 * MIB, 16 * MIB));
    let windows = [limits.stream_window, limits.stream_window_max, limits.stream_window_extra];
    assert_eq!(windows, [64 * KIB, MIB, 4 * MIB]);
    assert_eq!((limits.replay_bytes, limits.replay_envelopes), (MIB, 4096));
    assert_eq!((limits.unsequenced_bytes, limits.unsequenced_envelopes), (256 * KIB, 64));
    assert_eq!((limits.notify_payload, limits.notifies_running), (64 * KIB, 64));
    assert_eq!((limits.waiting_calls, limits.waiting_bytes), (1000, MIB));
    assert_eq!((limits.metadata_entries, limits.metadata_bytes), (64, 8 * KIB));
}

#[test]
fn a_server_takes_what_costs_a_client_nothing_this_often() {
    let Limits { pings, auths, idle_acks, cancels, .. } = Limits::default();
    assert_eq!(pings, Rate { count: 10, per: secs(50) });
    assert_eq!(auths, Rate { count: 3, per: secs(60) });
    assert_eq!(idle_acks, Rate { count: 200, per: secs(1) });
    assert_eq!(cancels, Rate { count: 1000, per: secs(10) });
}

#[test]
fn a_session_waits_this_long() {
    let timing = Timing::default();
    assert_eq!((timing.hello, timing.ack_delay), (secs(10), secs(1)));
    assert_eq!((timing.deadline, timing.deadline_max), (secs(10), secs(600)));
    assert_eq!((timing.write_stall, timing.ack_stall, timing.assembly_stall), (secs(10), secs(30), secs(30)));
    assert_eq!((timing.message_stall, timing.message_pace, timing.flight), (secs(10), secs(60), secs(4)));
    assert_eq!((timing.ping, timing.pong), (secs(25), secs(10)));
    assert_eq!((timing.silence, timing.unanswered, timing.wake), (secs(40), secs(10), secs(5)));
}

#[test]
fn a_node_keeps_this_much_for_this_long() {
    let node = NodeLimits::default();
    assert_eq!(node.resume_window, secs(120));
    assert_eq!((node.attached, node.detached), (20_000, 20_000));
    assert_eq!((node.detached_bytes, node.bytes, node.assembly), (256 * MIB, GIB, 512 * MIB));
    assert_eq!((node.detached_per_identity, node.detached_per_address), (16, 128));
    assert_eq!((node.tombstones, node.tombstone_age), (100_000, secs(600)));
    assert_eq!((node.resumes, node.resumes_period), (10, secs(60)));
    assert_eq!(node.refusal_wait, secs(30));
}

#[test]
fn a_node_remembers_this_much_of_once_calls() {
    let once = OnceLimits::default();
    assert_eq!((once.bytes, once.identity_bytes), (64 * MIB, 16 * MIB));
    assert_eq!((once.identity_entries, once.keep), (1024, secs(300)));
}
