//! What a page makes of a bad network, while both sides send.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use bowline_test_support::browser::{Error, Network, Page};
use bowline_test_support::relay::Held;
use common::{AWAY, LIVE, Stage, arrivals, asked, assert_each_once, assert_whole_run, list, toggle};

#[tokio::test]
async fn fifty_times_offline_and_online_lose_and_double_nothing_in_either_direction() -> Result<(), Error> {
    let (stage, server) = Stage::set().await?;
    let page = stage.open().await?;
    page.eval("trial.sending = true").await?;
    stage.both_ways(&page).await?;
    let mut cuts = 0;
    for round in 0..50 {
        match round % 3 {
            // The open socket stalls and goes on.
            0 => toggle(&page).await?,
            // The link is lost while there is a network, and found again, at the latest when there is one again.
            1 => {
                page.eval("trial.mark = trial.states.length").await?;
                stage.relay.cut();
                page.wait("trial.states.length > trial.mark").await?;
                toggle(&page).await?;
                cuts += 1;
            }
            // The network goes first, and the server is out of reach for the first try after it.
            _ => {
                page.network(Network::Offline).await?;
                stage.relay.lead_to(None);
                stage.relay.cut();
                page.network(Network::Online).await?;
                page.wait(AWAY).await?;
                stage.relay.lead_to(Some(server.socket()));
                toggle(&page).await?;
                cuts += 1;
            }
        }
        page.wait(LIVE).await?;
        stage.both_ways(&page).await?;
    }
    stage.quiet(&page).await?;

    let asked = asked(&page).await?;
    assert!(asked >= 500, "both sides sent: {asked} rounds of calls");
    for kind in ["call", "effect"] {
        let reached = stage.reached(&page, kind).await?;
        assert_each_once(kind, &reached);
        assert_eq!(reached.len() as u64, asked, "{kind}: every one reached the server");
    }
    // Each was answered with what the one run of its handler ended with.
    let mut answers = list(&page, "calls").await?;
    answers.sort();
    let mut expected: Vec<_> = (0..asked).map(|number| format!("{number} {number}")).collect();
    expected.sort();
    assert_eq!(answers, expected);
    let mut effects = list(&page, "effects").await?;
    effects.sort();
    let mut expected: Vec<_> = (0..asked).map(|number| format!("{number} {}", number + 1)).collect();
    expected.sort();
    assert_eq!(effects, expected);

    for stream in ["numbers", "log"] {
        assert_whole_run(stream, &list(&page, stream).await?);
    }
    assert_eq!(list(&page, "lives").await?.len(), 1, "a watch shows a value that did not change once");

    let states = list(&page, "states").await?;
    let arrivals = arrivals(&states);
    assert_eq!(arrivals[0], "new");
    assert!(arrivals[1..].iter().all(|arrival| arrival == "resumed"), "{arrivals:?}");
    assert_eq!(arrivals.len(), 1 + cuts, "the page saw every cut: {states:?}");
    assert_eq!(page.complaints().iter().filter(|line| !line.contains("WebSocket")).count(), 0);
    stage.browser.close().await
}

#[tokio::test]
async fn an_answer_that_a_cut_takes_is_told_again_and_the_effect_happened_once() -> Result<(), Error> {
    let (stage, _server) = Stage::set().await?;
    let page = stage.open().await?;
    for round in 0..5 {
        // The question arrives, the answer does not.
        stage.relay.hold(Held { up: false, down: true });
        page.eval("trial.effect()").await?;
        let ran = async || Ok::<_, Error>(stage.reached(&page, "effect").await?.len() == round + 1);
        while !ran().await? {
            tokio::task::yield_now().await;
        }
        assert_eq!(list(&page, "effects").await?.len(), round, "the answer is held");
        stage.relay.cut();
        page.wait(AWAY).await?;
        stage.relay.hold(Held::default());
        toggle(&page).await?;
        page.wait(&format!("trial.effects.length === {}", round + 1)).await?;
        assert_eq!(list(&page, "effects").await?[round], format!("{round} {}", round + 1));
    }
    assert_each_once("effect", &stage.reached(&page, "effect").await?);
    assert!(arrivals(&list(&page, "states").await?)[1..].iter().all(|arrival| arrival == "resumed"));
    stage.browser.close().await
}

/// A page that is live, then away, with a long pause before its next try.
async fn waiting(stage: &Stage) -> Result<Page, Error> {
    let page = stage.open().await?;
    stage.relay.lead_to(None);
    stage.relay.cut();
    // Each try fails and doubles the span that the next pause is drawn from, until one is long enough to tell that it was cut short.
    page.wait(
        "trial.states.at(-1).startsWith('reconnecting') && Number(trial.states.at(-1).split(' ')[2]) > 5000",
    )
    .await?;
    Ok(page)
}

/// It is live before its pause, of more than 5 s, would have been over.
async fn assert_soon_live(page: &Page, since: &str) -> Result<(), Error> {
    page.wait(LIVE).await?;
    let took = page.eval(&format!("performance.now() - {since}")).await?.as_f64().unwrap();
    assert!(took < 5000.0, "{took} ms: {:?}", list(page, "states").await?);
    assert_eq!(arrivals(&list(page, "states").await?), ["new", "resumed"]);
    for stream in ["numbers", "log"] {
        assert_whole_run(stream, &list(page, stream).await?);
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_waits_tries_at_once_when_the_network_is_back() -> Result<(), Error> {
    let (stage, server) = Stage::set().await?;
    let page = waiting(&stage).await?;
    stage.relay.lead_to(Some(server.socket()));
    page.network(Network::Offline).await?;
    page.eval("window.addEventListener('online', () => { trial.woken = performance.now(); })").await?;
    page.network(Network::Online).await?;
    assert_soon_live(&page, "trial.woken").await?;
    stage.browser.close().await
}

#[tokio::test]
async fn a_page_that_waits_tries_at_once_when_somebody_looks_at_it() -> Result<(), Error> {
    let (stage, server) = Stage::set().await?;
    let page = waiting(&stage).await?;
    page.hide().await?;
    stage.relay.lead_to(Some(server.socket()));
    page.eval("document.addEventListener('visibilitychange', () => { trial.woken = performance.now(); })")
        .await?;
    page.show().await?;
    assert_soon_live(&page, "trial.woken").await?;
    stage.browser.close().await
}

#[tokio::test]
async fn a_link_that_only_looks_alive_is_found_within_seconds_of_a_wake_up() -> Result<(), Error> {
    let (stage, _server) = Stage::set().await?;
    let page = stage.open().await?;
    page.hide().await?;
    // Both ends keep their sockets, and nothing arrives at either.
    stage.relay.hold(Held { up: true, down: true });
    page.eval("trial.woken = performance.now()").await?;
    page.show().await?;
    page.wait(AWAY).await?;
    let took = page.eval("performance.now() - trial.woken").await?.as_f64().unwrap();
    // A ping of the page may have gone just before, and they stay 5 s apart.
    // Nobody would have asked for 10 s, and the answer would have had another 10.
    assert!((4000.0..18_000.0).contains(&took), "the answer has 5 s to come: {took} ms");
    // What the dead link held never arrives; the next one carries again.
    stage.relay.cut();
    stage.relay.hold(Held::default());
    toggle(&page).await?;
    page.wait(LIVE).await?;
    page.eval("trial.sending = true").await?;
    stage.both_ways(&page).await?;
    stage.quiet(&page).await?;
    assert_eq!(arrivals(&list(&page, "states").await?), ["new", "resumed"]);
    for stream in ["numbers", "log"] {
        assert_whole_run(stream, &list(&page, stream).await?);
    }
    stage.browser.close().await
}
