use std::cell::RefCell;
use std::fmt;

/// The trace context of a call as it travels: `traceparent` of the W3C Recommendation "Trace Context" (level 1),
/// section 3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
        let [trace, more, parent] = random_numbers();
        let trace = u128::from(trace) << 64 | u128::from(more);
        // All zeros means "invalid" for both.
        Self { trace: trace.max(1), parent: parent.max(1), flags: Self::SAMPLED }
    }

    /// Reads the text form; `None` for anything that is not one, which the Recommendation says to ignore.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (known, more) = text.as_bytes().split_at_checked(LEN)?;
        if [known[2], known[35], known[52]] != [b'-'; 3] {
            return None;
        }
        let version = hex(&known[..2])?;
        let trace = hex(&known[3..35])?;
        let parent = hex(&known[36..52])?;
        let flags = hex(&known[53..])?;
        // Later versions may say more after these four; version ff is forbidden.
        let whole = more.is_empty() || (version > 0 && more[0] == b'-');
        if version == 0xff || trace == 0 || parent == 0 || !whole {
            return None;
        }
        Some(Self { trace, parent: parent.try_into().ok()?, flags: flags.try_into().ok()? })
    }

    /// The text form.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(LEN);
        text.push_str("00-");
        push_hex(&mut text, (self.trace >> 64) as u64, 16);
        push_hex(&mut text, self.trace as u64, 16);
        text.push('-');
        push_hex(&mut text, self.parent, 16);
        text.push('-');
        push_hex(&mut text, self.flags.into(), 2);
        text
    }

    /// The field `trace_id` of a span, which is formatted only where somebody writes it down.
    pub(super) fn trace_id(&self) -> impl fmt::Display + use<> {
        Hex([(self.trace >> 64) as u64, self.trace as u64])
    }

    /// The field `parent_id` of a span.
    pub(super) fn parent_id(&self) -> impl fmt::Display + use<> {
        Hex([self.parent])
    }
}

/// The length of the text form in bytes.
const LEN: usize = 55;

/// Reads lower-case digits, 32 at most.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

/// Writes the last `digits` digits, 16 at most.
fn push_hex(text: &mut String, number: u64, digits: usize) {
    let mut bytes = [0; 16];
    for (place, byte) in bytes.iter_mut().rev().enumerate() {
        *byte = b"0123456789abcdef"[(number >> (4 * place)) as usize & 0xf];
    }
    text.push_str(str::from_utf8(&bytes[16 - digits..]).expect("digits are ASCII"));
}

/// Numbers of 16 digits each.
struct Hex<const N: usize>([u64; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(16 * N);
        for number in self.0 {
            push_hex(&mut text, number, 16);
        }
        f.write_str(&text)
    }
}

/// So many traces are begun with what the operating system is asked for once.
const POOL: usize = 32;

thread_local! {
    /// What is left of it.
    static NUMBERS: RefCell<Vec<[u64; 3]>> = const { RefCell::new(Vec::new()) };
}

/// From the random source of the operating system, which is a system call away.
fn random_numbers() -> [u64; 3] {
    NUMBERS.with_borrow_mut(|numbers| {
        if numbers.is_empty() {
            let bytes = bowline_runtime::random_bytes::<{ POOL * 24 }>();
            let (words, _) = bytes.as_chunks::<8>();
            let words: Vec<_> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            numbers.extend(words.as_chunks::<3>().0);
        }
        numbers.pop().expect("it was filled")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let made = TraceParent::random();
        assert_eq!(TraceParent::parse(&made.text()), Some(made));
    }

    #[test]
    fn traces_differ_also_when_numbers_are_asked_for_again() {
        let made: HashSet<_> = (0..3 * POOL).map(|_| TraceParent::random()).collect();
        let traces: HashSet<_> = made.iter().map(|made| made.trace).collect();
        let parents: HashSet<_> = made.iter().map(|made| made.parent).collect();
        assert_eq!((traces.len(), parents.len()), (3 * POOL, 3 * POOL));
    }

    #[test]
    fn numbers_are_written_with_their_zeros() {
        let made = TraceParent { trace: 0xab, parent: 0xc, flags: 1 };
        assert_eq!(made.text(), "00-000000000000000000000000000000ab-000000000000000c-01");
        assert_eq!(made.trace_id().to_string(), "000000000000000000000000000000ab");
        assert_eq!(made.parent_id().to_string(), "000000000000000c");
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
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01+",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-1",
            "00-+bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text:?}");
        }
    }
}
