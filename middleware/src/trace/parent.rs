use std::fmt;

/// The trace context of a call as it travels: `traceparent` of the W3C Recommendation "Trace Context" (level 1),
/// section 3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceParent {
    pub(super) trace: u128,
    pub(super) parent: u64,
    flags: u8,
}

impl TraceParent {
    /// The name in a call's metadata.
    pub(super) const KEY: &'static str = "traceparent";

    const SAMPLED: u8 = 1;

    /// A new trace with its first span.
    pub(super) fn random() -> Self {
        // All zeros means "invalid" for both.
        let trace = bowline_runtime::random_u128().max(1);
        let parent = u64::from_le_bytes(bowline_runtime::random_bytes()).max(1);
        Self { trace, parent, flags: Self::SAMPLED }
    }

    /// Reads the text form; `None` for anything that is not one, which the Recommendation says to ignore.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let version = hex(fields.next()?, 2)?;
        let trace = hex(fields.next()?, 32)?;
        let parent = hex(fields.next()?, 16)?;
        let flags = hex(fields.next()?, 2)?;
        // Later versions may say more after these four; version ff is forbidden.
        let whole = fields.next().is_none() || (version > 0 && version < 0xff);
        if version == 0xff || trace == 0 || parent == 0 || !whole {
            return None;
        }
        Some(Self { trace, parent: parent.try_into().ok()?, flags: flags.try_into().ok()? })
    }
}

fn hex(text: &str, len: usize) -> Option<u128> {
    let lower = text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if lower { u128::from_str_radix(text, 16).ok() } else { None }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let made = TraceParent::random();
        assert_eq!(TraceParent::parse(&made.to_string()), Some(made));
    }

    #[test]
    fn the_example_of_the_recommendation_is_read() {
        let read = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(
            (read.trace, read.parent),
            (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7)
        );
        assert!(TraceParent::parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
    }

    #[test]
    fn anything_else_is_ignored() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text:?}");
        }
    }
}
