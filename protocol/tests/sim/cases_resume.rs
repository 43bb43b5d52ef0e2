//! Cases that broke others: when and where the link is lost.

use bowline_protocol::envelope::GapReason;
use bowline_protocol::limits::Limits;

use crate::net::{End, Weather};
use crate::oracle::{Ended, Party};
use crate::scene::{Scene, ms, secs};
use crate::service::{ASK, LIST, LOOK, WATCH};

use Party::{Client, Server};

#[test]
fn a_session_without_a_message_yet_goes_on() {
    let mut scene = Scene::new();
    scene.relink();
    assert_eq!(scene.sessions(), (1, 0));
    scene.end();
}

#[test]
fn two_cuts_in_a_row_without_traffic() {
    let mut scene = Scene::new();
    let call = scene.ask(Client, ASK, 50);
    scene.advance(ms(10));
    scene.cut();
    scene.connect();
    // The hello is under way.
    scene.advance(ms(90));
    scene.relink();
    scene.relink();
    scene.complete(call);
    assert_eq!(scene.end().gaps, 0);
}

/// The window is the server's, from the moment at which it lost the link: just inside it everything goes on, just
/// outside of it the client is told.
#[test]
fn resume_after_0_1_ms_10_s_119_9_s_and_120_1_s() {
    for after in [0, 1, 10_000, 119_900, 120_100] {
        let mut scene = Scene::new();
        let never = scene.ask(Client, ASK, 50);
        let again = scene.ask(Client, LOOK, 50);
        let stream = scene.ask(Client, LIST, 50);
        scene.advance(secs(1));
        scene.send(Server, stream, 500);
        scene.cut();
        scene.ask(Client, ASK, 60);
        // Until a hello arrives, 100 ms pass.
        scene.advance(ms(u64::max(after, 100) - 100));
        scene.reconnect();
        let counts = scene.counts();
        if after < 120_000 {
            assert_eq!((counts.resumed, counts.gaps), (1, 0), "{after} ms");
            scene.read_all(Client);
            scene.answer_all(Server);
            scene.advance(secs(1));
            assert_eq!((scene.runs(never), scene.runs(again)), (1, 1));
            assert_eq!(scene.ended(never), Some(Ended::Complete));
        } else {
            assert_eq!((counts.resumed, counts.gaps), (0, 1), "{after} ms");
            assert_eq!(scene.ended(never), Some(Ended::Failed), "it ran, and its answer is lost");
            assert_eq!(scene.runs(again), 2, "what may run twice is asked again");
        }
        scene.end();
    }
}

#[test]
fn idle_past_pruning() {
    let mut scene = Scene::new();
    for _ in 0..100 {
        let call = scene.ask(Client, ASK, 2000);
        scene.advance(ms(100));
        scene.answer(Server, call, 2000);
    }
    scene.advance(secs(100));
    assert_eq!(scene.held(Client).unacknowledged, 0, "all of it was acknowledged and is kept no more");
    scene.cut();
    scene.advance(secs(100));
    scene.reconnect();
    assert_eq!(scene.sessions(), (1, 0));
    scene.end();
}

#[test]
fn a_cut_in_the_middle_of_a_replay() {
    let mut scene = Scene::with(|profile| profile.limits = Limits { message_out: 1000, ..Limits::default() });
    let calls: Vec<_> = (0..30).map(|_| scene.ask(Client, ASK, 700)).collect();
    scene.cut();
    // The socket takes a part of it, and of that a part arrives.
    scene.world.cx.profile.weather = Some(Weather { rate: 5000, buffer: 1500, ..Weather::fair() });
    for part in 1..6 {
        scene.connect();
        scene.advance(ms(110));
        let link = scene.link();
        // A part of the replay arrives, each time a little more.
        scene.world.net.lose_after(link, End::Client, 2000 * part);
        scene.advance(secs(2));
        scene.hold();
    }
    scene.reconnect();
    scene.advance(secs(10));
    scene.answer_all(Server);
    scene.advance(secs(2));
    scene.assert_complete(calls);
    assert_eq!(scene.end().gaps, 0);
}

#[test]
fn a_cut_between_credit_and_its_arrival() {
    let limits = Limits { calls: 2, nested: 0, ..Limits::default() };
    let mut scene = Scene::with(|profile| profile.limits = limits);
    let calls: Vec<_> = (0..6).map(|_| scene.ask(Client, ASK, 50)).collect();
    for _ in 0..2 {
        scene.advance(ms(100));
        scene.answer_all(Server);
        // The answers and the credit that they free are on their way.
        scene.advance(ms(5));
        scene.relink();
    }
    scene.answer_all(Server);
    scene.advance(secs(1));
    scene.assert_complete(calls);
    scene.end();
}

#[test]
fn a_cut_between_credit_of_a_stream_and_its_arrival() {
    let limits = Limits { stream_window: 1000, stream_window_max: 1000, ..Limits::default() };
    let mut scene = Scene::with(|profile| profile.limits = limits);
    let stream = scene.ask(Client, LIST, 50);
    scene.advance(ms(100));
    for round in 0..10 {
        scene.send(Server, stream, 900);
        scene.advance(ms(100));
        scene.read_all(Client);
        scene.advance(ms(5));
        if round % 3 == 0 {
            scene.relink();
        }
        scene.advance(ms(100));
    }
    scene.answer(Server, stream, 0);
    scene.advance(secs(1));
    scene.read_all(Client);
    assert_eq!((scene.world.cx.oracle.read(stream), scene.ended(stream)), (10, Some(Ended::Complete)));
    scene.end();
}

#[test]
fn a_cut_with_a_full_replay_buffer() {
    let limits = Limits { replay_bytes: 10_000, replay_envelopes: 20, slow_link: 0, ..Limits::default() };
    let mut scene = Scene::with(|profile| profile.limits = limits);
    let first = scene.ask(Client, ASK, 50);
    scene.advance(secs(2));
    scene.answer(Server, first, 50);
    scene.advance(secs(2));
    let link = scene.link();
    // What the node says arrives no more, so nothing is acknowledged.
    scene.world.net.silence(link, End::Server);
    let calls: Vec<_> = (0..40).map(|_| scene.ask(Client, ASK, 900)).collect();
    scene.advance(secs(1));
    let held = scene.held(Client);
    assert!(held.unacknowledged_bytes >= 10_000 && held.queued > 20, "{held:?}");
    scene.cut();
    // More is asked, and waits with what waits.
    let late = scene.ask(Client, ASK, 50);
    scene.reconnect();
    for _ in 0..5 {
        scene.answer_all(Server);
        scene.advance(secs(2));
    }
    scene.assert_complete(calls.into_iter().chain([late]));
    assert_eq!(scene.end().gaps, 0);
}

/// Four go up and four come down; each continues where it stopped.
#[test]
fn a_cut_in_the_middle_of_eight_large_payloads() {
    let limits = Limits { payload_in: 200_000, assembly: 800_000, ..Limits::default() };
    for after in [1, 30, 70, 200] {
        let mut scene = Scene::with(|profile| profile.limits = limits.clone());
        let down: Vec<_> = (0..4).map(|_| scene.ask(Client, ASK, 50)).collect();
        scene.advance(secs(1));
        let up: Vec<_> = (0..4).map(|_| scene.ask(Client, ASK, 190_000)).collect();
        for &call in &down {
            scene.answer(Server, call, 190_000);
        }
        for _ in 0..3 {
            scene.advance(ms(after));
            scene.cut();
            scene.connect();
            scene.advance(ms(100));
        }
        scene.advance(secs(5));
        scene.answer_all(Server);
        scene.advance(secs(5));
        for call in up.into_iter().chain(down) {
            assert_eq!((scene.runs(call), scene.ended(call)), (1, Some(Ended::Complete)), "{after} ms");
        }
        assert_eq!(scene.end().gaps, 0);
    }
}

/// Only time on a living link counts against a payload that makes no progress.
#[test]
fn a_large_payload_goes_on_after_a_minute_without_a_link() {
    let mut scene = Scene::new();
    let large = scene.ask(Client, ASK, 190_000);
    scene.advance(ms(40));
    assert_eq!((scene.held(Server).assembling, scene.runs(large)), (1, 0), "it is under way");
    scene.cut();
    scene.advance(secs(60));
    scene.reconnect();
    scene.answer_all(Server);
    scene.advance(secs(2));
    scene.assert_complete([large]);
    scene.end();
}

/// The client shows the token that it had: it stays valid until the client shows that it has a newer one.
#[test]
fn one_two_and_three_lost_welcomes() {
    for lost in 1..=3 {
        let (mut scene, call) = Scene::asked(ASK);
        scene.cut();
        for _ in 0..lost {
            scene.lose_welcome();
        }
        scene.reconnect();
        assert_eq!(scene.sessions(), (1, 0), "{lost} lost");
        assert_eq!(scene.world.node.registry.stats().counted.tokens_refused, 0);
        scene.complete(call);
        scene.end();
    }
}

/// What the client counted is of the link before: on a link whose welcome it never saw it read nothing.
#[test]
fn a_value_on_a_link_whose_welcome_was_lost() {
    let (mut scene, watch) = Scene::asked(WATCH);
    scene.send(Server, watch, 50);
    scene.advance(secs(2));
    scene.read_all(Client);
    scene.cut();
    scene.connect();
    scene.advance(ms(110));
    scene.send(Server, watch, 50);
    scene.relink();
    scene.read_all(Client);
    assert_eq!(scene.world.cx.oracle.read(watch), 2, "the newest value arrives");
    scene.end();
}

#[test]
fn a_session_whose_first_welcome_was_lost_is_begun_anew() {
    let (mut scene, call) = Scene::asked(LOOK);
    scene.cut();
    scene.restart();
    scene.lose_welcome();
    scene.reconnect();
    assert_eq!(scene.runs(call), 2);
    assert_eq!(scene.sessions(), (0, 1), "one gap is told once");
    scene.end();
}

/// A hello that took its time says an attempt that is over: it is refused, and the session stays where it is.
#[test]
fn a_delayed_hello_after_a_newer_attach() {
    let (mut scene, call) = Scene::asked(ASK);
    scene.cut();
    scene.connect();
    scene.advance(ms(81));
    let late = scene.link();
    scene.world.net.stall(&mut scene.world.cx, late, End::Client, secs(8));
    // The client gives up, and its next attempt gets through before the first hello does.
    scene.forget_link();
    scene.advance(secs(4));
    assert!(scene.is_live() && scene.link() != late);
    // Its token is no longer valid once the client showed that it has a newer one; its attempt is an older one anyway.
    let turned_away = |scene: &Scene| {
        let counted = scene.world.node.registry.stats().counted;
        counted.fenced + counted.tokens_refused
    };
    assert_eq!(turned_away(&scene), 0);
    scene.advance(secs(10));
    assert_eq!(turned_away(&scene), 1);
    assert!(scene.is_live(), "the older hello changed nothing");
    scene.complete(call);
    assert_eq!(scene.end().gaps, 0);
}

/// What was under way on the older link arrives after the attach: it is not given to the session, which gets it from the
/// replay.
#[test]
fn the_old_link_is_still_open() {
    let mut scene = Scene::new();
    let link = scene.link();
    scene.world.net.stall(&mut scene.world.cx, link, End::Client, ms(200));
    let calls: Vec<_> = (0..5).map(|_| scene.ask(Client, ASK, 50)).collect();
    // Only the client believes that the link is lost.
    scene.forget_link();
    scene.advance(secs(3));
    scene.answer_all(Server);
    scene.advance(secs(1));
    scene.assert_complete(calls);
    assert_eq!(scene.sessions(), (1, 0));
    scene.end();
}

/// Whoever has the token may go on with the session, and only one at a time: the other one's link is closed, and the
/// token that it showed is no longer valid once the newer one's welcome arrived.
#[test]
fn two_instances_with_one_token() {
    let (mut scene, call) = Scene::asked(ASK);
    scene.cut();
    let mut hello = scene.next_hello();
    (hello.instance, hello.attempt) = (99, 1);
    let copy = scene.say(&hello);
    assert_eq!(scene.world.node.registry.stats().counted.resumed, 1, "the copy has the session");
    scene.reconnect();
    assert_eq!(scene.world.node.registry.stats().counted.resumed, 2, "and gave it back");
    assert!(!scene.world.net.is_open(copy, End::Server), "its link is closed");
    scene.say(&hello);
    assert_eq!(scene.world.node.registry.stats().counted.tokens_refused, 1);
    scene.complete(call);
    assert_eq!(scene.sessions(), (1, 0));
    scene.end();
}

#[test]
fn a_server_that_was_restarted_says_so() {
    let mut scene = Scene::new();
    let never = scene.ask(Client, ASK, 50);
    let again = scene.ask(Client, LOOK, 50);
    scene.advance(secs(1));
    let unsent = {
        scene.cut();
        scene.ask(Client, ASK, 50)
    };
    scene.restart();
    scene.reconnect();
    assert_eq!(scene.sessions(), (0, 1));
    assert_eq!(scene.ended(never), Some(Ended::Failed));
    assert_eq!((scene.runs(again), scene.runs(unsent)), (2, 1));
    assert_eq!(scene.counts().unknown, 1, "only of the one that ran");
    scene.end();
}

#[test]
fn an_eviction_is_told_with_its_reason() {
    let mut scene = Scene::with(|profile| profile.node.detached = 0);
    let again = scene.ask(Client, LOOK, 50);
    scene.advance(secs(1));
    scene.cut();
    scene.expect_gap(GapReason::Evicted);
    scene.reconnect();
    assert_eq!(scene.sessions(), (0, 1));
    assert_eq!(scene.runs(again), 2);
    scene.end();
}
