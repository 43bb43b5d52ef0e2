//! What a link begins with: hello and welcome.

use super::{Result, declaration, once_table};
use crate::envelope::bounds::{MAX_CREDENTIALS, MAX_SERVICES, MAX_TOKEN, MAX_VERSIONS};
use crate::envelope::error::{DecodeErrorKind, failed};
use crate::envelope::reader::Reader;
use crate::envelope::{Declaration, GapReason, Hello, Outcome, Resume, VERSION, Welcome, WireLimits};

pub(super) fn hello(r: &mut Reader<'_>) -> Result<Hello> {
    let start = r.at();
    let count = r.count("count of versions", MAX_VERSIONS, 1)?;
    if count == 0 {
        return Err(failed(start, DecodeErrorKind::Empty("list of versions")));
    }
    let mut versions = Vec::with_capacity(count);
    for _ in 0..count {
        versions.push(r.number("version")?);
    }
    if !versions.contains(&VERSION) {
        // What follows may mean anything in versions that we don't speak.
        r.skip_to_end();
        return Ok(Hello { versions, ..Hello::default() });
    }
    let hello = Hello {
        versions,
        instance: r.u128()?,
        attempt: r.varint()?,
        credentials: r.bytes("credentials", MAX_CREDENTIALS)?.into(),
        declarations: declarations(r)?,
        limits: limits(r)?,
        resume: if r.is_present("resume")? { Some(resume(r)?) } else { None },
    };
    Ok(hello)
}

fn declarations(r: &mut Reader<'_>) -> Result<Vec<Declaration>> {
    // A name of one byte with its length, and a digest.
    let count = r.count("count of declarations", MAX_SERVICES, 2 + 16)?;
    let mut declarations = Vec::with_capacity(count);
    for _ in 0..count {
        declarations.push(declaration(r)?);
    }
    Ok(declarations)
}

fn resume(r: &mut Reader<'_>) -> Result<Resume> {
    Ok(Resume {
        session: r.u128()?,
        token: r.bytes("token", MAX_TOKEN)?.into(),
        epoch: r.u128()?,
        last_processed: r.varint()?,
        declarations: r.u128()?,
        generation: r.varint()?,
        unsequenced: r.varint()?,
    })
}

pub(super) fn welcome(r: &mut Reader<'_>) -> Result<Welcome> {
    Ok(Welcome {
        version: r.number("version")?,
        session: r.u128()?,
        token: r.bytes("token", MAX_TOKEN)?.into(),
        epoch: r.u128()?,
        generation: r.varint()?,
        outcome: outcome(r)?,
        peer_last_processed: r.optional("last processed number")?,
        peer_unsequenced: r.varint()?,
        limits: limits(r)?,
        heartbeat_ms: r.varint()?,
        once: if r.is_present("once table")? { Some(once_table(r)?) } else { None },
        identity: if r.is_present("identity")? { Some(r.u128()?) } else { None },
    })
}

fn outcome(r: &mut Reader<'_>) -> Result<Outcome> {
    Ok(match r.byte()? {
        0 => Outcome::New,
        1 => Outcome::Resumed,
        2 => Outcome::Gap {
            reason: gap_reason(r.byte()?),
            lost_from: r.varint()?,
            lost_to: r.optional("last lost number")?,
        },
        value => {
            let what = "outcome";
            return Err(failed(r.at() - 1, DecodeErrorKind::UnknownValue { what, value }));
        }
    })
}

/// A reason that we don't know counts as "no such session": the outcome is the same, only the explanation is lost.
fn gap_reason(number: u8) -> GapReason {
    match number {
        2 => GapReason::Expired,
        3 => GapReason::Evicted,
        4 => GapReason::StateLost,
        5 => GapReason::IdentityChanged,
        6 => GapReason::SchemaChanged,
        7 => GapReason::NoProgress,
        _ => GapReason::Unknown,
    }
}

fn limits(r: &mut Reader<'_>) -> Result<WireLimits> {
    Ok(WireLimits {
        calls: r.number("limit of calls")?,
        streams: r.number("limit of streams")?,
        stream_window: r.varint()?,
        message: r.varint()?,
        payload: r.varint()?,
        assembly: r.varint()?,
        replay: r.varint()?,
    })
}
