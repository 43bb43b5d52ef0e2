//! Payload codecs, without an envelope: a small message ([`Post`]) and one of 1 MiB ([`Frame`]).
//!
//! Unit: per payload. `encode` appends to a buffer that has room. `decode` makes the value, everything checked first.
//! `view` checks an archive in an aligned buffer and reads one element where it lies.

use std::hint::black_box;

use bowline_protocol::codec::{Buffer, Codec, Payload, View, ViewPayload};

use crate::service::{Frame, Post};
use crate::{Result, Scenario, Work};

use Codec::{Json, Rkyv};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::counted("payload/rkyv/small/encode", "payload", (100, 10_000), || encode(Rkyv, Post::small())),
    Scenario::counted("payload/rkyv/small/decode", "payload", (100, 10_000), || decode(Rkyv, Post::small())),
    Scenario::counted("payload/rkyv/small/view", "payload", (100, 10_000), || {
        view(Post::small(), |post| u64::from(post.room.to_native()))
    }),
    Scenario::counted("payload/json/small/encode", "payload", (100, 10_000), || encode(Json, Post::small())),
    Scenario::counted("payload/json/small/decode", "payload", (100, 10_000), || decode(Json, Post::small())),
    Scenario::counted("payload/rkyv/1_MiB/encode", "payload", (2, 20), || encode(Rkyv, Frame::large())),
    Scenario::counted("payload/rkyv/1_MiB/decode", "payload", (2, 20), || decode(Rkyv, Frame::large())),
    Scenario::counted("payload/rkyv/1_MiB/view", "payload", (2, 100), || {
        view(Frame::large(), |frame| frame.samples[1000].to_native().to_bits().into())
    }),
    Scenario::timed("payload/json/1_MiB/encode", "payload", || encode(Json, Frame::large())),
    Scenario::timed("payload/json/1_MiB/decode", "payload", || decode(Json, Frame::large())),
];

fn encode<T: Payload>(codec: Codec, value: T) -> Result<Work> {
    let mut out = Vec::new();
    Ok(Box::new(move |n| {
        for _ in 0..n {
            out.clear();
            black_box(&value).encode(codec, &mut out)?;
            black_box(&out);
        }
        Ok(())
    }))
}

fn decode<T: Payload + PartialEq>(codec: Codec, value: T) -> Result<Work> {
    let buffer = aligned(codec, &value)?;
    if T::decode(codec, &buffer)? != value {
        return Err("what was written reads as something else".into());
    }
    Ok(Box::new(move |n| {
        for _ in 0..n {
            black_box(T::decode(codec, black_box(&buffer))?);
        }
        Ok(())
    }))
}

/// The buffer is as a session hands it over: assembled and aligned, so a view shares it.
fn view<T: ViewPayload>(value: T, look: fn(&T::Archived) -> u64) -> Result<Work> {
    let buffer = aligned(Rkyv, &value)?;
    Ok(Box::new(move |n| {
        for _ in 0..n {
            let view = View::<T>::decode(Rkyv, black_box(&buffer).clone())?;
            black_box(look(&view));
        }
        Ok(())
    }))
}

fn aligned<T: Payload>(codec: Codec, value: &T) -> Result<Buffer> {
    let mut bytes = Vec::new();
    value.encode(codec, &mut bytes)?;
    let small = Buffer::Small(bytes.into());
    Ok(Buffer::Assembled(small.into_aligned()))
}
