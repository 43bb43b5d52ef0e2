use super::*;

#[test]
fn the_seventeenth_session_of_an_identity_evicts_its_oldest() {
    let mut book = Book::default();
    book.park(0.0, 100, user(8), 0);
    for session in 1..=16 {
        book.park(session as f64, session, user(7), 0);
    }
    assert!(book.evicted(20.0).is_empty());
    book.park(17.0, 17, user(7), 0);
    assert_eq!(book.evicted(20.0), [(1, GapReason::Evicted)]);
    assert_eq!(book.gap(21.0, &hello(1, token(1), 2), user(7)).reason, GapReason::Evicted);
    assert_eq!(book.held().detached, 17);
}

/// Presenting a token shows that the welcome arrived, whether or not its acknowledgement did.
#[test]
fn a_session_that_was_resumed_is_proved() {
    let mut book = Book::default();
    book.begin(0.0, 50, user(7));
    book.resume(0.0, &hello(50, token(50), 2), user(7), [99; 32]);
    for session in 1..=15 {
        book.park(session as f64, session, user(7), 0);
    }
    book.registry.detach(book.at(16.0), 50, 0);
    book.park(17.0, 17, user(7), 0);
    assert_eq!(book.evicted(17.0), [(1, GapReason::Evicted)]);
}

#[test]
fn an_anonymous_session_is_on_the_account_of_the_address_where_it_is_now() {
    let mut book = Book::new(NodeLimits { detached_per_address: 2, ..NodeLimits::default() });
    for session in 1..=2 {
        book.park(0.0, session, address(1), 0);
    }
    book.park(0.0, 3, address(2), 0);
    book.resume(1.0, &hello(1, token(1), 2), address(2), [99; 32]);
    book.registry.detach(book.at(1.0), 1, 0);
    book.park(2.0, 4, address(1), 0);
    assert!(book.evicted(2.0).is_empty());
    book.park(3.0, 5, address(2), 0);
    assert_eq!(book.evicted(3.0), [(3, GapReason::Evicted)]);
}

/// A subscriber of IPv6 has 2^64 addresses, and could otherwise park without end.
#[test]
fn addresses_of_one_ipv6_network_share_an_account() {
    let mut book = Book::new(NodeLimits { detached_per_address: 3, ..NodeLimits::default() });
    let at = |network, host| Who {
        identity: None,
        address: Some(IpAddr::from([0x2001, 0xdb8, 0, network, 0, 0, 0, host])),
    };
    for session in 1..=4 {
        book.park(0.0, session, at(1, session as u16), 0);
    }
    book.park(0.0, 5, at(2, 1), 0);
    assert_eq!(book.evicted(0.0), [(1, GapReason::Evicted)]);
    // One of IPv4 is the same in its IPv6 form.
    let mapped =
        |last| Who { identity: None, address: Some(IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, last])) };
    book.park(1.0, 6, mapped(0x0201), 0);
    book.park(1.0, 7, address(1), 0);
    book.park(1.0, 8, mapped(0x0202), 0);
    assert_eq!(book.held().owners, 4);
}

/// The bound is for parked sessions: who has many tabs open loses none.
#[test]
fn sessions_with_a_link_do_not_count_as_detached() {
    let mut book = Book::default();
    for session in 1..=40 {
        book.begin_proved(0.0, session, user(7));
    }
    for session in 1..=16 {
        book.registry.detach(book.at(1.0), session, 0);
    }
    assert!(book.evicted(1.0).is_empty());
    // One comes back and another goes.
    book.resume(2.0, &hello(1, token(1), 2), user(7), [99; 32]);
    book.registry.detach(book.at(3.0), 17, 0);
    assert!(book.evicted(3.0).is_empty());
    assert_eq!((book.held().attached, book.held().detached), (24, 16));
}

#[test]
fn an_address_parks_128_anonymous_sessions() {
    let mut book = Book::default();
    for session in 1..=128 {
        book.park(session as f64 / 10.0, session, address(1), 0);
    }
    book.park(13.0, 1000, address(2), 0);
    assert!(book.evicted(13.0).is_empty());
    book.park(13.0, 129, address(1), 0);
    assert_eq!(book.evicted(13.0), [(1, GapReason::Evicted)]);
}

/// People who are logged in have a bound of their own: those behind one address don't evict each other.
#[test]
fn identities_behind_one_address_are_on_their_own_accounts() {
    let mut book = Book::default();
    for session in 1..=300 {
        let who = Who { identity: Some(session), ..address(1) };
        book.park(0.0, session, who, 0);
    }
    assert!(book.evicted(0.0).is_empty());
    assert_eq!((book.held().detached, book.held().owners), (300, 300));
}

#[test]
fn an_unproved_session_goes_before_older_proved_ones_of_its_owner() {
    let mut book = Book::default();
    for session in 1..=15 {
        book.park(session as f64, session, user(7), 0);
    }
    book.begin(16.0, 16, user(7));
    book.registry.detach(book.at(16.0), 16, 0);
    book.park(17.0, 17, user(7), 0);
    assert_eq!(book.evicted(17.0), [(16, GapReason::Evicted)]);
}

/// The acknowledgement of a welcome may be looked at after its link was lost.
#[test]
fn a_session_proved_late_loses_its_bad_place() {
    let mut book = Book::default();
    book.begin(0.0, 16, user(7));
    book.registry.detach(book.at(0.5), 16, 0);
    for session in 1..=15 {
        book.park(session as f64, session, user(7), 0);
    }
    book.registry.prove(16);
    book.resume(16.0, &hello(1, token(1), 2), user(7), [99; 32]);
    book.registry.detach(book.at(16.0), 1, 0);
    // 16 is now the oldest of the proved ones, and that is why it goes; then 2, which is the next.
    book.park(17.0, 17, user(7), 0);
    assert_eq!(book.evicted(17.0), [(16, GapReason::Evicted)]);
    book.park(18.0, 18, user(7), 0);
    assert_eq!(book.evicted(18.0), [(2, GapReason::Evicted)]);
}

#[test]
fn beyond_20_000_the_owner_with_most_sessions_loses_its_oldest() {
    let mut book = Book::default();
    // 12 of somebody, parked early; 19,988 of people with one each, parked before and after.
    book.park(0.0, 1, user(1), 0);
    for session in 2..=13 {
        book.park(session as f64, session, user(2), 0);
    }
    for session in 14..=20_000 {
        book.park(20.0, session, user(session), 0);
    }
    assert!(book.evicted(20.0).is_empty());
    assert_eq!(book.held().detached, 20_000);
    for session in 20_001..=20_003 {
        book.park(21.0, session, user(session), 0);
    }
    assert_eq!(book.evicted(21.0), [2, 3, 4].map(|session| (session, GapReason::Evicted)));
    assert_eq!((book.held().detached, book.counted().evicted), (20_000, 3));
}

#[test]
fn beyond_256_mib_the_owner_with_most_bytes_loses_its_oldest() {
    let mut book = Book::default();
    book.park(0.0, 1, user(1), MIB);
    // Many small ones are less than two large ones.
    for session in 2..=12 {
        book.park(1.0, session, user(2), MIB);
    }
    book.park(2.0, 20, user(3), 122 * MIB);
    book.park(3.0, 21, user(3), 122 * MIB);
    assert_eq!(book.held().detached_bytes, 256 * MIB);
    assert!(book.evicted(3.0).is_empty());
    book.park(4.0, 22, user(4), 1);
    assert_eq!(book.evicted(4.0), [(20, GapReason::Evicted)]);
    assert_eq!(book.held().detached_bytes, 134 * MIB + 1);
}

/// Handlers of a session without a link go on, and so does what it holds.
#[test]
fn what_a_detached_session_comes_to_hold_counts() {
    let mut book = Book::default();
    book.park(0.0, 1, user(1), 0);
    book.park(1.0, 2, user(2), 100 * MIB);
    book.registry.set_held(1, 157 * MIB);
    assert_eq!(book.evicted(2.0), [(1, GapReason::Evicted)]);
    book.registry.set_held(2, 256 * MIB);
    book.registry.set_held(2, 0);
    assert!(book.evicted(2.0).is_empty());
    assert_eq!((book.held().detached_bytes, book.held().bytes), (0, 0));
}

#[test]
fn unproved_sessions_of_the_node_go_before_all_others() {
    let limits = NodeLimits { detached: 10, ..NodeLimits::default() };
    let mut book = Book::new(limits);
    for session in 1..=7 {
        book.park(0.0, session, user(1), MIB);
    }
    for (session, owner) in [(8, 2), (9, 3), (10, 3)] {
        book.begin(1.0, session, user(owner));
        book.registry.detach(book.at(1.0), session, 0);
    }
    for session in 11..=14 {
        book.park(2.0, session, user(4), 0);
    }
    // First of who has most unproved ones; when none is left, of who has most.
    assert_eq!(book.evicted(2.0).iter().map(|it| it.0).collect::<Vec<_>>(), [9, 10, 8, 1]);
}

/// An attacker who parks what he can evicts only his own, by number and by bytes.
#[test]
fn one_owner_with_endless_sessions_evicts_only_his_own() {
    let limits = NodeLimits { detached: 50, detached_bytes: 50 * MIB, ..NodeLimits::default() };
    let mut book = Book::new(limits);
    for session in 1..=20 {
        book.park(0.0, session, user(session), MIB);
    }
    for session in 100..1100 {
        book.park(1.0, session, address(1), MIB);
    }
    let evicted = book.evicted(1.0);
    assert_eq!(evicted.len(), 970);
    assert!(evicted.iter().all(|(session, _)| *session >= 100));
    assert_eq!((book.held().detached, book.held().detached_bytes), (50, 50 * MIB));
}

#[test]
fn beyond_1_gib_in_all_the_largest_session_ends_with_a_link_or_without() {
    let mut book = Book::default();
    for session in 1..=3 {
        book.begin_proved(0.0, session, user(session));
    }
    book.park(0.0, 4, user(4), 200 * MIB);
    book.registry.set_held(1, 300 * MIB);
    book.registry.set_held(2, 324 * MIB);
    book.registry.set_held(3, 200 * MIB);
    assert_eq!(book.held().bytes, 1024 * MIB);
    assert!(book.evicted(0.0).is_empty());
    book.registry.set_held(3, 200 * MIB + 1);
    // The driver closes its link with 4002; if it comes back it hears of it.
    assert_eq!(book.registry.poll_evicted(), Some((2, GapReason::Evicted)));
    assert_eq!(book.gap(1.0, &hello(2, token(2), 2), user(2)).reason, GapReason::Evicted);
    let now = book.at(1.0);
    book.registry.remove(now, 2, GapReason::Evicted, Remains::default());
    let held = RegistryHeld {
        attached: 2,
        detached: 1,
        detached_bytes: 200 * MIB,
        bytes: 700 * MIB + 1,
        owners: 3,
        tombstones: 1,
        ..Default::default()
    };
    assert_eq!(book.held(), held);
}

#[test]
fn a_full_server_refuses_new_sessions_and_takes_resumes() {
    let mut book = Book::new(NodeLimits { attached: 2, ..NodeLimits::default() });
    book.park(0.0, 1, user(7), 0);
    book.begin_proved(0.0, 2, user(7));
    book.begin_proved(0.0, 3, user(7));
    let (code, reason) = book.refusal(1.0, &Hello::default(), user(8));
    assert_eq!((code, &*reason), (CloseCode::TRY_AGAIN, "full, retry after 30 s"));
    book.resume(1.0, &hello(1, token(1), 2), user(7), [9; 32]);
    assert_eq!((book.held().attached, book.counted().turned_away), (3, 1));
    book.registry.forget(2);
    book.registry.forget(3);
    book.begin(2.0, 4, user(8));
}

#[test]
fn an_id_that_is_there_is_not_entered_twice() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    let new = New { session: 1, token: &[5; 32], epoch: EPOCH, who: user(8), hello: &Hello::default() };
    assert!(book.registry.insert(book.start, new).is_err());
    book.resume(1.0, &hello(1, token(1), 2), user(7), [9; 32]);
}
