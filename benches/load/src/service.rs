//! What both ends know: the service and its messages.

use std::net::Ipv4Addr;

use bowline::prelude::*;

/// Connections at one address of the server's. Each has about 28,000 source ports for itself, and links that were cut keep
/// theirs for a minute.
pub(crate) const PER_ADDRESS: u64 = 10_000;

/// The address of this number, all of them loopback.
pub(crate) fn address(number: u64) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(number + 1).unwrap_or(u8::MAX))
}

/// Who a client says it is, in the address it connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Who(pub(crate) u64);

/// Which session a call belongs to, as the server knows it.
#[bowline::message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Here {
    /// The session.
    pub(crate) session: u128,
    /// The number that came with the call.
    pub(crate) number: u64,
}

/// What a call carries, and its answer.
#[bowline::message]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    /// Another one for each call.
    pub(crate) number: u64,
    /// See [`filling`].
    pub(crate) filling: String,
}

/// What is published.
#[bowline::message]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// Counts up from 0.
    pub(crate) number: u64,
    /// When it was published, on the clock that processes share.
    pub(crate) at: u64,
    /// See [`filling`].
    pub(crate) filling: String,
}

/// What a load puts on a server.
#[bowline::rpc]
pub(crate) trait Load {
    /// Answers with the session, and remembers it for the next roll call.
    async fn here(&self, cx: &Context, number: u64) -> Here;

    /// Answers what it was asked, and counts.
    async fn echo(&self, parcel: Parcel) -> Parcel;

    /// Everything that is published from now on. A reader that is too slow sees a gap and how long it is.
    #[rpc(lag = "drop_oldest")]
    fn items(&self, cx: &Context) -> impl Stream<Item = Shared<Item>>;
}

/// 64 letters that belong to a seed and a number: another seed or number is not taken for it.
pub(crate) fn filling(seed: u64, number: u64) -> String {
    let mut text = String::with_capacity(64);
    for part in 0..4 {
        let word = mix(seed ^ mix(number.wrapping_add(part)));
        (0..16).for_each(|nibble| text.push(char::from(b'a' + (word >> (4 * nibble) & 15) as u8)));
    }
    text
}

/// SplitMix64's finisher (Steele, Lea and Flood, 2014).
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filling_belongs_to_its_seed_and_number() {
        let all: std::collections::HashSet<_> =
            (0..10).flat_map(|seed| (0..100).map(move |number| filling(seed, number))).collect();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|text| text.len() == 64));
    }

    #[test]
    fn addresses_are_loopback() {
        assert!((0..3).all(|number| address(number).is_loopback()) && address(0) != address(1));
    }
}
