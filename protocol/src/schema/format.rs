//! What rkyv's format settings are, read off its own types: applications may set them, and ends must agree.

use std::mem::{align_of, size_of};

use rkyv::primitive::{ArchivedU32, ArchivedU64, ArchivedUsize};
use rkyv::rend::unaligned::{u32_ube, u32_ule};
use rkyv::rend::{u32_be, u32_le};

use super::Hasher;

trait Order {
    const BIG: bool;
}

impl Order for u32_le {
    const BIG: bool = false;
}

impl Order for u32_ule {
    const BIG: bool = false;
}

impl Order for u32_be {
    const BIG: bool = true;
}

impl Order for u32_ube {
    const BIG: bool = true;
}

/// A hash over rkyv's version and format settings (byte order, alignment, width of references).
///
/// Part of every method's hash: ends whose archives differ in form speak JSON.
pub const FORMAT_HASH: u128 = Hasher::new("rkyv 0.8")
    .number(<ArchivedU32 as Order>::BIG as u64)
    .number(align_of::<ArchivedU32>() as u64)
    .number(align_of::<ArchivedU64>() as u64)
    .number(size_of::<ArchivedUsize>() as u64)
    .finish();
