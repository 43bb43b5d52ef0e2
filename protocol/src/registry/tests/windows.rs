use super::*;

#[test]
fn a_session_is_resumable_at_119_9_s_and_not_at_120_1_s() {
    for (seconds, resumes) in [(0.0, true), (0.001, true), (10.0, true), (119.9, true), (120.1, false)] {
        let mut book = Book::default();
        book.begin_proved(0.0, 1, user(7));
        book.registry.detach(book.at(50.0), 1, 0);
        let verdict = book.look(50.0 + seconds, &hello(1, token(1), 2), user(7));
        match verdict {
            Verdict::Resume { session: 1 } => assert!(resumes, "at {seconds}"),
            Verdict::New { gap: Some(Gap { reason: GapReason::Expired, remains: None }) } => {
                assert!(!resumes, "at {seconds}");
            }
            verdict => panic!("at {seconds}: {verdict:?}"),
        }
    }
}

#[test]
fn every_lost_link_begins_a_window_anew() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    book.registry.detach(book.at(1.0), 1, 0);
    book.resume(120.0, &hello(1, token(1), 2), user(7), [11; 32]);
    // The old window ends while it has a link.
    book.registry.handle_timeout(book.at(300.0));
    assert_eq!((book.evicted(300.0), book.held().attached), (vec![], 1));
    book.registry.detach(book.at(300.0), 1, 0);
    // It is told twice: once by the link, once by the session's task.
    book.registry.detach(book.at(400.0), 1, 0);
    book.resume(419.9, &hello(1, [11; 32], 3), user(7), [12; 32]);
}

#[test]
fn nothing_is_left_when_windows_and_memories_are_over() {
    let mut book = Book::default();
    for session in 1..=10 {
        book.begin_proved(0.0, session, user(session % 3));
        book.registry.set_held(session, 100);
    }
    assert_eq!(book.registry.poll_timeout(), None);
    for session in 1..=10 {
        book.registry.detach(book.at(session as f64), session, 1000);
    }
    let held =
        RegistryHeld { detached: 10, detached_bytes: 10_000, bytes: 10_000, owners: 3, ..Default::default() };
    assert_eq!(book.held(), held);
    for session in 1..=10 {
        let due = 120.0 + session as f64;
        assert_eq!(book.registry.poll_timeout(), Some(book.at(due)));
        book.registry.handle_timeout(book.at(due));
        assert_eq!(book.held().ending, 1);
        assert_eq!(book.evicted(due), [(session, GapReason::Expired)]);
    }
    assert_eq!(book.held(), RegistryHeld { tombstones: 10, ..Default::default() });
    for session in 1..=10 {
        let due = 720.0 + session as f64;
        assert_eq!(book.registry.poll_timeout(), Some(book.at(due)));
        book.registry.handle_timeout(book.at(due));
        assert_eq!(book.held().tombstones, 10 - session as usize);
    }
    assert_eq!((book.held(), book.registry.poll_timeout()), (RegistryHeld::default(), None));
    assert_eq!(book.counted(), RegistryCounted { begun: 10, expired: 10, ..Default::default() });
}

#[test]
fn nothing_is_left_of_sessions_that_ended_on_purpose() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    book.park(0.0, 2, address(1), 50);
    book.registry.set_held(1, 10);
    book.registry.forget(1);
    book.registry.forget(2);
    book.registry.forget(2);
    assert_eq!((book.held(), book.registry.poll_timeout()), (RegistryHeld::default(), None));
    assert_eq!(book.gap(1.0, &hello(1, token(1), 2), user(7)), UNKNOWN);
}

/// A session that ends by itself between its eviction and the driver's look at it is not ended twice.
#[test]
fn what_ended_meanwhile_is_not_evicted() {
    let mut book = Book::default();
    book.park(0.0, 1, user(7), 0);
    book.park(0.0, 2, user(7), 0);
    book.registry.handle_timeout(book.at(120.0));
    book.registry.forget(1);
    assert_eq!(book.evicted(120.0), [(2, GapReason::Expired)]);
}

#[test]
fn commands_for_a_session_that_is_ending_or_gone_do_nothing() {
    let mut book = Book::default();
    book.park(0.0, 1, user(7), 100);
    book.registry.handle_timeout(book.at(120.0));
    let ending = book.held();
    assert_eq!(ending, RegistryHeld { ending: 1, ..Default::default() });
    for _ in 0..2 {
        let now = book.at(121.0);
        book.registry.prove(1);
        book.registry.set_held(1, 5000);
        book.registry.detach(now, 1, 5000);
        assert_eq!(book.held().detached_bytes + book.held().bytes, 0);
        book.evicted(121.0);
    }
    assert_eq!(book.held(), RegistryHeld { tombstones: 1, ..Default::default() });
}

#[test]
fn a_tombstone_tells_its_owner_what_arrived_and_nobody_else() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    book.resume(1.0, &hello(1, token(1), 2), user(7), [11; 32]);
    let remains = Remains { last_processed: 41, head: 99 };
    book.registry.remove(book.at(2.0), 1, GapReason::SchemaChanged, remains);
    let told = Gap { reason: GapReason::SchemaChanged, remains: Some(remains) };
    // Both tokens that were valid still are.
    assert_eq!(book.gap(3.0, &hello(1, token(1), 3), user(7)), told);
    assert_eq!(book.gap(3.0, &hello(1, [11; 32], 3), user(7)), told);
    assert_eq!(book.gap(3.0, &hello(1, [12; 32], 3), user(7)), UNKNOWN);
    let changed = Gap { reason: GapReason::IdentityChanged, remains: None };
    assert_eq!(book.gap(3.0, &hello(1, token(1), 3), user(8)), changed);
    assert_eq!(book.gap(3.0, &hello(1, token(1), 3), NOBODY), changed);
    assert_eq!(book.gap(3.0, &hello(1, [12; 32], 3), user(8)), UNKNOWN);
    assert_eq!(book.gap(601.9, &hello(1, token(1), 3), user(7)), told);
    assert_eq!(book.gap(602.0, &hello(1, token(1), 3), user(7)), UNKNOWN);
}

#[test]
fn a_100_000th_tombstone_stays_and_one_more_makes_the_oldest_go() {
    let mut book = Book::default();
    // What an attack or a mass restart leaves behind; the first is the one that is lost.
    for session in 1..=100_001 {
        let hello = Hello::default();
        let new = New { session, token: &token(session), epoch: EPOCH, who: user(7), hello: &hello };
        book.registry.insert(book.start, new).unwrap();
        book.registry.remove(book.start, session, GapReason::Evicted, Remains::default());
    }
    assert_eq!(book.held().tombstones, 100_000);
    assert_eq!(book.gap(1.0, &hello(1, token(1), 2), user(7)), UNKNOWN);
    assert_eq!(book.gap(1.0, &hello(2, token(2), 2), user(7)).reason, GapReason::Evicted);
    assert_eq!(book.gap(1.0, &hello(100_001, token(100_001), 2), user(7)).reason, GapReason::Evicted);
}
