//! What a link begins with: hello and welcome.

use super::{push_bytes, push_declaration, push_once_table, push_option, push_u128};
use crate::envelope::{GapReason, Hello, Outcome, Welcome, WireLimits, varint};

pub(super) fn push_hello(out: &mut Vec<u8>, hello: &Hello) {
    let Hello { versions, instance, attempt, credentials, declarations, limits, resume } = hello;
    varint::write(out, versions.len() as u64);
    for version in versions {
        varint::write(out, u64::from(*version));
    }
    push_u128(out, *instance);
    varint::write(out, *attempt);
    push_bytes(out, credentials.expose());
    varint::write(out, declarations.len() as u64);
    for declaration in declarations {
        push_declaration(out, declaration);
    }
    push_limits(out, limits);
    out.push(u8::from(resume.is_some()));
    if let Some(resume) = resume {
        push_u128(out, resume.session);
        push_bytes(out, resume.token.expose());
        push_u128(out, resume.epoch);
        varint::write(out, resume.last_processed);
        push_u128(out, resume.declarations);
        varint::write(out, resume.generation);
        varint::write(out, resume.unsequenced);
    }
}

pub(super) fn push_welcome(out: &mut Vec<u8>, welcome: &Welcome) {
    varint::write(out, u64::from(welcome.version));
    push_u128(out, welcome.session);
    push_bytes(out, welcome.token.expose());
    push_u128(out, welcome.epoch);
    varint::write(out, welcome.generation);
    match welcome.outcome {
        Outcome::New => out.push(0),
        Outcome::Resumed => out.push(1),
        Outcome::Gap { reason, lost_from, lost_to } => {
            out.push(2);
            out.push(gap_reason_number(reason));
            varint::write(out, lost_from);
            push_option(out, lost_to);
        }
    }
    push_option(out, welcome.peer_last_processed);
    varint::write(out, welcome.peer_unsequenced);
    push_limits(out, &welcome.limits);
    varint::write(out, welcome.heartbeat_ms);
    out.push(u8::from(welcome.once.is_some()));
    if let Some(table) = welcome.once {
        push_once_table(out, table);
    }
    out.push(u8::from(welcome.identity.is_some()));
    if let Some(identity) = welcome.identity {
        out.extend_from_slice(&identity.to_le_bytes());
    }
}

fn push_limits(out: &mut Vec<u8>, limits: &WireLimits) {
    let WireLimits { calls, streams, stream_window, message, payload, assembly, replay } = *limits;
    for value in [u64::from(calls), u64::from(streams), stream_window, message, payload, assembly, replay] {
        varint::write(out, value);
    }
}

fn gap_reason_number(reason: GapReason) -> u8 {
    match reason {
        GapReason::Unknown => 1,
        GapReason::Expired => 2,
        GapReason::Evicted => 3,
        GapReason::StateLost => 4,
        GapReason::IdentityChanged => 5,
        GapReason::SchemaChanged => 6,
        GapReason::NoProgress => 7,
    }
}
