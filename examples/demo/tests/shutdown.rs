//! The demo is asked to end: pages move, the process ends by itself and well.
#![cfg(unix)]

mod common;

use bowline::prelude::*;
use bowline::{Arrival, Client, State};
use bowline_test_support::browser::{Browser, Error};
use bowline_test_support::process::Program;
use bowline_test_support::relay::Relay;
use chat::ChatClient;
use common::{enter, say, serve, serve_from};

async fn join(address: std::net::SocketAddr) -> Result<(Client, ChatClient), Error> {
    let client = Client::builder(format!("ws://{address}/chat/ws")).connect().await?;
    let chat = client.client();
    Ok((client, chat))
}

/// What it says from its signal on, when it has ended well.
async fn said(mut demo: Program) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    while let Some(line) = demo.line().await? {
        lines.push(line);
    }
    assert!(demo.ended().await?.success(), "{lines:?}");
    Ok(lines)
}

#[tokio::test]
async fn without_anybody_it_ends_at_either_signal() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    for signal in ["TERM", "INT"] {
        let demo = serve_from(0, &folder.path().join("chat.db"), folder.path()).await?;
        demo.signal(signal).await?;
        let said = said(demo).await?;
        assert!(said[0].contains("pages are asked to move"), "{said:?}");
        assert_eq!(said[1..], ["Ended."]);
    }
    Ok(())
}

#[tokio::test]
async fn who_has_nowhere_to_go_is_closed_and_does_not_keep_it() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let demo = serve_from(0, &folder.path().join("chat.db"), folder.path()).await?;
    let (client, chat) = join(demo.socket()).await?;
    let mut states = client.states();
    assert!(states.next().await.is_some_and(|state| state.is_live()));
    demo.signal("TERM").await?;
    // Until the end the session works as before.
    let posted = chat.post("general".into(), "Ada".into(), "is anybody there?".into()).await;
    assert!(posted.is_ok(), "{posted:?}");
    assert!(matches!(states.next().await, Some(State::Reconnecting { .. })));
    assert_eq!(said(demo).await?.last().map(String::as_str), Some("Ended."));
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let mut demo = serve_from(0, &folder.path().join("chat.db"), folder.path()).await?;
    let _client = join(demo.socket()).await?;
    demo.signal("INT").await?;
    assert!(demo.line().await?.is_some_and(|line| line.starts_with("Ending")));
    demo.signal("INT").await?;
    assert_eq!(said(demo).await?, ["Ended at once."]);
    Ok(())
}

#[tokio::test]
async fn a_program_hears_the_go_away_and_moves_to_the_next_server() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("chat.db");
    let old = serve_from(0, &database, folder.path()).await?;
    let relay = Relay::start(Some(old.socket())).await?;
    let (client, chat) = join(relay.address()).await?;
    let new = serve_from(0, &database, folder.path()).await?;
    relay.lead_to(Some(new.socket()));
    old.signal("TERM").await?;
    assert_eq!(said(old).await?.last().map(String::as_str), Some("Ended."));
    // Whoever is at the new server hears from who was at the old one.
    let (_other, there) = join(new.socket()).await?;
    let id = chat.post("general".into(), "Ada".into(), "moved".into()).await?;
    let history = there.history("general".into(), None).await?;
    assert_eq!(history.iter().map(|message| message.id).collect::<Vec<_>>(), [id]);
    // It was not closed first and found the way afterwards: that would be a gap.
    assert_eq!(client.state(), State::Live(Arrival::New));
    assert_eq!(relay.links().made, 2, "one move and no other try");
    Ok(())
}

#[tokio::test]
async fn the_chat_moves_to_the_next_server_and_nobody_sees_it() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("chat.db");
    let old = serve(0, &database).await?;
    let relay = Relay::start(Some(old.socket())).await?;
    let browser = Browser::launch().await?;
    let ada = enter(&browser, &format!("http://{}/", relay.address()), "Ada").await?;
    say(&ada, "before").await?;
    ada.wait_text("#messages .text", "before").await?;
    ada.eval(
        "window.seen = []; new MutationObserver(() => seen.push(document.querySelector('#state').innerText))\
         .observe(document.querySelector('#state'), {childList: true, characterData: true, subtree: true})",
    )
    .await?;
    let new = serve(0, &database).await?;
    relay.lead_to(Some(new.socket()));
    old.signal("TERM").await?;
    assert_eq!(said(old).await?.last().map(String::as_str), Some("Ended."));

    let bob = enter(&browser, new.address(), "Bob").await?;
    bob.wait_text("#members", "Ada").await?;
    say(&ada, "after").await?;
    bob.wait_text("#messages .text", "after").await?;
    say(&bob, "welcome").await?;
    ada.wait_text("#messages .text", "welcome").await?;
    ada.wait("document.querySelectorAll('#messages .text').length === 3").await?;
    assert_eq!(ada.eval("seen.filter(text => !text.startsWith('live'))").await?, serde_json::json!([]));
    assert_eq!(ada.complaints(), Vec::<String>::new());
    browser.close().await
}
