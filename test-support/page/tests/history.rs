//! A page that is left, comes back, or is loaded anew.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use bowline_test_support::browser::{Error, Page};
use common::{Stage, arrivals, asked, assert_each_once, assert_whole_run, list, stats, until_stats};

/// A page that sends, and one that only looks at the server.
async fn pages(stage: &Stage) -> Result<(Page, Page), Error> {
    let looker = stage.browser.open(&elsewhere(stage)).await?;
    let page = stage.open().await?;
    page.eval("window.addEventListener('pageshow', event => { trial.kept = event.persisted; })").await?;
    page.eval("trial.sending = true").await?;
    stage.both_ways(&page).await?;
    Ok((page, looker))
}

fn elsewhere(stage: &Stage) -> String {
    format!("{}elsewhere", stage.address())
}

#[tokio::test]
async fn a_page_that_the_browser_kept_goes_on_with_its_session_at_once() -> Result<(), Error> {
    let (stage, _server) = Stage::set().await?;
    let (page, looker) = pages(&stage).await?;
    page.navigate(&elsewhere(&stage)).await?;
    // The browser lets go of the socket of a page that it keeps, at a moment of its own.
    stage.relay.cut();
    // The page did not say goodbye: the session waits for it.
    until_stats(&looker, "attached === 0 && detached === 1").await?;
    page.back(&stage.address()).await?;
    assert_eq!(page.eval("window.trial?.kept").await?, true, "not kept: {:?}", page.not_kept());

    stage.both_ways(&page).await?;
    stage.quiet(&page).await?;
    let asked = asked(&page).await?;
    for kind in ["call", "effect"] {
        let reached = stage.reached(&page, kind).await?;
        assert_each_once(kind, &reached);
        assert_eq!(reached.len() as u64, asked, "{kind}");
    }
    for stream in ["numbers", "log"] {
        assert_whole_run(stream, &list(&page, stream).await?);
    }
    let states = list(&page, "states").await?;
    assert_eq!(arrivals(&states), ["new", "resumed"]);
    assert_eq!(states[2], "reconnecting 1 0", "it did not wait to be back: {states:?}");
    assert_eq!(stats(&looker).await?, [1, 0, 1, 1]);
    stage.browser.close().await
}

#[tokio::test]
async fn a_page_that_the_browser_did_not_keep_comes_back_as_a_new_one() -> Result<(), Error> {
    let (stage, _server) = Stage::set_with(&["--disable-features=BackForwardCache"]).await?;
    let (page, looker) = pages(&stage).await?;
    let before = page.eval("trial.page").await?;
    page.navigate(&elsewhere(&stage)).await?;
    // Nobody comes back to its session: it ended when the page was left.
    until_stats(&looker, "attached === 0 && detached === 0").await?;
    page.back(&stage.address()).await?;
    page.wait("window.trial && trial.numbers.length > 2").await?;
    assert_ne!(page.eval("trial.page").await?, before);
    assert_new(&stage, &page, &looker).await
}

#[tokio::test]
async fn a_reload_ends_the_old_session_at_once_and_begins_another() -> Result<(), Error> {
    let (stage, _server) = Stage::set().await?;
    let (page, looker) = pages(&stage).await?;
    let old = page.eval("trial.page.toFixed(0)").await?.as_str().unwrap().to_owned();
    page.reload().await?;
    page.wait("window.trial && trial.numbers.length > 2").await?;
    // What the page had under way may or may not have arrived, and nothing arrived twice.
    for kind in ["call", "effect"] {
        assert_each_once(kind, &stage.reached_from(&old, kind)?);
    }
    assert_new(&stage, &page, &looker).await
}

/// The page has a session of its own, and the one before is gone.
async fn assert_new(stage: &Stage, page: &Page, looker: &Page) -> Result<(), Error> {
    until_stats(looker, "attached === 1 && detached === 0 && begun === 2 && resumed === 0").await?;
    page.eval("trial.sending = true").await?;
    stage.both_ways(page).await?;
    stage.quiet(page).await?;
    for kind in ["call", "effect"] {
        assert_each_once(kind, &stage.reached(page, kind).await?);
    }
    for stream in ["numbers", "log"] {
        let items = list(page, stream).await?;
        assert_whole_run(stream, &items);
    }
    assert_eq!(list(page, "states").await?, ["connecting", "live new"]);
    Ok(())
}
