use std::time::Duration;

use crate::Result;

/// What a process holds that belongs to no file, in KiB: heap and stacks, as the kernel counts them.
///
/// The whole resident set would also count the pages of the program itself, which come in with the first connection.
///
/// # Errors
///
/// When there is no such process, or the system is no Linux.
pub fn anonymous(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/smaps_rollup");
    let maps = std::fs::read_to_string(&path).map_err(|error| format!("{path} can't be read: {error}"))?;
    parse(&maps).ok_or_else(|| format!("{path} does not say how much is anonymous").into())
}

fn parse(maps: &str) -> Option<u64> {
    maps.lines().find_map(|line| line.strip_prefix("Anonymous:")?.trim().strip_suffix(" kB")?.parse().ok())
}

/// Looks again and again until what it sees has stood still for half a second, at most half a minute; then the last and
/// the greatest.
///
/// # Errors
///
/// What `look` returns; and when it does not stand still.
pub fn standing_still(look: impl FnMut() -> Result<u64>) -> Result<(u64, u64)> {
    until_still(look, || std::thread::sleep(EVERY))
}

const EVERY: Duration = Duration::from_millis(20);
/// Looks that see the same; half a second.
const STILL: u32 = 25;
/// Looks altogether; half a minute.
const LOOKS: u32 = 1500;

fn until_still(mut look: impl FnMut() -> Result<u64>, pause: impl Fn()) -> Result<(u64, u64)> {
    let (mut last, mut greatest, mut still) = (look()?, 0, 0);
    for _ in 0..LOOKS {
        greatest = last.max(greatest);
        if still == STILL {
            return Ok((last, greatest));
        }
        pause();
        let now = look()?;
        still = if now == last { still + 1 } else { 0 };
        last = now;
    }
    Err(format!("a server's memory did not stand still within {:?}", EVERY * LOOKS).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_counts_what_was_touched() {
        let before = anonymous(std::process::id()).unwrap();
        let held = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = anonymous(std::process::id()).unwrap();
        assert!(after >= before + 60 * 1024, "{before} KiB before, {after} after");
        drop(held);
    }

    #[test]
    fn the_line_is_found_among_others() {
        assert_eq!(parse("Rss:   5 kB\nAnonymous:      1234 kB\nLazyFree: 0 kB\n"), Some(1234));
        assert_eq!(parse("Rss:   5 kB\n"), None);
    }

    #[test]
    fn the_greatest_is_kept_when_it_sinks_again() {
        let mut seen = [1, 7, 3].into_iter();
        assert_eq!(until_still(|| Ok(seen.next().unwrap_or(3)), || ()).unwrap(), (3, 7));
    }

    #[test]
    fn what_does_not_stand_still_is_not_looked_at_without_end() {
        let mut seen = 0..;
        let error = until_still(|| Ok(seen.next().unwrap()), || ()).unwrap_err();
        assert_eq!(error.to_string(), "a server's memory did not stand still within 30s");
    }
}
