//! A person cuts the chat's connection, writes on, and watches it heal.

mod common;

use bowline_test_support::browser::{Browser, Error, Page};
use bowline_test_support::relay::{Held, Relay};
use common::{Stage, enter, say, serve};

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
    let stage = Stage::set().await?;
    let ada = stage.enter("Ada").await?;
    let bob = stage.enter("Bob").await?;
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
    stage.browser.close().await
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

#[tokio::test]
async fn another_room_and_back_shows_what_was_there_also_without_a_connection() -> Result<(), Error> {
    let stage = Stage::set().await?;
    let ada = stage.enter("Ada").await?;
    let bob = stage.enter("Bob").await?;
    ada.wait_text("#members", "Bob").await?;
    for (page, text) in [(&ada, "mine"), (&bob, "yours"), (&ada, "mine again")] {
        say(page, text).await?;
        ada.wait_text("#messages li:not(.waiting) .text", text).await?;
        ada.wait("document.querySelectorAll('#messages .mark').length === 0").await?;
    }
    ada.click("#cut").await?;
    ada.wait_text("#state", "offline").await?;
    ada.wait_text("#hint", "sent when the connection is back").await?;
    ada.wait_text(".people .note", "as it was when the connection was lost").await?;

    ada.click("#room-help").await?;
    ada.wait_text("#messages .empty", "read as soon as there is a connection").await?;
    // Who is in this room is not known; those of the other one are not in it.
    ada.wait_text(".people .note", "not known").await?;
    assert_eq!(ada.eval("document.querySelectorAll('#members li').length").await?, 0);
    say(&ada, "in help").await?;
    ada.wait_text("#messages .waiting .text", "in help").await?;
    // What others have said here is as unknown as before.
    ada.wait_text("#messages .empty", "read as soon as there is a connection").await?;
    assert_eq!(texts(&ada).await?, ["in help"]);

    ada.click("#room-general").await?;
    ada.wait("document.querySelectorAll('#messages.stale time').length === 3").await?;
    assert_eq!(texts(&ada).await?, ["mine", "yours", "mine again"]);
    assert_eq!(ada.eval("document.querySelectorAll('#messages .mark').length").await?, 0);
    say(&bob, "meanwhile").await?;
    bob.wait_text("#messages .text", "meanwhile").await?;

    ada.click("#cut").await?;
    ada.wait_text("#messages .text", "meanwhile").await?;
    ada.wait("!document.querySelector('.stale')").await?;
    assert_eq!(texts(&ada).await?, ["mine", "yours", "mine again", "meanwhile"]);
    bob.click("#room-help").await?;
    bob.wait_text("#messages .text", "in help").await?;
    assert_eq!(texts(&bob).await?, ["in help"]);
    for page in [&ada, &bob] {
        assert_eq!(page.complaints(), Vec::<String>::new());
    }
    stage.browser.close().await
}

#[tokio::test]
async fn what_was_sent_and_not_confirmed_is_told_from_what_waits() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("chat.db");
    let demo = serve(0, &database).await?;
    let relay = Relay::start(Some(demo.socket())).await?;
    let browser = Browser::launch().await?;
    let ada = enter(&browser, &format!("http://{}/", relay.address()), "Ada").await?;
    // It leaves the page, and the server never hears of it.
    relay.hold(Held { up: true, down: false });
    say(&ada, "under way").await?;
    ada.wait_text("#messages .waiting .mark", "sending").await?;
    relay.lead_to(None);
    relay.cut();
    demo.kill().await?;
    ada.wait_text("#messages .waiting .mark", "sent, not confirmed yet").await?;
    say(&ada, "later").await?;
    ada.wait_text("#messages .waiting .mark", "waiting for the connection").await?;

    let demo = serve(0, &database).await?;
    relay.hold(Held::default());
    relay.lead_to(Some(demo.socket()));
    let bob = enter(&browser, demo.address(), "Bob").await?;
    bob.wait_text("#messages .text", "later").await?;
    ada.wait_text("#messages .failed .mark", "not confirmed").await?;
    ada.wait_text("#messages .failed .why", "It may have arrived").await?;
    assert_eq!(texts(&bob).await?, ["later"], "it is not sent again by itself");
    ada.click("#messages .failed .again").await?;
    bob.wait_text("#messages .text", "under way").await?;
    ada.wait("!document.querySelector('#messages .failed, #messages .waiting, #messages .mark')").await?;
    assert_eq!(texts(&ada).await?, ["later", "under way"]);
    browser.close().await
}

#[tokio::test]
async fn a_talk_at_its_end_stays_there_when_the_window_shrinks() -> Result<(), Error> {
    let stage = Stage::set().await?;
    let ada = stage.enter("Ada").await?;
    ada.resize(380, 780).await?;
    for number in 1..=20 {
        say(&ada, &number.to_string()).await?;
    }
    ada.wait("document.querySelectorAll('#messages li:not(.waiting) .text').length === 20").await?;
    let last_is_seen = "(() => { const last = document.querySelector('#messages li:last-of-type').getBoundingClientRect(); \
                        const list = document.querySelector('#messages').parentElement.getBoundingClientRect(); \
                        return last.top >= list.top && last.bottom <= list.bottom + 1 })()";
    for (width, height) in [(380, 400), (780, 380), (380, 780), (380, 370)] {
        ada.resize(width, height).await?;
        ada.wait(&format!("innerHeight === {height} && {last_is_seen}")).await?;
    }
    // Whoever reads what is older is left there.
    ada.eval("document.querySelector('#messages li').scrollIntoView()").await?;
    ada.resize(380, 500).await?;
    ada.wait(&format!("innerHeight === 500 && !{last_is_seen}")).await?;
    // The words and the note fit on a phone.
    ada.click("#cut").await?;
    ada.wait_text(".people .note", "as it was when the connection was lost").await?;
    ada.wait("document.querySelector('#state').offsetHeight < 30").await?;
    ada.wait("document.documentElement.scrollWidth <= innerWidth").await?;
    stage.browser.close().await
}

#[tokio::test]
async fn a_step_without_a_connection_is_announced_and_its_failure_said() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let demo = serve(0, &folder.path().join("chat.db")).await?;
    let relay = Relay::start(Some(demo.socket())).await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&format!("http://{}/counter/", relay.address())).await?;
    page.wait_text(".count", "0").await?;
    assert_eq!(page.text("#added").await?, "");
    page.wait("getComputedStyle(document.querySelector('.loading')).display === 'none'").await?;
    // It is sent, and nobody learns whether it was added.
    relay.hold(Held { up: false, down: true });
    page.click("#more").await?;
    page.wait_text("#added", "adding").await?;
    relay.lead_to(None);
    relay.cut();
    demo.kill().await?;
    let demo = serve(0, &folder.path().join("chat.db")).await?;
    relay.hold(Held::default());
    relay.lead_to(Some(demo.socket()));
    page.wait_text("#added", "the session was lost: whether the call was executed is not known").await?;
    page.wait_text(".count", "0").await?;
    page.click("#more").await?;
    page.wait_text(".count", "1").await?;
    page.wait("document.querySelector('#added').innerText === ''").await?;
    browser.close().await
}
