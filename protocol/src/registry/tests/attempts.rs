use super::*;

#[test]
fn equal_and_lower_attempts_of_the_same_instance_are_fenced() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    book.resume(1.0, &hello(1, token(1), 5), user(7), [11; 32]);
    for attempt in [0, 1, 4, 5] {
        // A delayed hello: it was written when that token was the one.
        let late = hello(1, token(1), attempt);
        assert_eq!(book.refusal(2.0, &late, user(7)).0, CloseCode::FENCED);
        let now = book.at(2.0);
        assert!(matches!(book.registry.attach(now, &late, &user(7), &[12; 32]), Err(Verdict::Refuse(_))));
    }
    assert_eq!(book.held().attached, 1);
    assert_eq!(book.resume(3.0, &hello(1, [11; 32], 6), user(7), [12; 32]).generation, 3);
}

/// Two links of one client say hello at almost the same time, and the older is handed over last.
#[test]
fn an_attach_that_was_overtaken_between_look_and_attach_is_fenced() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    let (older, newer) = (hello(1, token(1), 2), hello(1, token(1), 3));
    assert_eq!(book.look(1.0, &older, user(7)), Verdict::Resume { session: 1 });
    assert_eq!(book.look(1.0, &newer, user(7)), Verdict::Resume { session: 1 });
    let now = book.at(1.0);
    book.registry.attach(now, &newer, &user(7), &[13; 32]).unwrap();
    let Err(Verdict::Refuse(refusal)) = book.registry.attach(now, &older, &user(7), &[12; 32]) else {
        panic!()
    };
    assert_eq!(refusal.code, CloseCode::FENCED);
    book.resume(2.0, &hello(1, [13; 32], 4), user(7), [14; 32]);
}

#[test]
fn a_session_that_ended_between_look_and_attach_is_a_gap() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    book.registry.detach(book.at(1.0), 1, 0);
    let hello = hello(1, token(1), 2);
    assert_eq!(book.look(120.9, &hello, user(7)), Verdict::Resume { session: 1 });
    let gap = Gap { reason: GapReason::Expired, remains: None };
    let now = book.at(121.0);
    assert_eq!(book.registry.attach(now, &hello, &user(7), &[2; 32]), Err(Verdict::New { gap: Some(gap) }));
}

#[test]
fn another_instance_with_the_token_takes_the_session_over_whatever_its_attempt() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    book.resume(1.0, &hello(1, token(1), 9), user(7), [11; 32]);
    let other = Hello { instance: 2, ..hello(1, [11; 32], 1) };
    let attached = book.resume(2.0, &other, user(7), [12; 32]);
    assert_eq!(attached, Attached { generation: 3, superseded: true });
    // From now on its attempts count.
    let again = Hello { instance: 2, ..hello(1, [12; 32], 1) };
    assert_eq!(book.refusal(3.0, &again, user(7)).0, CloseCode::FENCED);
    let attached = book.resume(3.0, &Hello { instance: 2, ..hello(1, [12; 32], 2) }, user(7), [13; 32]);
    assert!(!attached.superseded);
}

#[test]
fn a_session_that_never_had_two_links_was_not_superseded() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    book.registry.detach(book.at(1.0), 1, 0);
    assert!(!book.resume(2.0, &hello(1, token(1), 2), user(7), [11; 32]).superseded);
}

#[test]
fn ten_resumes_a_minute_are_let_through_and_the_eleventh_is_told_when_to_come() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    for attempt in 2..12 {
        book.resume(attempt as f64, &hello(1, token(1), attempt), user(7), [11; 32]);
    }
    // The first was at 2 s.
    let (code, reason) = book.refusal(11.5, &hello(1, token(1), 12), user(7));
    assert_eq!((code, &*reason), (CloseCode::RATE_LIMITED, "too many resumes, retry after 51 s"));
    // Refusals don't prolong it, and the session is unharmed.
    book.refusal(61.9, &hello(1, token(1), 13), user(7));
    book.resume(62.0, &hello(1, token(1), 14), user(7), [12; 32]);
    book.refusal(62.1, &hello(1, token(1), 15), user(7));
    assert_eq!(book.counted().floods, 3);
}

#[test]
fn another_session_is_not_charged_for_a_flood_of_resumes() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    book.begin_proved(0.0, 2, user(7));
    for attempt in 2..12 {
        book.resume(1.0, &hello(1, token(1), attempt), user(7), [11; 32]);
    }
    book.refusal(1.0, &hello(1, token(1), 12), user(7));
    book.resume(1.0, &hello(2, token(2), 2), user(7), [12; 32]);
}

#[test]
fn a_draining_server_takes_resumes_and_no_new_sessions() {
    let mut book = Book::default();
    book.park(0.0, 1, user(7), 0);
    book.begin_proved(0.0, 2, user(7));
    book.registry.drain();
    let (code, reason) = book.refusal(1.0, &Hello::default(), user(8));
    assert_eq!((code, &*reason), (CloseCode::TRY_AGAIN, "the server is being stopped, retry after 30 s"));
    let new = New { session: 3, token: &token(3), epoch: EPOCH, who: user(8), hello: &Hello::default() };
    assert_eq!(book.registry.insert(book.start, new).unwrap_err().code, CloseCode::TRY_AGAIN);
    book.resume(2.0, &hello(1, token(1), 2), user(7), [11; 32]);
    book.resume(2.0, &hello(2, token(2), 2), user(7), [12; 32]);
    // A gap would need a new session.
    assert_eq!(book.refusal(3.0, &hello(9, token(9), 2), user(7)).0, CloseCode::TRY_AGAIN);
}

#[test]
fn revoking_an_identity_ends_its_sessions_with_and_without_a_link_and_no_others() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, user(7));
    book.park(0.0, 2, user(7), 500);
    book.begin_proved(0.0, 3, user(8));
    assert_eq!(book.registry.revoke(7), [1, 2]);
    let changed = Gap { reason: GapReason::IdentityChanged, remains: None };
    for session in [1, 2] {
        assert_eq!(book.gap(1.0, &hello(session, token(session), 2), user(7)), changed);
    }
    assert_eq!(book.registry.poll_evicted(), None);
    assert_eq!(book.held(), RegistryHeld { attached: 1, ending: 2, owners: 1, ..Default::default() });
    for session in [1, 2] {
        let now = book.at(1.0);
        book.registry.remove(now, session, GapReason::IdentityChanged, Remains::default());
    }
    assert_eq!(book.gap(2.0, &hello(1, token(1), 2), user(7)).reason, GapReason::IdentityChanged);
    book.resume(2.0, &hello(3, token(3), 2), user(8), [11; 32]);
    assert!(book.registry.revoke(7).is_empty());
}
