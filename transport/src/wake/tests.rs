use super::*;

/// What a look says that comes after `passed` on the monotonic clock and `wall` on the wall clock, in milliseconds.
fn slept(passed: u64, wall: i64) -> bool {
    let (now, noon) = (bowline_runtime::now(), 1_000_000_000);
    let mut watch = SleepWatch::new(now, Duration::from_millis(noon));
    assert_eq!(watch.poll_timeout(), now + Duration::from_secs(5));
    let later = now + Duration::from_millis(passed);
    let slept = watch.handle_tick(later, Duration::from_millis(noon.saturating_add_signed(wall)));
    assert_eq!(watch.poll_timeout(), later + Duration::from_secs(5));
    slept
}

#[test]
fn clocks_that_go_on_are_no_sleep() {
    assert!(!slept(5_000, 5_000));
    assert!(!slept(5_000, 4_990), "one may be corrected a little");
    assert!(!slept(9_900, 9_900), "a busy machine looks late");
    assert!(!slept(5_000, -3_600_000), "a wall clock that is set back");
}

#[test]
fn a_jump_of_more_than_five_seconds_is_a_sleep_whichever_clock_saw_it() {
    assert!(!slept(10_000, 10_000));
    assert!(slept(10_001, 10_001), "both");
    assert!(slept(3_600_000, 0), "the monotonic one alone, as in a test that moves the time");
    assert!(!slept(5_000, 10_000));
    assert!(slept(5_000, 10_001), "the wall clock alone: the other one stood still");
}

#[test]
fn a_sleep_is_told_once() {
    let (now, at) = (bowline_runtime::now(), Duration::from_secs);
    let mut watch = SleepWatch::new(now, at(1000));
    assert!(watch.handle_tick(now + at(5), at(5000)));
    assert!(!watch.handle_tick(now + at(10), at(5005)));
}
