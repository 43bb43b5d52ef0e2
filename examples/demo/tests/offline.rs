//! A person cuts the chat's connection, writes on, and watches it heal.

mod common;

use bowline_test_support::browser::{Browser, Error, Page};
use common::{enter, say, serve};

/// The texts on the page, in order.
async fn texts(page: &Page) -> Result<Vec<String>, Error> {
    let list = page.eval("[...document.querySelectorAll('#messages .text')].map(it => it.innerText)").await?;
    Ok(serde_json::from_value(list)?)
}

/// From now on the page counts the most messages that it showed at one time.
async fn count(page: &Page) -> Result<(), Error> {
    let script = "window.most = 0; new MutationObserver(() => { \
                  most = Math.max(most, document.querySelectorAll('#messages .text').length) \
                  }).observe(document.querySelector('#messages'), { childList: true, subtree: true })";
    page.eval(script).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_written_offline_waits_in_sight_and_arrives_once() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let demo = serve(0, &folder.path().join("chat.db")).await?;
    let browser = Browser::launch().await?;
    let ada = enter(&browser, demo.address(), "Ada").await?;
    let bob = enter(&browser, demo.address(), "Bob").await?;
    ada.wait_text("#members", "Bob").await?;
    say(&ada, "before").await?;
    bob.wait_text("#messages .text", "before").await?;

    ada.wait_text("#cut", "Cut the connection").await?;
    ada.click("#cut").await?;
    ada.wait_text("#state", "offline: you cut the connection").await?;
    ada.wait("document.querySelector('#messages.stale') && document.querySelector('.people.stale')").await?;
    for text in ["one", "two", "two"] {
        say(&ada, text).await?;
        ada.wait("document.querySelector('#text').value === ''").await?;
    }
    say(&bob, "meanwhile").await?;
    bob.wait_text("#messages .text", "meanwhile").await?;
    ada.wait("document.querySelectorAll('#messages .waiting').length === 3").await?;
    ada.wait_text("#messages .waiting .mark", "waiting for the connection").await?;
    ada.wait_text("#hint", "3 messages wait").await?;
    assert_eq!(texts(&ada).await?, ["before", "one", "two", "two"]);
    assert_eq!(texts(&bob).await?, ["before", "meanwhile"]);

    count(&ada).await?;
    ada.wait_text("#cut", "Reconnect").await?;
    ada.click("#cut").await?;
    bob.wait("document.querySelectorAll('#messages .text').length === 5").await?;
    ada.wait("document.querySelectorAll('#messages li:not(.waiting) .text').length === 5").await?;
    ada.wait("!document.querySelector('.stale') && !document.querySelector('.waiting')").await?;
    for page in [&ada, &bob] {
        assert_eq!(texts(page).await?, ["before", "meanwhile", "one", "two", "two"]);
        assert_eq!(page.complaints(), Vec::<String>::new());
    }
    assert_eq!(ada.eval("window.most").await?, 5, "none was shown twice, not even for a moment");
    browser.close().await
}

#[tokio::test]
async fn a_page_reads_on_behind_its_last_message_when_the_server_was_restarted() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("chat.db");
    let demo = serve(0, &database).await?;
    let port = demo.socket().port();
    let browser = Browser::launch().await?;
    let ada = enter(&browser, demo.address(), "Ada").await?;
    say(&ada, "before").await?;
    ada.wait("document.querySelectorAll('#messages li:not(.waiting) .text').length === 1").await?;
    ada.click("#cut").await?;
    ada.wait_text("#state", "offline").await?;
    demo.kill().await?;
    let demo = serve(port, &database).await?;
    let bob = enter(&browser, demo.address(), "Bob").await?;
    for number in 1..=60 {
        say(&bob, &number.to_string()).await?;
    }
    bob.wait("document.querySelectorAll('#messages li:not(.waiting) .text').length === 61").await?;
    say(&ada, "written offline").await?;
    ada.click("#cut").await?;
    ada.wait("document.querySelectorAll('#messages li:not(.waiting) .text').length === 62").await?;
    let mut all = vec!["before".to_owned()];
    all.extend((1..=60).map(|number| number.to_string()));
    all.push("written offline".into());
    for page in [&ada, &bob] {
        page.wait("document.querySelectorAll('#messages .text').length === 62").await?;
        assert_eq!(texts(page).await?, all);
    }
    browser.close().await
}
