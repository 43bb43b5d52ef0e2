//! A server that is killed and started again, and one that is replaced by another.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::collections::BTreeMap;

use bowline_test_support::browser::{Error, Page};
use common::{AWAY, LIVE, Stage, arrivals, asked, assert_each_once, list, runs, toggle};

/// What the calls of a kind ended with, by number; each ended once.
async fn outcomes(page: &Page, name: &str) -> Result<BTreeMap<u64, String>, Error> {
    let mut outcomes = BTreeMap::new();
    for line in list(page, name).await? {
        let (number, answer) = line.split_once(' ').unwrap();
        let before = outcomes.insert(number.parse().unwrap(), answer.to_owned());
        assert_eq!(before, None, "{name} {number} ended twice");
    }
    Ok(outcomes)
}

/// The numbers of a stream with a cursor: whatever run they come from, none is missing and nothing says so.
fn assert_whole_log(items: &[String]) {
    let numbers: Vec<u64> = items
        .iter()
        .map(|item| item.split_once(':').unwrap_or_else(|| panic!("log: {item}")).1.parse().unwrap())
        .collect();
    assert_each_once("log", &numbers);
}

#[tokio::test]
async fn after_a_restart_nothing_ran_twice_and_what_is_missing_is_said() -> Result<(), Error> {
    let (stage, server) = Stage::set().await?;
    let page = stage.open().await?;
    page.eval("trial.sending = true").await?;
    stage.both_ways(&page).await?;
    let port = server.socket().port();
    server.kill().await?;
    page.wait(AWAY).await?;
    let server = stage.serve(port).await?;
    toggle(&page).await?;
    page.wait(LIVE).await?;
    stage.both_ways(&page).await?;
    stage.quiet(&page).await?;

    let states = list(&page, "states").await?;
    // It knows nothing of the session, nor that there was one.
    assert_eq!(arrivals(&states), ["new", "gap Unknown"], "{states:?}");
    // A stream without a cursor starts again behind a gap; one with a cursor goes on, and shows none.
    let numbers = runs("numbers", &list(&page, "numbers").await?);
    assert_eq!(numbers.len(), 2, "one gap");
    for (run, numbers) in &numbers {
        assert_each_once(run, numbers);
    }
    assert_whole_log(&list(&page, "log").await?);
    assert_eq!(list(&page, "lives").await?.len(), 2, "the watch shows the new server");

    let asked = asked(&page).await?;
    for (kind, name) in [("call", "calls"), ("effect", "effects")] {
        let mut reached = stage.reached(&page, kind).await?;
        let outcomes = outcomes(&page, name).await?;
        assert_eq!(outcomes.len() as u64, asked, "{name}: every one ended");
        reached.sort_unstable();
        let mut doubled = reached.windows(2).filter(|pair| pair[0] == pair[1]);
        assert_eq!(doubled.next(), None, "{name}: ran twice");
        for number in 0..asked {
            let outcome = &outcomes[&number];
            if outcome.parse::<u64>().is_ok() {
                assert!(reached.binary_search(&number).is_ok(), "{name} {number}: an answer and no run");
            } else {
                assert!(outcome.ends_with("is not known"), "{name} {number}: {outcome}");
            }
        }
    }
    drop(server);
    stage.browser.close().await
}

#[tokio::test]
async fn a_page_moves_from_a_server_that_ends_to_the_next_and_stays_live() -> Result<(), Error> {
    let (stage, server) = Stage::set().await?;
    let page = stage.open().await?;
    page.eval("trial.sending = true").await?;
    stage.both_ways(&page).await?;
    let next = stage.serve(0).await?;
    stage.relay.lead_to(Some(next.socket()));
    server.signal("TERM").await?;
    page.wait("trial.lives.length === 2").await?;
    stage.both_ways(&page).await?;
    stage.quiet(&page).await?;
    assert!(server.ended().await?.success());

    assert_eq!(list(&page, "states").await?, ["connecting", "live new"], "live throughout");
    let asked = asked(&page).await?;
    for (kind, name) in [("call", "calls"), ("effect", "effects")] {
        // Calls of two sessions have no order among each other.
        let mut reached = stage.reached(&page, kind).await?;
        reached.sort_unstable();
        assert_each_once(kind, &reached);
        assert_eq!(reached.len() as u64, asked, "{kind}");
        for (number, outcome) in outcomes(&page, name).await? {
            assert!(outcome.parse::<u64>().is_ok(), "{name} {number}: {outcome}");
        }
    }
    assert_whole_log(&list(&page, "log").await?);
    for (run, numbers) in runs("numbers", &list(&page, "numbers").await?) {
        assert_each_once(&run, &numbers);
    }
    assert_eq!(page.complaints(), Vec::<String>::new());
    stage.browser.close().await
}
