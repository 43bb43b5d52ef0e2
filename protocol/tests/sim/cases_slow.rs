//! Links that carry little and answer late, and work.

use std::time::Duration;

use crate::app::Ask;
use crate::net::Weather;
use crate::oracle::{Ended, Party};
use crate::scene::{Scene, secs};
use crate::service::{ASK, UPLOAD};

use Party::{Client, Server};

/// A session on a link of 2 KB/s each way with a round trip of 2 s.
fn slow(is_page: bool) -> Scene {
    let mut scene = Scene::new();
    scene.cut();
    let weather = Weather { delay: secs(1), rate: 2000, is_page, ..Weather::fair() };
    scene.world.cx.profile.weather = Some(weather);
    scene.connect();
    scene.advance(secs(10));
    assert!(scene.is_live());
    scene
}

/// Small calls with the usual deadline are made and answered each second; `true` once all of these ended well.
fn chat(scene: &mut Scene, calls: &[u32], most: u64) -> bool {
    let mut small = Vec::new();
    for second in 0..most {
        if second % 3 == 0 {
            small.push(scene.ask_for(Client, Ask { time: Some(secs(10)), ..whole(50) }));
        }
        scene.answer_all(Server);
        scene.advance(secs(1));
    }
    scene.advance(secs(10));
    scene.answer_all(Server);
    scene.advance(secs(10));
    for call in small {
        assert_eq!(scene.ended(call), Some(Ended::Complete), "small calls go on");
    }
    calls.iter().all(|call| scene.ended(*call) == Some(Ended::Complete))
}

fn whole(len: usize) -> Ask {
    Ask { method: ASK, len, time: None, queued: None, depth: 0 }
}

/// The link is one and the same all the time, while 100 KB go each way and everybody beats.
#[test]
fn a_link_of_2_kb_per_second_and_2_s_round_trip() {
    for is_page in [false, true] {
        let mut scene = slow(is_page);
        let link = scene.link();
        let down = scene.ask(Client, ASK, 50);
        scene.advance(secs(5));
        let up = scene.ask(Client, ASK, 100_000);
        scene.answer(Server, down, 100_000);
        assert!(chat(&mut scene, &[up, down], 120));
        // And it goes on with nothing to do but pings.
        scene.advance(Duration::from_secs(300));
        assert_eq!(scene.link(), link, "page: {is_page}");
        assert_eq!(scene.counts().resumed, 1);
        scene.end();
    }
}

/// What is no large payload goes at once: half a minute in which the other end sees nothing whole.
#[test]
fn a_payload_of_60_kb_goes_whole_over_such_a_link() {
    let mut scene = slow(false);
    let link = scene.link();
    let down = scene.ask(Client, ASK, 50);
    scene.advance(secs(5));
    let up = scene.ask(Client, ASK, 60_000);
    scene.answer(Server, down, 60_000);
    scene.advance(secs(60));
    scene.answer_all(Server);
    scene.advance(secs(10));
    for call in [up, down] {
        assert_eq!(scene.ended(call), Some(Ended::Complete));
    }
    assert_eq!(scene.link(), link);
    scene.end();
}

/// What was under way on a fast link comes again on a slow one whose socket holds little.
#[test]
fn a_replay_over_such_a_link() {
    let mut scene = Scene::new();
    let calls: Vec<_> = (0..20).map(|_| scene.ask(Client, ASK, 1500)).collect();
    let upload = scene.ask(Client, UPLOAD, 50);
    scene.cut();
    let weather = Weather { delay: secs(1), rate: 2000, buffer: 4096, ..Weather::fair() };
    scene.world.cx.profile.weather = Some(weather);
    scene.connect();
    for _ in 0..60 {
        scene.advance(secs(1));
        if scene.is_live() {
            scene.answer_all(Server);
        }
    }
    scene.assert_complete(calls.into_iter().chain([upload]));
    assert_eq!(scene.sessions(), (1, 0));
    scene.end();
}
