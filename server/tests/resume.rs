//! Sessions go on on other links, for their owners and for nobody else.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::time::Duration;

use bowline::prelude::*;
use bowline_protocol::envelope::{GapReason, Hello, Outcome, Secret};
use bowline_protocol::limits::Limits;
use bowline_protocol::registry::{NodeLimits, RegistryHeld};
use bowline_server::{Credentials, Refused, Server, ServerBuilder};
use http::request::Parts;
use support::probe::{ProbeClient, ProbeServer, Service, User, method};
use support::wire::{Place, Ticket, Wire, reason, until};
use tokio::time::sleep;

const PROBE: &[&bowline_protocol::schema::ServiceDescriptor] = &[ProbeClient::SERVICE];

/// Who shows a name is that user; who shows nothing is refused.
async fn by_name(parts: &Parts) -> Result<User, Refused> {
    let credentials = parts.extensions.get::<Credentials>();
    let name =
        credentials.and_then(Credentials::expose_str).ok_or_else(|| Refused::unauthenticated("who?"))?;
    Ok(User(name.to_owned()))
}

fn builder(service: &Service) -> ServerBuilder {
    Server::builder().service(ProbeServer::new(service.clone())).identify(by_name)
}

/// A place with a service, and ada's session there.
async fn ada() -> (Service, Place, Wire, Ticket) {
    let service = Service::default();
    let place = Place::new(builder(&service).build());
    let (wire, ticket) = place.begin("ada", PROBE).await;
    (service, place, wire, ticket)
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_survives_a_cut() {
    let (service, place, mut wire, mut ticket) = ada().await;
    wire.start(&service, method::GATE).await;
    drop(wire);
    until(1, "the link is gone", || place.server.sessions() == 0).await;
    assert_eq!(place.server.stats().held.detached, 1);

    // The handler ends while there is no link; the answer waits.
    sleep(Duration::from_secs(30)).await;
    service.gate.notify_one();
    service.running.wait_for(0).await;
    let (mut wire, welcome) = place.resume(ticket.again()).await;
    let welcome = welcome.unwrap();
    assert_eq!(welcome.peer_last_processed, Some(1));
    ticket.take(&welcome);
    assert_eq!(wire.response(0).await.1, "7");
    assert_eq!(place.server.stats().counted.resumed, 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_link_was_cut_is_written_again_under_its_number() {
    let (_, place, mut wire, mut ticket) = ada().await;
    wire.open(1, 0, method::ADD, r#"{"a":2,"b":3}"#).await;
    let (first, _) = wire.response(0).await;
    // It arrived and was not acknowledged; the client says that it has seen only what was before.
    ticket.seen = first - 1;
    for _ in 0..3 {
        drop(wire);
        wire = place.go_on(&mut ticket).await;
        assert_eq!(wire.response(0).await, (first, "5".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_waits_119_9_s_for_a_link_and_not_120_1_s() {
    for (wait, goes_on) in [(0.0, true), (0.001, true), (10.0, true), (119.9, true), (120.1, false)] {
        let (service, place, mut wire, mut ticket) = ada().await;
        wire.start(&service, method::GATE).await;
        drop(wire);
        place.parked(1).await;
        sleep(Duration::from_secs_f64(wait)).await;
        let (mut wire, welcome) = place.resume(ticket.again()).await;
        let welcome = welcome.unwrap();
        if goes_on {
            ticket.take(&welcome);
            service.gate.notify_one();
            wire.response(0).await;
        } else {
            // Only the owner learns what had arrived.
            assert_eq!(reason(&welcome), GapReason::Expired);
            assert_eq!(welcome.peer_last_processed, Some(1));
            assert_ne!(welcome.session, ticket.session);
            service.running.wait_for(0).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_lost_welcomes_in_a_row_do_not_lose_the_session() {
    let (service, place, mut wire, mut ticket) = ada().await;
    wire.start(&service, method::GATE).await;
    for _ in 0..3 {
        // The server takes the hello, and its welcome goes nowhere.
        let mut lost = place.link().await;
        lost.say(ticket.again()).await;
        let resumed = place.server.stats().counted.resumed;
        until(1, "the hello arrived", || place.server.stats().counted.resumed > resumed).await;
        drop(lost);
    }
    let (mut wire, welcome) = place.resume(ticket.again()).await;
    let welcome = welcome.unwrap();
    assert_eq!(welcome.generation, 5);
    ticket.take(&welcome);
    service.gate.notify_one();
    assert_eq!(wire.response(0).await.1, "7");
}

/// Plays an attacker who knows the session's id, against a session with a link and one without.
async fn abuse(spoil: impl Fn(&mut Hello), expected: GapReason) {
    for cut in [false, true] {
        let (service, place, wire, mut ticket) = ada().await;
        let mut wire = Some(wire);
        wire.as_mut().unwrap().start(&service, method::GATE).await;
        if cut {
            wire = None;
            place.parked(1).await;
        }
        for _ in 0..30 {
            let mut hello = ticket.again();
            spoil(&mut hello);
            let (thief, welcome) = place.resume(hello).await;
            let welcome = welcome.unwrap();
            assert_eq!((reason(&welcome), welcome.peer_last_processed), (expected, None));
            assert_ne!(welcome.session, ticket.session);
            thief.close().await;
        }
        if let Some(wire) = &mut wire {
            wire.adds(2, 1).await;
        }
        let mut wire = place.go_on(&mut ticket).await;
        service.gate.notify_one();
        assert_eq!(wire.response(0).await.1, "7");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guessed_token_gets_nothing_and_leaves_the_owner_unharmed() {
    abuse(|hello| hello.resume.as_mut().unwrap().token = Secret::from(vec![7; 32]), GapReason::Unknown).await;
    abuse(|hello| hello.resume.as_mut().unwrap().token = Secret::default(), GapReason::Unknown).await;
}

#[tokio::test(start_paused = true)]
async fn a_stolen_token_in_other_hands_gets_nothing_and_leaves_the_owner_unharmed() {
    abuse(|hello| hello.credentials = Secret::from("eve"), GapReason::IdentityChanged).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_replaced_gets_nothing_and_leaves_the_owner_unharmed() {
    let (_, place, mut wire, mut ticket) = ada().await;
    // The first token was proved, and the second has to be as well.
    wire.stays().await;
    drop(wire);
    let mut old = ticket.clone();
    let mut wire = place.go_on(&mut ticket).await;
    wire.acknowledge(0).await;
    wire.open(1, 0, method::ADD, r#"{"a":2,"b":3}"#).await;
    wire.response(0).await;

    old.again();
    let (_thief, welcome) = place.resume(old.again()).await;
    assert_eq!(reason(&welcome.unwrap()), GapReason::Unknown);
    wire.stays().await;
    let _wire = place.go_on(&mut ticket).await;
}

#[tokio::test(start_paused = true)]
async fn who_may_not_connect_may_not_resume() {
    let (_, place, mut wire, mut ticket) = ada().await;
    let hello = Hello { credentials: Secret::default(), ..ticket.again() };
    let (_, refused) = place.resume(hello).await;
    assert_eq!(refused.unwrap_err(), (4500, "who?".into()));
    wire.stays().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_link_fences_the_older_one() {
    let (service, place, mut older, mut ticket) = ada().await;
    older.start(&service, method::GATE).await;
    let mut newer = place.go_on(&mut ticket).await;
    assert_eq!(older.closed().await.0, 4005);
    service.gate.notify_one();
    assert_eq!(newer.response(0).await.1, "7");
    drop(older);
    until(1, "one link is left", || place.server.sessions() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_hello_of_an_older_link_does_not_take_the_session_back() {
    let (_, place, _wire, mut ticket) = ada().await;
    let late = ticket.again();
    let (mut newer, welcome) = place.resume(ticket.again()).await;
    let (_, refused) = place.resume(late).await;
    assert_eq!(refused.unwrap_err().0, 4005);
    newer.stays().await;
    ticket.take(&welcome.unwrap());
    newer.adds(1, 0).await;
}

/// Both were written before either was answered, and the server sees them in one go.
#[tokio::test(start_paused = true)]
async fn of_two_links_at_once_the_later_attempt_has_the_session() {
    let (_, place, _wire, mut ticket) = ada().await;
    let (first, second) = (ticket.again(), ticket.again());
    let (mut a, mut b) = (place.link().await, place.link().await);
    a.say(second).await;
    b.say(first).await;
    // Whichever the server looks at first.
    assert_eq!(b.closed().await.0, 4005);
    ticket.take(&a.welcome().await);
    a.adds(1, 0).await;
}

#[tokio::test(start_paused = true)]
async fn another_instance_with_the_token_supersedes_the_first_for_good() {
    let (_, place, mut first, mut ticket) = ada().await;
    let other = Hello { instance: 99, attempt: 1, ..ticket.again() };
    let (mut second, welcome) = place.resume(other).await;
    ticket.take(&welcome.unwrap());
    assert_eq!(first.closed().await.0, 4504);
    second.stays().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_resumed_all_the_time_is_told_to_wait() {
    let (_, place, mut wire, mut ticket) = ada().await;
    for _ in 0..10 {
        wire = place.go_on(&mut ticket).await;
    }
    let (_, refused) = place.resume(ticket.again()).await;
    assert_eq!(refused.unwrap_err(), (4006, "too many resumes, retry after 60 s".into()));
    wire.stays().await;
    sleep(Duration::from_secs(60)).await;
    let _ = place.go_on(&mut ticket).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_with_other_services_begins_anew_and_the_old_session_ends() {
    let (service, place, mut wire, mut ticket) = ada().await;
    wire.start(&service, method::HANG).await;
    let mut hello = ticket.again();
    hello.resume.as_mut().unwrap().declarations += 1;
    let (_newer, welcome) = place.resume(hello).await;
    let welcome = welcome.unwrap();
    assert_eq!((reason(&welcome), welcome.peer_last_processed), (GapReason::SchemaChanged, Some(1)));
    assert_eq!(wire.closed().await.0, 4005);
    service.running.wait_for(0).await;
    let held = place.server.stats().held;
    assert_eq!((held.attached, held.detached, held.tombstones), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_gap_says_from_where_to_where_the_server_was_lost() {
    let (_, place, mut wire, mut ticket) = ada().await;
    wire.open(1, 0, method::ADD, r#"{"a":2,"b":3}"#).await;
    let (head, _) = wire.response(0).await;
    drop(wire);
    sleep(Duration::from_secs(121)).await;
    let (_wire, welcome) = place.resume(ticket.again()).await;
    let expected = Outcome::Gap { reason: GapReason::Expired, lost_from: 1, lost_to: Some(head) };
    assert_eq!(welcome.unwrap().outcome, expected);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_goodbye_leaves_nothing() {
    let (service, place, mut wire, mut ticket) = ada().await;
    wire.start(&service, method::HANG).await;
    wire.close().await;
    service.running.wait_for(0).await;
    until(1, "it is gone", || place.server.stats().held == RegistryHeld::default()).await;
    let (_, welcome) = place.resume(ticket.again()).await;
    assert_eq!(reason(&welcome.unwrap()), GapReason::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_lost_links_stay_under_the_bound_and_leave_nothing() {
    let service = Service::default();
    let limits = NodeLimits { detached: 100, ..NodeLimits::default() };
    let place = Place::new(builder(&service).node_limits(limits).build());
    let mut wires = Vec::new();
    for number in 0..1000 {
        let (mut wire, _) = place.begin(&format!("user {number}"), PROBE).await;
        wire.open(1, 0, method::HANG, "{}").await;
        wires.push(wire);
    }
    service.running.wait_for(1000).await;
    assert_eq!(place.server.stats().held.attached, 1000);
    for wire in wires {
        drop(wire);
        tokio::task::yield_now().await;
        assert!(place.server.stats().held.detached <= 100);
    }
    // Handlers of evicted sessions stop, the others' go on.
    service.running.wait_for(100).await;
    let held = place.server.stats().held;
    assert_eq!((held.attached, held.detached, held.tombstones), (0, 100, 900));
    sleep(Duration::from_secs(121)).await;
    service.running.wait_for(0).await;
    assert_eq!(place.server.stats().held, RegistryHeld { tombstones: 1000, ..RegistryHeld::default() });
    sleep(Duration::from_secs(600)).await;
    assert_eq!(place.server.stats().held, RegistryHeld::default());
    assert_eq!(place.server.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_user_parks_sixteen_sessions_and_others_lose_nothing_by_it() {
    let (_, place, wire, mut ada) = ada().await;
    drop(wire);
    let mut tickets = Vec::new();
    for _ in 0..40 {
        let (wire, ticket) = place.begin("eve", PROBE).await;
        drop(wire);
        until(1, "parked", || place.server.sessions() == 0).await;
        tickets.push(ticket);
    }
    assert_eq!(place.server.stats().held.detached, 17);
    let (_wire, welcome) = place.resume(tickets[23].again()).await;
    assert_eq!(reason(&welcome.unwrap()), GapReason::Evicted);
    let _wire = place.go_on(&mut tickets[24]).await;
    let _wire = place.go_on(&mut ada).await;
}

#[tokio::test(start_paused = true)]
async fn revoking_somebody_ends_his_sessions_with_and_without_a_link() {
    let service = Service::default();
    let place = Place::new(builder(&service).build());
    let (mut bob, _) = place.begin("bob", PROBE).await;
    let (mut attached, mut first) = place.begin("ada", PROBE).await;
    let (mut parked, mut second) = place.begin("ada", PROBE).await;
    attached.open(1, 0, method::HANG, "{}").await;
    parked.open(1, 0, method::HANG, "{}").await;
    service.running.wait_for(2).await;
    drop(parked);
    place.parked(1).await;
    assert_eq!(place.server.revoke(&User("ada".into())), 2);
    assert_eq!(attached.closed().await.0, 4500);
    service.running.wait_for(0).await;
    for ticket in [&mut first, &mut second] {
        let (_, welcome) = place.resume(ticket.again()).await;
        assert_eq!(reason(&welcome.unwrap()), GapReason::IdentityChanged);
    }
    bob.stays().await;
    assert_eq!(place.server.revoke(&User("nobody".into())), 0);
}

#[tokio::test(start_paused = true)]
async fn the_session_that_holds_most_is_closed_when_all_hold_too_much() {
    let service = Service::default();
    let limits = NodeLimits { bytes: 200_000, ..NodeLimits::default() };
    // The link is fast from the start: she is sent more than she acknowledges.
    let fast = Limits { slow_link: 0, ..Limits::default() };
    let place = Place::new(builder(&service).node_limits(limits).limits(fast).build());
    let (mut small, _) = place.begin("ada", PROBE).await;
    let (mut large, mut ticket) = place.begin("eve", PROBE).await;
    small.open(1, 0, method::NAME, r#"{"named":{"name":"ada","flag":true}}"#).await;
    // She never acknowledges, so that the answers are kept.
    let name = "x".repeat(30_000);
    for seq in 1..=10 {
        let arguments = format!(r#"{{"named":{{"name":"{name}","flag":true}}}}"#);
        large.open(seq, seq as u32 - 1, method::NAME, &arguments).await;
    }
    assert_eq!(large.closed().await.0, 4002);
    small.stays().await;
    let (_wire, welcome) = place.resume(ticket.again()).await;
    assert_eq!(reason(&welcome.unwrap()), GapReason::Evicted);
    until(1, "it is given back", || place.server.stats().held.bytes < 200_000).await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_sessions_without_a_link_too() {
    let (service, place, mut parked, _) = ada().await;
    parked.start(&service, method::HANG).await;
    drop(parked);
    place.parked(1).await;
    place.server.shutdown().await;
    service.running.wait_for(0).await;
    let held = place.server.stats().held;
    assert_eq!((held.attached, held.detached), (0, 0));
}
