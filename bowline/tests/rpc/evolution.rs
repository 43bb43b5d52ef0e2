//! Two versions of one trait, as when a browser tab is older than the server.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

use bowline::prelude::*;
use bowline::{Server, ServiceClient};
use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::Sequenced;
use futures_util::stream;

use crate::tap::{Crossed, tapped};

mod old {
    use bowline::prelude::*;

    #[bowline::rpc]
    pub trait Notes {
        async fn add(&self, text: String) -> u64;
        async fn rated(&self, text: String) -> u64;
        async fn count(&self) -> u64;
        fn lines(&self) -> impl Stream<Item = String>;
        async fn clear(&self) -> bool;
    }
}

mod new {
    use bowline::prelude::*;

    #[bowline::rpc]
    pub trait Notes {
        async fn rated(&self, text: u64) -> u64;
        async fn add(&self, text: String, #[serde(default)] tag: Option<String>) -> u64;
        fn clear(&self) -> impl Stream<Item = bool>;
        async fn count(&self) -> u64;
        async fn remove(&self, id: u64) -> bool;
        fn lines(&self) -> impl Stream<Item = String>;
    }
}

struct Old;

impl old::Notes for Old {
    async fn add(&self, text: String) -> u64 {
        text.len() as u64
    }

    async fn rated(&self, text: String) -> u64 {
        text.len() as u64
    }

    async fn count(&self) -> u64 {
        1
    }

    fn lines(&self) -> impl Stream<Item = String> {
        stream::iter(["old".to_owned()])
    }

    async fn clear(&self) -> bool {
        true
    }
}

struct New;

impl new::Notes for New {
    async fn rated(&self, text: u64) -> u64 {
        text
    }

    async fn add(&self, text: String, tag: Option<String>) -> u64 {
        (text.len() + tag.map_or(100, |tag| tag.len())) as u64
    }

    fn clear(&self) -> impl Stream<Item = bool> {
        stream::iter([true])
    }

    async fn count(&self) -> u64 {
        2
    }

    async fn remove(&self, id: u64) -> bool {
        id > 0
    }

    fn lines(&self) -> impl Stream<Item = String> {
        stream::iter(["new".to_owned()])
    }
}

fn hash<C: ServiceClient>(name: &str) -> u128 {
    C::SERVICE.methods.iter().find(|method| method.name == name).unwrap().hash
}

#[test]
fn a_new_argument_changes_the_hash_of_its_method_only() {
    for name in ["count", "lines"] {
        assert_eq!(hash::<old::NotesClient>(name), hash::<new::NotesClient>(name), "{name}");
    }
    for name in ["add", "rated", "clear"] {
        assert_ne!(hash::<old::NotesClient>(name), hash::<new::NotesClient>(name), "{name}");
    }
    assert_ne!(old::NotesClient::SERVICE.digest(), new::NotesClient::SERVICE.digest());
}

#[tokio::test(start_paused = true)]
async fn an_old_client_calls_a_new_server() {
    let (_server, notes): (_, old::NotesClient) = crate::connect(new::NotesServer::new(New));
    assert_eq!(notes.count().await, Ok(2));
    assert_eq!(notes.add("four".into()).await, Ok(104));
    let lines: Vec<_> = notes.lines().await.unwrap().map(|line| line.unwrap()).collect().await;
    assert_eq!(lines, ["new"]);
    assert_mismatch(notes.rated("x".into()).await, "Notes/rated");
    assert_mismatch(notes.clear().await, "Notes/clear");
    assert_eq!(notes.count().await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_new_client_calls_an_old_server() {
    let (_server, notes): (_, new::NotesClient) = crate::connect(old::NotesServer::new(Old));
    assert_eq!(notes.count().await, Ok(1));
    assert_eq!(notes.add("four".into(), Some("left out".into())).await, Ok(4));
    assert_mismatch(notes.rated(7).await, "Notes/rated");
    assert_mismatch(notes.clear().await, "Notes/clear");
    let removed = notes.remove(1).await;
    assert!(matches!(&removed, Err(CallError::Unimplemented(why)) if why.contains("remove")), "{removed:?}");
    assert_eq!(notes.count().await, Ok(1));
}

/// How the last call and its answer were encoded.
#[track_caller]
fn codecs(crossed: &Crossed) -> (Codec, Codec) {
    let mut seen = (None, None);
    for envelope in crossed.take() {
        match envelope {
            Sequenced::Call(open) => seen.0 = Some(open.codec),
            Sequenced::Response { codec, .. } | Sequenced::Item { codec, .. } => seen.1 = Some(codec),
            _ => {}
        }
    }
    (seen.0.expect("a call crossed"), seen.1.expect("an answer crossed"))
}

#[tokio::test(start_paused = true)]
async fn only_the_method_that_changed_falls_back_to_json_on_the_wire() {
    let (rkyv, json) = ((Codec::Rkyv, Codec::Rkyv), (Codec::Json, Codec::Json));

    let server = Server::builder().service(new::NotesServer::new(New)).build();
    let (client, crossed) = tapped(&server);
    let notes: old::NotesClient = client.client();
    notes.count().await.unwrap();
    assert_eq!(codecs(&crossed), rkyv);
    notes.add("four".into()).await.unwrap();
    assert_eq!(codecs(&crossed), json);
    notes.lines().await.unwrap().next().await.unwrap().unwrap();
    assert_eq!(codecs(&crossed), rkyv);

    let server = Server::builder().service(old::NotesServer::new(Old)).build();
    let (client, crossed) = tapped(&server);
    let notes: new::NotesClient = client.client();
    notes.add("four".into(), Some("left out".into())).await.unwrap();
    assert_eq!(codecs(&crossed), json);
    notes.count().await.unwrap();
    assert_eq!(codecs(&crossed), rkyv);
    // A call that the other end can't have is not even sent.
    assert_mismatch(notes.clear().await, "Notes/clear");
    assert!(!crossed.take().iter().any(|envelope| matches!(envelope, Sequenced::Call(_))));
}

#[track_caller]
fn assert_mismatch<T>(result: Result<T, CallError<std::convert::Infallible>>, name: &str) {
    match result {
        Err(CallError::SchemaMismatch(why)) => assert!(why.contains(name), "{why}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was answered"),
    }
}
