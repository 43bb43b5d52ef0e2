use super::*;

const ADA: Who = Who { identity: Some(7), address: None };
const BOB: Who = Who { identity: Some(8), address: None };

/// Who has nothing of the session but its id, which logs may show, gets nothing and changes nothing: afterwards the
/// owner resumes.
fn refused(spoil: impl Fn(&mut Hello), who: Who, gap: Gap) {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, ADA);
    let before = book.registry.stats().held;
    for attempt in 2..40 {
        let mut hello = hello(1, token(1), attempt);
        spoil(&mut hello);
        assert_eq!(book.gap(1.0, &hello, who), gap);
        assert_eq!(
            book.registry.attach(book.at(1.0), &hello, &who, &[9; 32]),
            Err(Verdict::New { gap: Some(gap) })
        );
    }
    assert_eq!(book.registry.stats().held, before);
    let attached = book.resume(2.0, &hello(1, token(1), 2), ADA, [10; 32]);
    assert_eq!(attached, Attached { generation: 2, superseded: false });
}

#[test]
fn a_random_token_is_refused_and_the_owner_is_unharmed() {
    refused(|hello| hello.resume.as_mut().unwrap().token = Secret::from(vec![3; 32]), ADA, UNKNOWN);
}

#[test]
fn tokens_of_another_length_are_refused_and_the_owner_is_unharmed() {
    for length in [0, 1, 31, 33, 8192] {
        refused(
            move |hello| hello.resume.as_mut().unwrap().token = Secret::from(vec![1; length]),
            ADA,
            UNKNOWN,
        );
    }
}

#[test]
fn the_token_of_another_session_is_refused_and_both_owners_are_unharmed() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, ADA);
    book.begin_proved(0.0, 2, ADA);
    assert_eq!(book.gap(1.0, &hello(1, token(2), 2), ADA), UNKNOWN);
    book.resume(2.0, &hello(1, token(1), 2), ADA, [11; 32]);
    book.resume(2.0, &hello(2, token(2), 2), ADA, [12; 32]);
}

#[test]
fn a_right_token_in_other_hands_is_an_identity_change_and_the_owner_is_unharmed() {
    let changed = Gap { reason: GapReason::IdentityChanged, remains: None };
    refused(|_| {}, BOB, changed);
    refused(|_| {}, NOBODY, changed);
}

/// Otherwise an answer would tell strangers which sessions there are, and whose.
#[test]
fn a_wrong_token_in_other_hands_looks_like_a_session_that_is_not_there() {
    refused(|hello| hello.resume.as_mut().unwrap().token = Secret::from(vec![3; 32]), BOB, UNKNOWN);
    assert_eq!(Book::default().gap(0.0, &hello(1, token(1), 2), BOB), UNKNOWN);
}

#[test]
fn another_epoch_is_state_lost() {
    refused(
        |hello| hello.resume.as_mut().unwrap().epoch = EPOCH + 1,
        ADA,
        Gap { reason: GapReason::StateLost, remains: None },
    );
}

#[test]
fn a_token_used_up_by_an_acknowledged_attach_is_refused() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, ADA);
    book.resume(1.0, &hello(1, token(1), 2), ADA, [11; 32]);
    book.registry.prove(1);
    assert_eq!(book.gap(2.0, &hello(1, token(1), 3), ADA), UNKNOWN);
    book.resume(3.0, &hello(1, [11; 32], 3), ADA, [12; 32]);
}

#[test]
fn a_token_two_attaches_old_is_refused() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, ADA);
    book.resume(1.0, &hello(1, token(1), 2), ADA, [11; 32]);
    book.resume(2.0, &hello(1, [11; 32], 3), ADA, [12; 32]);
    assert_eq!(book.gap(3.0, &hello(1, token(1), 4), ADA), UNKNOWN);
    book.resume(4.0, &hello(1, [12; 32], 4), ADA, [13; 32]);
}

/// One previous token would be enough for one lost welcome and would lock the client out at the second.
#[test]
fn lost_welcomes_do_not_lock_the_client_out_however_many_in_a_row() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, ADA);
    for attempt in 2..10 {
        let next = [100 + attempt as u8; 32];
        let attached = book.resume(attempt as f64 * 60.0, &hello(1, token(1), attempt), ADA, next);
        assert_eq!(attached.generation, attempt);
        // The welcome is lost, and so is the link.
        book.registry.detach(book.at(attempt as f64 * 60.0), 1, 0);
    }
    // The welcomes before the last were never proved; only the newest of them is worth anything.
    assert_eq!(book.gap(600.0, &hello(1, [108; 32], 10), ADA), UNKNOWN);
    book.resume(600.0, &hello(1, [109; 32], 10), ADA, [110; 32]);
}

/// The welcome arrived; the acknowledgement of it did not.
#[test]
fn the_newest_token_is_valid_before_it_is_proved() {
    let mut book = Book::default();
    book.begin(0.0, 1, ADA);
    book.registry.detach(book.at(1.0), 1, 0);
    book.resume(2.0, &hello(1, token(1), 2), ADA, [11; 32]);
    book.registry.detach(book.at(3.0), 1, 0);
    book.resume(4.0, &hello(1, [11; 32], 3), ADA, [12; 32]);
    // Presenting it proved it.
    assert_eq!(book.gap(5.0, &hello(1, token(1), 4), ADA), UNKNOWN);
}

#[test]
fn what_is_kept_of_tokens_is_not_what_is_presented() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, ADA);
    let shown = format!("{:?}", book.registry);
    assert!(!shown.contains("1, 1, 1, 1"), "{shown}");
    let hello = Hello::default();
    let new = New { session: 1, token: &token(1), epoch: EPOCH, who: ADA, hello: &hello };
    assert!(!format!("{new:?}").contains("1, 1, 1, 1"));
}

#[test]
fn refusals_are_counted_by_kind() {
    let mut book = Book::default();
    book.begin_proved(0.0, 1, ADA);
    book.gap(1.0, &hello(1, [3; 32], 2), ADA);
    book.gap(1.0, &hello(2, [3; 32], 2), ADA);
    book.gap(1.0, &hello(1, token(1), 2), BOB);
    book.refusal(1.0, &hello(1, token(1), 1), ADA);
    let expected = RegistryCounted {
        begun: 1,
        tokens_refused: 2,
        identities_refused: 1,
        fenced: 1,
        ..Default::default()
    };
    assert_eq!(book.counted(), expected);
}
