//! Two people with real browsers in front of the demo, as `cargo xtask demo` starts it.

mod common;

use bowline_test_support::browser::{Browser, Error};
use common::{Stage, enter, say, serve};

#[tokio::test]
async fn the_first_page_offers_counter_and_chat() -> Result<(), Error> {
    let stage = Stage::set().await?;
    let page = stage.browser.open(stage.demo.address()).await?;
    page.wait(
        "document.querySelector('a[href=\"counter/\"]') && document.querySelector('a[href=\"chat/\"]')",
    )
    .await?;
    page.click("a[href=\"chat/\"]").await?;
    page.wait("document.querySelector('#name')").await?;
    assert_eq!(page.complaints(), Vec::<String>::new());
    stage.browser.close().await
}

#[tokio::test]
async fn two_windows_share_one_counter() -> Result<(), Error> {
    let stage = Stage::set().await?;
    let address = format!("{}counter/", stage.demo.address());
    let (one, two) = (stage.browser.open(&address).await?, stage.browser.open(&address).await?);
    for page in [&one, &two] {
        page.wait_text(".count", "0").await?;
    }
    one.click("#more").await?;
    two.wait_text(".count", "1").await?;
    two.click("#more").await?;
    one.wait_text(".count", "2").await?;
    one.click("#less").await?;
    two.wait_text(".count", "1").await?;
    for page in [one, two] {
        assert_eq!(page.complaints(), Vec::<String>::new());
    }
    stage.browser.close().await
}

#[tokio::test]
async fn two_windows_chat_and_the_members_follow_a_closed_window() -> Result<(), Error> {
    let stage = Stage::set().await?;
    let ada = stage.enter("Ada").await?;
    let bob = stage.enter("Bob").await?;
    ada.wait_text("#members", "Bob").await?;
    bob.wait_text("#members", "Ada").await?;

    ada.fill("#text", "h").await?;
    bob.wait_text("#hint", "Ada is writing").await?;
    say(&ada, "hello Bob").await?;
    bob.wait_text("#messages .text", "hello Bob").await?;
    say(&bob, "hello Ada").await?;
    ada.wait_text("#messages li:not(.mine) .text", "hello Ada").await?;
    // The field is empty again, and nothing arrived twice.
    ada.wait("document.querySelector('#text').value === ''").await?;
    for page in [&ada, &bob] {
        page.wait("document.querySelectorAll('#messages .text').length === 2").await?;
    }

    bob.close().await?;
    ada.wait("!document.querySelector('#members').innerText.includes('Bob')").await?;
    assert_eq!(ada.complaints(), Vec::<String>::new());
    stage.browser.close().await
}

#[tokio::test]
async fn what_is_refused_is_said_and_stays_in_the_field() -> Result<(), Error> {
    let stage = Stage::set().await?;
    let page = stage.enter("Ada").await?;
    say(&page, "   ").await?;
    page.wait_text("#problem", "Write something first.").await?;
    say(&page, &"x".repeat(501)).await?;
    page.wait_text("#problem", "at most 500 characters").await?;
    assert_eq!(page.eval("document.querySelector('#text').value.length").await?, 501);
    say(&page, "short").await?;
    page.wait_text("#messages .text", "short").await?;
    page.wait("!document.querySelector('#problem')").await?;
    stage.browser.close().await
}

#[tokio::test]
async fn another_room_has_another_history_and_other_members() -> Result<(), Error> {
    let stage = Stage::set().await?;
    let ada = stage.enter("Ada").await?;
    let bob = stage.enter("Bob").await?;
    say(&ada, "in general").await?;
    bob.wait_text("#messages .text", "in general").await?;

    // The query runs again because its argument changed.
    bob.click("#room-help").await?;
    bob.wait_text("#messages .empty", "Nobody has said anything").await?;
    // The watch of the old room was cancelled: the server took Bob off its list.
    ada.wait("!document.querySelector('#members').innerText.includes('Bob')").await?;
    say(&bob, "in help").await?;
    bob.wait_text("#messages .text", "in help").await?;
    bob.click("#room-general").await?;
    bob.wait_text("#messages .text", "in general").await?;
    ada.wait_text("#members", "Bob").await?;
    assert_eq!(ada.eval("document.querySelectorAll('#messages .text').length").await?, 1);
    assert_eq!(bob.complaints(), Vec::<String>::new());
    stage.browser.close().await
}

#[tokio::test]
async fn history_survives_a_restart_and_the_page_heals() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("chat.db");
    let demo = serve(0, &database).await?;
    let port = demo.socket().port();
    let browser = Browser::launch().await?;
    let ada = enter(&browser, demo.address(), "Ada").await?;
    say(&ada, "before the restart").await?;
    // Until it was posted it is shown as one that waits.
    ada.wait_text("#messages li:not(.waiting) .text", "before the restart").await?;

    demo.kill().await?;
    ada.wait("!document.querySelector('#state').classList.contains('live')").await?;
    ada.wait_text("#messages .text", "before the restart").await?;
    let demo = serve(port, &database).await?;
    ada.wait_text("#state", "live").await?;
    // Somebody new finds what was said; the old window hears what is said now.
    let bob = enter(&browser, demo.address(), "Bob").await?;
    bob.wait_text("#messages .text", "before the restart").await?;
    ada.wait_text("#members", "Bob").await?;
    say(&bob, "after the restart").await?;
    ada.wait_text("#messages .text", "after the restart").await?;
    assert_eq!(ada.eval("document.querySelectorAll('#messages .text').length").await?, 2);
    browser.close().await
}
