//! Every setting does something.

use super::*;

/// Runs one story under the defaults and under changed limits.
fn changes<T: PartialEq + std::fmt::Debug>(
    limits: NodeLimits,
    story: impl Fn(&mut Book) -> T,
    expected: (T, T),
) {
    assert_ne!(expected.0, expected.1);
    let told = (story(&mut Book::default()), story(&mut Book::new(limits)));
    assert_eq!(told, expected);
}

#[test]
fn resume_window_says_how_long_a_session_waits() {
    let limits = NodeLimits { resume_window: Duration::from_secs(5), ..NodeLimits::default() };
    let story = |book: &mut Book| {
        book.park(0.0, 1, user(7), 0);
        book.look(5.0, &hello(1, token(1), 2), user(7)) == Verdict::Resume { session: 1 }
    };
    changes(limits, story, (true, false));
}

#[test]
fn attached_says_how_many_sessions_have_a_link() {
    let story = |book: &mut Book| {
        book.begin(0.0, 1, user(7));
        matches!(book.look(0.0, &Hello::default(), user(8)), Verdict::New { .. })
    };
    changes(NodeLimits { attached: 1, ..NodeLimits::default() }, story, (true, false));
}

fn parked(book: &mut Book, who: fn(u128) -> Who) -> usize {
    for session in 1..=20 {
        book.park(0.0, session, who(session), 1000);
    }
    book.evicted(0.0);
    book.held().detached
}

#[test]
fn detached_says_how_many_sessions_wait() {
    let limits = NodeLimits { detached: 5, ..NodeLimits::default() };
    changes(limits, |book| parked(book, user), (20, 5));
}

#[test]
fn detached_bytes_says_what_waiting_sessions_hold() {
    let limits = NodeLimits { detached_bytes: 7999, ..NodeLimits::default() };
    changes(limits, |book| parked(book, user), (20, 7));
}

#[test]
fn detached_per_identity_says_how_many_sessions_of_one_wait() {
    let limits = NodeLimits { detached_per_identity: 3, ..NodeLimits::default() };
    changes(limits, |book| parked(book, |_| user(7)), (16, 3));
}

#[test]
fn detached_per_address_says_how_many_anonymous_sessions_wait() {
    let limits = NodeLimits { detached_per_address: 4, ..NodeLimits::default() };
    changes(limits, |book| parked(book, |_| address(1)), (20, 4));
}

#[test]
fn bytes_says_what_all_sessions_hold() {
    let story = |book: &mut Book| {
        book.begin(0.0, 1, user(7));
        book.registry.set_held(1, 1000);
        book.evicted(0.0).len()
    };
    changes(NodeLimits { bytes: 999, ..NodeLimits::default() }, story, (0, 1));
}

#[test]
fn tombstones_says_how_many_ended_sessions_are_remembered() {
    let story = |book: &mut Book| {
        for session in 1..=3 {
            book.park(0.0, session, user(session), 0);
        }
        book.registry.handle_timeout(book.at(120.0));
        book.evicted(120.0);
        book.held().tombstones
    };
    changes(NodeLimits { tombstones: 2, ..NodeLimits::default() }, story, (3, 2));
    changes(NodeLimits { tombstones: 0, ..NodeLimits::default() }, story, (3, 0));
}

#[test]
fn tombstone_age_says_how_long_an_ended_session_is_remembered() {
    let limits = NodeLimits { tombstone_age: Duration::from_secs(9), ..NodeLimits::default() };
    let story = |book: &mut Book| {
        book.begin(0.0, 1, user(7));
        book.registry.remove(book.start, 1, GapReason::Evicted, Remains::default());
        book.gap(9.0, &hello(1, token(1), 2), user(7)).reason
    };
    changes(limits, story, (GapReason::Evicted, GapReason::Unknown));
}

fn resumes(book: &mut Book) -> usize {
    book.begin_proved(0.0, 1, user(7));
    let mut let_through = 0;
    for attempt in 2..32 {
        // One every two seconds.
        let verdict = book.look(attempt as f64 * 2.0, &hello(1, token(1), attempt), user(7));
        let_through += usize::from(verdict == Verdict::Resume { session: 1 });
    }
    let_through
}

#[test]
fn resumes_says_how_often_a_session_is_resumed() {
    changes(NodeLimits { resumes: 3, ..NodeLimits::default() }, resumes, (10, 3));
}

#[test]
fn resumes_period_says_within_which_time() {
    let limits = NodeLimits { resumes_period: Duration::from_secs(20), ..NodeLimits::default() };
    changes(limits, resumes, (10, 30));
}

#[test]
fn refusal_wait_is_what_a_client_is_told() {
    let limits = NodeLimits { refusal_wait: Duration::from_millis(1500), ..NodeLimits::default() };
    let story = |book: &mut Book| {
        book.registry.drain();
        book.refusal(0.0, &Hello::default(), user(7)).1
    };
    let told = |seconds| format!("the server is being stopped, retry after {seconds} s");
    changes(limits, story, (told(30), told(2)));
}
