//! Pictures of a running demo: `cargo run -p demo --example screenshots -- http://127.0.0.1:4010/ folder`.

use std::path::PathBuf;

use bowline_test_support::browser::{Browser, Error, Page};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("the first argument is the address of the demo")?;
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "target/screenshots".into()));
    std::fs::create_dir_all(&folder)?;
    let browser = Browser::launch().await?;

    let start = browser.open(&address).await?;
    shoot(&start, &folder, "start").await?;
    let counter = browser.open(&format!("{address}counter/")).await?;
    counter.wait_text(".count", "").await?;
    counter.click("#more").await?;
    shoot(&counter, &folder, "counter").await?;

    let welcome = browser.open(&format!("{address}chat/")).await?;
    welcome.wait("document.querySelector('#name')").await?;
    shoot(&welcome, &folder, "chat-welcome").await?;
    let ada = enter(&browser, &address, "Ada").await?;
    ada.click("#room-help").await?;
    ada.wait_text("#messages .empty", "").await?;
    shoot(&ada, &folder, "chat-empty").await?;
    ada.click("#room-general").await?;
    let bob = enter(&browser, &address, "Bob").await?;
    for (page, text) in [
        (&ada, "Does the list on the right know that you are here?"),
        (&bob, "It does. And it will know when I close this window."),
        (
            &ada,
            "A long line, to see how it wraps: the quick brown fox jumps over the lazy dog, turns, and jumps back again.",
        ),
    ] {
        page.fill("#text", text).await?;
        page.press("Enter", 13).await?;
        ada.wait_text("#messages .text", text).await?;
    }
    bob.fill("#text", "I am wri").await?;
    ada.wait_text("#hint", "Bob").await?;
    shoot(&ada, &folder, "chat").await?;
    ada.fill("#text", "  ").await?;
    ada.press("Enter", 13).await?;
    ada.wait_text("#problem", "").await?;
    shoot(&ada, &folder, "chat-problem").await?;
    browser.close().await
}

async fn enter(browser: &Browser, address: &str, name: &str) -> Result<Page, Error> {
    let page = browser.open(&format!("{address}chat/")).await?;
    page.fill("#name", name).await?;
    page.click("#enter").await?;
    page.wait_text("#members", name).await?;
    Ok(page)
}

async fn shoot(page: &Page, folder: &std::path::Path, name: &str) -> Result<(), Error> {
    for scheme in ["light", "dark"] {
        page.prefer(scheme).await?;
        for (width, height, size) in [(1100, 760, "wide"), (390, 780, "narrow")] {
            page.resize(width, height).await?;
            page.screenshot(&folder.join(format!("{name}-{scheme}-{size}.png"))).await?;
        }
    }
    Ok(())
}
