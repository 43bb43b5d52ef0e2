//! Sessions that are given up, and resumes that are refused.

use std::time::Duration;

use bowline_protocol::envelope::{Control, Decoder, Envelope, GapReason, Hello, Outcome, Resume, Welcome};
use bowline_protocol::session::{Event, Session, Welcoming};
use bowline_protocol::status::CloseCode;
use bowline_test_support::Side;

use crate::common::links::*;
use crate::common::*;
use crate::shop::{IDEMPOTENT, NEVER, buy, encode, hello, shop, shopping};

#[test]
fn a_session_that_is_closed_for_cause_twice_without_progress_is_given_up() {
    for closes in [Side::Client, Side::Server] {
        let mut pair = shop();
        let own = buy(&mut pair, IDEMPOTENT, "x");
        pair.run();
        assert_eq!(arrivals(&mut pair).len(), 1);
        pair.advance(Duration::from_secs(2));
        for round in 0..2 {
            let now = pair.now;
            pair.session(closes).close(now, CloseCode::SLOW, "slow");
            pair.run();
            cut(&mut pair);
            pair.connect();
            pair.run();
            let told = outcomes(&mut pair, Side::Client);
            match (round, &told[..]) {
                (0, [Outcome::Resumed]) | (1, [Outcome::Gap { reason: GapReason::NoProgress, .. }]) => {}
                _ => panic!("{closes:?} {round} {told:?}"),
            }
        }
        let events = pair.events(Side::Server);
        assert!(
            events.iter().any(|it| matches!(it, Event::Stopped { .. })),
            "the old session ended: {events:?}"
        );
        let Some(Event::Call(again)) = events.into_iter().find(|it| matches!(it, Event::Call(_))) else {
            panic!("it may be asked twice");
        };
        respond(&mut pair, again.call, "answer");
        assert_eq!(response(&mut pair, own).unwrap(), b"answer");
    }
}

#[test]
fn a_session_that_is_closed_for_cause_now_and_then_goes_on() {
    let mut pair = shop();
    for _ in 0..5 {
        let now = pair.now;
        pair.client().close(now, CloseCode::SLOW, "slow");
        pair.server().close(now, CloseCode::SLOW, "slow");
        pair.run();
        change_links(&mut pair);
        // An acknowledgement that is news, for each end.
        let own = buy(&mut pair, NEVER, "x");
        pair.run();
        let came = arrivals(&mut pair);
        respond(&mut pair, came[0].0, "answer");
        assert_eq!(response(&mut pair, own).unwrap(), b"answer");
        pair.advance(Duration::from_secs(2));
    }
}

#[test]
fn a_resume_that_says_wrong_things_is_refused_and_harms_nothing() {
    let mut pair = shop();
    let own = buy(&mut pair, NEVER, "x");
    pair.run();
    let came = arrivals(&mut pair);
    // The client has acknowledged the declaration's answer and the first response.
    respond(&mut pair, came[0].0, "answer");
    assert_eq!(response(&mut pair, own).unwrap(), b"answer");
    pair.advance(Duration::from_secs(2));
    cut(&mut pair);
    let right = hello(&mut pair).resume.unwrap();
    let head = pair.server().head();
    assert_eq!(right.last_processed, head);
    let cases: [(Resume, GapReason); 6] = [
        (Resume { last_processed: head + 1, ..right.clone() }, GapReason::StateLost),
        (Resume { last_processed: u64::MAX, ..right.clone() }, GapReason::StateLost),
        (Resume { last_processed: head - 1, ..right.clone() }, GapReason::StateLost),
        (Resume { epoch: right.epoch + 1, ..right.clone() }, GapReason::StateLost),
        (Resume { session: right.session + 1, ..right.clone() }, GapReason::Unknown),
        (Resume { declarations: right.declarations + 1, ..right.clone() }, GapReason::SchemaChanged),
    ];
    outcomes(&mut pair, Side::Server);
    for (wrong, reason) in cases {
        assert_eq!(pair.server().can_resume(&wrong), Err(reason), "{wrong:?}");
        let now = pair.now;
        let hello = Hello { resume: Some(wrong), ..Hello::default() };
        pair.server().attach(now, &hello, Welcoming::new(1, [0; 32], 1));
        assert!(pair.server().is_detached());
        assert_eq!(pair.server().poll_transmit(now), None);
        assert!(pair.events(Side::Server).is_empty());
    }
    assert_eq!(pair.server().can_resume(&right), Ok(()));
    let now = pair.now;
    pair.client().handle_disconnect(now, None);
    resume(&mut pair);
    assert_empty(&mut pair);
}

#[test]
fn a_fresh_machine_and_one_that_is_over_resume_nothing() {
    let mut pair = shop();
    cut(&mut pair);
    let resume = hello(&mut pair).resume.unwrap();
    assert_eq!(Session::server(shopping()).can_resume(&resume), Err(GapReason::Unknown));
    let now = pair.now;
    pair.server().end(now);
    assert_eq!(pair.server().can_resume(&resume), Err(GapReason::Unknown));
}

#[test]
fn a_client_goes_on_with_no_session_but_its_own() {
    type Alter = fn(&mut Welcome);
    let wrong: [(&str, Alter); 8] = [
        ("another caller", |it| it.identity = Some(1)),
        ("another session", |it| it.session += 1),
        ("another epoch", |it| it.epoch += 1),
        ("an attach that is not newer", |it| it.generation -= 1),
        ("no number", |it| it.peer_last_processed = None),
        ("a number that was never given", |it| it.peer_last_processed = Some(100)),
        ("the largest number", |it| it.peer_last_processed = Some(u64::MAX)),
        ("a number from before what was acknowledged", |it| it.peer_last_processed = Some(0)),
    ];
    for (what, alter) in wrong {
        let mut pair = shop();
        let own = buy(&mut pair, IDEMPOTENT, "x");
        pair.run();
        assert_eq!(arrivals(&mut pair).len(), 1);
        pair.advance(Duration::from_secs(2));
        cut(&mut pair);
        let hello = hello(&mut pair);
        let now = pair.now;
        let welcoming = Welcoming { generation: 2, ..Welcoming::new(0, [1; 32], 0) };
        pair.server().attach(now, &hello, welcoming);
        let message = pair.server().poll_transmit(now).unwrap();
        let Some(Ok(Envelope::Control(Control::Welcome(mut welcome)))) = Decoder::new(message).next() else {
            panic!("a welcome");
        };
        alter(&mut welcome);
        pair.inject(Side::Client, encode(Control::Welcome(welcome)));
        assert!(!pair.client().is_live(), "{what}");
        pair.client().poll_transmit(now);
        assert_eq!(pair.client().poll_close().unwrap().code, CloseCode::OUT_OF_STEP, "{what}");
        cut(&mut pair);
        assert_eq!(outcomes(&mut pair, Side::Client), [], "{what}");
        // The next time it asks for nothing, and reports the gap itself.
        pair.sent(Side::Client);
        pair.connect();
        pair.run();
        let sent = pair.sent(Side::Client);
        assert!(
            matches!(&sent[0], Envelope::Control(Control::Hello(hello)) if hello.resume.is_none()),
            "{what}"
        );
        let told = outcomes(&mut pair, Side::Client);
        assert!(matches!(told[..], [Outcome::Gap { reason: GapReason::NoProgress, .. }]), "{what} {told:?}");
        let events = pair.events(Side::Server).into_iter();
        let again: Vec<_> =
            events.filter_map(|it| if let Event::Call(call) = it { Some(call.call) } else { None }).collect();
        respond(&mut pair, again[0], "answer");
        assert_eq!(response(&mut pair, own).unwrap(), b"answer", "{what}");
    }
}

#[test]
fn a_session_that_nobody_asked_for_does_not_go_on() {
    let mut pair = shop();
    cut(&mut pair);
    let asked = hello(&mut pair);
    let now = pair.now;
    pair.server().attach(now, &asked, Welcoming { generation: 2, ..Welcoming::new(0, [1; 32], 0) });
    let welcome = pair.server().poll_transmit(now).unwrap();
    let mut other = Session::client(shopping(), 8);
    other.handle_connected(now);
    other.poll_transmit(now).unwrap();
    other.handle_message(now, welcome);
    other.poll_transmit(now);
    assert_eq!(other.poll_close().unwrap().code, CloseCode::MALFORMED);
}
