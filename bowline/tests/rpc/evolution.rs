//! Two versions of one trait, as when a browser tab is older than the server.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

use bowline::ServiceClient;
use bowline::prelude::*;
use futures_util::stream;

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
    assert_mismatch(notes.rated("x".into()).await, "Notes.rated");
    assert_mismatch(notes.clear().await, "Notes.clear");
    assert_eq!(notes.count().await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_new_client_calls_an_old_server() {
    let (_server, notes): (_, new::NotesClient) = crate::connect(old::NotesServer::new(Old));
    assert_eq!(notes.count().await, Ok(1));
    assert_eq!(notes.add("four".into(), Some("left out".into())).await, Ok(4));
    assert_mismatch(notes.rated(7).await, "Notes.rated");
    assert_mismatch(notes.clear().await, "Notes.clear");
    let removed = notes.remove(1).await;
    assert!(matches!(&removed, Err(CallError::Unimplemented(why)) if why.contains("remove")), "{removed:?}");
    assert_eq!(notes.count().await, Ok(1));
}

#[track_caller]
fn assert_mismatch<T>(result: Result<T, CallError<std::convert::Infallible>>, name: &str) {
    match result {
        Err(CallError::SchemaMismatch(why)) => assert!(why.contains(name), "{why}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was answered"),
    }
}
