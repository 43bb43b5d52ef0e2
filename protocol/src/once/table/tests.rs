use std::time::Duration;

use bowline_test_support::origin;

use super::*;
use crate::status::{Code, Status};

const KIB: usize = 1024;

fn at(seconds: u64) -> Instant {
    origin() + Duration::from_secs(seconds)
}

fn scope(identity: u128) -> Scope {
    Scope { identity, service: "Chat", method: "post" }
}

/// The key of a caller that first wrote its call now.
fn key(table: &Table, key: u128) -> OnceKey {
    OnceKey { key, table: table.table() }
}

fn table(limits: OnceLimits) -> Table {
    Table::new(7, limits)
}

fn value(len: usize) -> Record {
    Ok(vec![1; len].into())
}

fn start(table: &mut Table, now: Instant, number: u128, identity: u128) -> Ticket {
    let key = key(table, number);
    match table.begin(now, &key, scope(identity), 0) {
        Begin::Start(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

/// Runs a call to its end.
fn run(table: &mut Table, now: Instant, number: u128, identity: u128, len: usize) -> Ticket {
    let ticket = start(table, now, number, identity);
    table.finish(now, ticket, value(len));
    ticket
}

fn is_kept(table: &mut Table, now: Instant, number: u128, identity: u128) -> bool {
    let key = OnceKey { key: number, table: OnceTable { id: 0, tick: 0 } };
    matches!(table.begin(now, &key, scope(identity), 0), Begin::Done(..) | Begin::Wait(_))
}

#[test]
fn a_repeat_waits_for_the_first_and_then_gets_what_it_ended_with() {
    let mut table = table(OnceLimits::default());
    let key = key(&table, 1);
    let Begin::Start(first) = table.begin(at(0), &key, scope(1), 5) else { panic!() };
    let Begin::Wait(waiting) = table.begin(at(1), &key, scope(1), 5) else { panic!() };
    assert_eq!(waiting, first);
    table.finish(at(2), first, Ok("done".into()));
    let Begin::Done(ticket, Ok(answer)) = table.begin(at(3), &key, scope(1), 5) else { panic!() };
    assert_eq!((ticket, &answer[..]), (first, &b"done"[..]));
}

#[test]
fn errors_are_recorded_as_they_are() {
    let mut table = table(OnceLimits::default());
    for (number, failure) in [
        (1, WireFailure::Application("full".into())),
        (2, WireFailure::Status(Status::new(Code::Internal, "a panic").with_detail(9))),
    ] {
        let ticket = start(&mut table, at(0), number, 1);
        table.finish(at(0), ticket, Err(failure));
    }
    let key = |number| OnceKey { key: number, table: OnceTable { id: 7, tick: 1 } };
    let Begin::Done(_, Err(WireFailure::Application(error))) = table.begin(at(1), &key(1), scope(1), 0)
    else {
        panic!()
    };
    assert_eq!(&error[..], b"full");
    let Begin::Done(_, Err(WireFailure::Status(status))) = table.begin(at(1), &key(2), scope(1), 0) else {
        panic!()
    };
    assert_eq!((status.code, status.detail), (Code::Internal, 9));
}

#[test]
fn only_the_first_end_counts() {
    let mut table = table(OnceLimits::default());
    let ticket = run(&mut table, at(0), 1, 1, 10);
    let before = table.stats();
    table.finish(at(1), ticket, value(KIB));
    table.abandon(ticket);
    assert_eq!(table.stats(), before);
    assert!(is_kept(&mut table, at(1), 1, 1));
}

#[test]
fn the_same_key_with_other_arguments_is_a_mismatch_while_it_runs_and_after() {
    let mut table = table(OnceLimits::default());
    let key = key(&table, 1);
    let Begin::Start(ticket) = table.begin(at(0), &key, scope(1), 5) else { panic!() };
    assert!(matches!(table.begin(at(0), &key, scope(1), 6), Begin::Mismatch));
    table.finish(at(1), ticket, value(1));
    assert!(matches!(table.begin(at(1), &key, scope(1), 6), Begin::Mismatch));
    assert!(matches!(table.begin(at(1), &key, scope(1), 5), Begin::Done(..)));
}

#[test]
fn a_key_belongs_to_service_and_method() {
    let mut table = table(OnceLimits::default());
    let key = key(&table, 1);
    let scopes = [scope(1), Scope { service: "Chut", ..scope(1) }, Scope { method: "past", ..scope(1) }];
    for scope in scopes {
        assert!(matches!(table.begin(at(0), &key, scope, 0), Begin::Start(_)), "{scope:?}");
    }
    assert_eq!((table.stats().entries, table.stats().identities), (3, 1));
}

/// It once ran again for a caller that had logged in, or had another address, between two tries.
#[test]
fn a_key_of_another_identity_neither_runs_nor_tells_its_answer() {
    for identity in [1, 3] {
        let mut table = table(OnceLimits::default());
        let key = key(&table, 1);
        let Begin::Start(ticket) = table.begin(at(0), &key, scope(2), 0) else { panic!() };
        assert!(matches!(table.begin(at(0), &key, scope(identity), 0), Begin::Unknown));
        table.finish(at(0), ticket, value(1));
        assert!(matches!(table.begin(at(0), &key, scope(identity), 0), Begin::Unknown));
        assert!(matches!(table.begin(at(0), &key, scope(2), 0), Begin::Done(..)));
    }
}

#[test]
fn what_was_refused_before_it_started_leaves_nothing_behind() {
    let mut table = table(OnceLimits::default());
    let before = table.table();
    let ticket = start(&mut table, at(0), 1, 1);
    table.abandon(ticket);
    assert_eq!(table.stats(), OnceStats::default());
    assert_eq!(table.table(), before, "nothing was forgotten");
    let again = start(&mut table, at(1), 1, 1);
    assert_ne!(again, ticket);
    table.finish(at(1), ticket, value(1));
    table.acknowledged(ticket);
    assert_eq!(table.stats().running, 1, "the old ticket means nothing any more");
}

#[test]
fn a_key_that_another_table_may_know_runs_nothing() {
    let mut table = table(OnceLimits::default());
    let elsewhere = OnceKey { key: 1, table: OnceTable { id: 8, tick: u64::MAX } };
    assert!(matches!(table.begin(at(0), &elsewhere, scope(1), 0), Begin::Unknown));
    assert_eq!(table.stats(), OnceStats::default());
}

#[test]
fn a_known_key_is_known_whatever_table_its_caller_had_seen() {
    let mut table = table(OnceLimits::default());
    run(&mut table, at(0), 1, 1, 10);
    let elsewhere = OnceKey { key: 1, table: OnceTable { id: 8, tick: 0 } };
    assert!(matches!(table.begin(at(0), &elsewhere, scope(1), 0), Begin::Done(..)));
}

#[test]
fn an_unknown_key_runs_unless_something_was_forgotten_since_its_caller_looked() {
    let mut table = table(OnceLimits { identity_entries: 2, ..OnceLimits::default() });
    let early = key(&table, 9);
    run(&mut table, at(0), 1, 1, 10);
    run(&mut table, at(0), 2, 1, 10);
    let seen = table.table();
    run(&mut table, at(301), 3, 1, 10);
    assert_eq!(table.table().tick, seen.tick + 1, "the first had to go");
    assert!(matches!(table.begin(at(301), &early, scope(1), 0), Begin::Unknown));
    let late = key(&table, 9);
    assert!(matches!(table.begin(at(301), &late, scope(1), 0), Begin::Start(_)));
}

/// The caller may have logged in since: what any identity forgot counts for all.
#[test]
fn what_one_identity_forgets_is_a_hole_for_all() {
    let mut table = table(OnceLimits { identity_entries: 1, ..OnceLimits::default() });
    let early = key(&table, 9);
    run(&mut table, at(0), 1, 1, 10);
    run(&mut table, at(301), 2, 1, 10);
    for identity in [1, 2] {
        assert!(matches!(table.begin(at(301), &early, scope(identity), 0), Begin::Unknown));
    }
}

#[test]
fn an_identity_has_1024_places() {
    let mut table = table(OnceLimits::default());
    for number in 0..1024 {
        start(&mut table, at(0), number, 1);
    }
    let next = key(&table, 1024);
    assert!(matches!(table.begin(at(9999), &next, scope(1), 0), Begin::Full), "what runs is never forgotten");
    assert!(matches!(table.begin(at(0), &next, scope(2), 0), Begin::Start(_)));
}

#[test]
fn a_repeat_needs_no_place() {
    let mut table = table(OnceLimits { identity_entries: 1, ..OnceLimits::default() });
    let first = key(&table, 1);
    start(&mut table, at(0), 1, 1);
    assert!(matches!(table.begin(at(0), &first, scope(1), 0), Begin::Wait(_)));
}

/// A refusal for lack of room says that nothing ran, which is not known here.
#[test]
fn what_may_have_run_is_unknown_rather_than_refused() {
    let mut table = table(OnceLimits { identity_entries: 1, ..OnceLimits::default() });
    start(&mut table, at(0), 1, 1);
    let elsewhere = OnceKey { key: 2, table: OnceTable { id: 8, tick: 1 } };
    assert!(matches!(table.begin(at(0), &elsewhere, scope(1), 0), Begin::Unknown));
}

#[test]
fn acknowledged_answers_go_first_then_those_older_than_300_s_and_younger_ones_never() {
    let mut table = table(OnceLimits { identity_entries: 4, ..OnceLimits::default() });
    for number in 1..=3 {
        run(&mut table, at(0), number, 1, 10);
    }
    let acknowledged = run(&mut table, at(250), 4, 1, 10);
    table.acknowledged(acknowledged);
    assert_eq!(table.table().tick, 1);

    // The youngest was acknowledged: it goes, and leaves no hole.
    run(&mut table, at(299), 5, 1, 10);
    assert!(!is_kept(&mut table, at(299), 4, 1));
    assert_eq!(table.table().tick, 1);

    // Now nothing may go, until the three are older than 300 s.
    for seconds in [299, 300] {
        let next = key(&table, 6);
        assert!(matches!(table.begin(at(seconds), &next, scope(1), 0), Begin::Full), "{seconds}");
    }
    run(&mut table, at(301), 6, 1, 10);
    assert!(!is_kept(&mut table, at(301), 1, 1), "the oldest went");
    assert_eq!(table.table().tick, 2);
    for number in [2, 3, 5, 6] {
        assert!(is_kept(&mut table, at(301), number, 1), "{number}");
    }
}

#[test]
fn what_its_caller_gave_up_while_it_ran_may_go_when_it_has_ended() {
    let mut table = table(OnceLimits { identity_entries: 1, ..OnceLimits::default() });
    let ticket = start(&mut table, at(0), 1, 1);
    table.acknowledged(ticket);
    let next = key(&table, 2);
    assert!(matches!(table.begin(at(0), &next, scope(1), 0), Begin::Full), "it runs");
    table.finish(at(1), ticket, value(1));
    assert!(matches!(table.begin(at(1), &next, scope(1), 0), Begin::Start(_)));
    assert_eq!(table.table().tick, 1);
}

#[test]
fn what_was_acknowledged_goes_before_what_is_old() {
    let mut table = table(OnceLimits { identity_entries: 2, ..OnceLimits::default() });
    run(&mut table, at(0), 1, 1, 10);
    let acknowledged = run(&mut table, at(300), 2, 1, 10);
    table.acknowledged(acknowledged);
    run(&mut table, at(301), 3, 1, 10);
    assert!(is_kept(&mut table, at(301), 1, 1));
    assert!(!is_kept(&mut table, at(301), 2, 1));
}

#[test]
fn the_300_s_count_from_the_answer() {
    let mut table = table(OnceLimits { identity_entries: 1, ..OnceLimits::default() });
    let ticket = start(&mut table, at(0), 1, 1);
    table.finish(at(200), ticket, value(1));
    let next = key(&table, 2);
    assert!(matches!(table.begin(at(500), &next, scope(1), 0), Begin::Full));
    assert!(matches!(table.begin(at(501), &next, scope(1), 0), Begin::Start(_)));
}

#[test]
fn keep_is_as_long_as_the_limits_say() {
    let mut table =
        table(OnceLimits { identity_entries: 1, keep: Duration::from_secs(5), ..OnceLimits::default() });
    run(&mut table, at(0), 1, 1, 1);
    let next = key(&table, 2);
    assert!(matches!(table.begin(at(5), &next, scope(1), 0), Begin::Full));
    assert!(matches!(table.begin(at(6), &next, scope(1), 0), Begin::Start(_)));
}

#[test]
fn nothing_is_forgotten_before_its_room_is_needed() {
    let mut table = table(OnceLimits::default());
    let ticket = run(&mut table, at(0), 1, 1, 10);
    table.acknowledged(ticket);
    run(&mut table, at(100_000), 2, 1, 10);
    assert!(is_kept(&mut table, at(100_000), 1, 1));
}

#[test]
fn a_node_keeps_64_mib() {
    const MIB: usize = KIB * KIB;
    let mut table = table(OnceLimits::default());
    // Four identities, each with as much as it may have.
    for identity in 0..4 {
        for number in 0..16 {
            run(&mut table, at(0), number + 100 * identity, identity, MIB - ENTRY);
        }
        let next = key(&table, 99);
        assert!(matches!(table.begin(at(0), &next, scope(identity), 0), Begin::Full));
    }
    assert_eq!(table.stats().bytes, 64 * MIB);
    let next = key(&table, 99);
    assert!(matches!(table.begin(at(0), &next, scope(9), 0), Begin::Full));
    assert!(matches!(table.begin(at(301), &next, scope(9), 0), Begin::Start(_)));
    assert!(table.stats().bytes <= 64 * MIB);
}

#[test]
fn an_identity_keeps_no_more_than_its_share() {
    let mut table = table(OnceLimits { identity_bytes: 2 * ENTRY + 2 * KIB, ..OnceLimits::default() });
    run(&mut table, at(0), 1, 1, KIB);
    run(&mut table, at(0), 2, 1, KIB);
    let next = key(&table, 3);
    assert!(matches!(table.begin(at(0), &next, scope(1), 0), Begin::Full));
    assert!(matches!(table.begin(at(0), &next, scope(2), 0), Begin::Start(_)), "another has its own");
    run(&mut table, at(301), 4, 1, KIB);
    assert!(!is_kept(&mut table, at(301), 1, 1));
}

#[test]
fn an_answer_without_room_is_not_kept_and_its_repeat_is_told_so() {
    for limits in [
        OnceLimits { bytes: 3 * KIB, ..OnceLimits::default() },
        OnceLimits { identity_bytes: 3 * KIB, ..OnceLimits::default() },
    ] {
        let mut table = table(limits);
        run(&mut table, at(0), 1, 1, KIB);
        let large = key(&table, 2);
        let ticket = start(&mut table, at(0), 2, 1);
        table.finish(at(0), ticket, value(2 * KIB));
        assert!(matches!(table.begin(at(0), &large, scope(1), 0), Begin::Unknown));
        assert!(is_kept(&mut table, at(0), 1, 1), "a young one never goes for it");
        assert_eq!(table.stats().bytes, 2 * ENTRY + KIB);
        // Its place is given back as any other.
        table.acknowledged(ticket);
        table.abandon(ticket);
        assert_eq!(table.stats().entries, 2);
    }
}

#[test]
fn an_answer_that_fits_into_no_table_makes_nobody_go() {
    let mut table = table(OnceLimits { bytes: 4 * KIB, ..OnceLimits::default() });
    let ticket = run(&mut table, at(0), 1, 1, KIB);
    table.acknowledged(ticket);
    run(&mut table, at(1), 2, 1, 5 * KIB);
    assert!(is_kept(&mut table, at(1), 1, 1));
}

#[test]
fn an_answer_makes_room_for_itself() {
    let mut table = table(OnceLimits { bytes: 4 * KIB, ..OnceLimits::default() });
    let first = run(&mut table, at(0), 1, 1, 2 * KIB);
    table.acknowledged(first);
    run(&mut table, at(1), 2, 2, 3 * KIB);
    assert!(!is_kept(&mut table, at(1), 1, 1));
    assert!(is_kept(&mut table, at(1), 2, 2));
    assert_eq!(table.stats().bytes, ENTRY + 3 * KIB);
}

#[test]
fn without_places_no_call_runs() {
    let mut table = table(OnceLimits { identity_entries: 0, ..OnceLimits::default() });
    let key = key(&table, 1);
    assert!(matches!(table.begin(at(0), &key, scope(1), 0), Begin::Full));
}

#[test]
fn a_clock_that_stands_still_or_goes_back_forgets_nothing() {
    let mut table = table(OnceLimits { identity_entries: 1, ..OnceLimits::default() });
    run(&mut table, at(1000), 1, 1, 1);
    let next = key(&table, 2);
    assert!(matches!(table.begin(at(0), &next, scope(1), 0), Begin::Full));
}
