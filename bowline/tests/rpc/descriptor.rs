use std::collections::HashSet;
use std::time::Duration;

use bowline::ServiceClient;
use bowline::prelude::*;
use bowline_protocol::schema::{Lag, MethodKind, Retry, ServiceDescriptor};

#[bowline::message]
pub struct Point {
    pub x: i32,
}

#[bowline::rpc]
pub trait Kinds {
    async fn value(&self, text: String) -> u64;
    fn items(&self, text: String) -> impl Stream<Item = u64>;
    async fn refusing(&self, text: String) -> Result<impl Stream<Item = u64>, String>;
    async fn upload(&self, text: String, points: Streaming<Point>) -> u64;
    fn both(&self, text: String, points: Streaming<Point>) -> impl Stream<Item = u64>;
    #[rpc(watch)]
    fn newest(&self, text: String) -> impl Stream<Item = u64>;
    #[rpc(notify)]
    async fn one_way(&self, text: String);
    #[cfg(any())]
    async fn absent(&self, text: Absent) -> Absent;
    #[rpc(deadline = "250ms")]
    async fn r#type(&self, text: String) -> Result<u64, String>;
    #[rpc(lag = "latest")]
    fn latest(&self, text: String) -> impl Stream<Item = u64>;
    #[rpc(lag = "drop_oldest", deadline = "2m")]
    fn newer(&self, text: String) -> impl Stream<Item = u64>;
}

const KINDS: &ServiceDescriptor = KindsClient::SERVICE;

#[test]
fn the_table_has_what_was_compiled_in_the_order_of_the_trait() {
    use MethodKind::{Bidirectional, ClientStream, Notify, ServerStream, Unary, Watch};

    assert_eq!(KINDS.name, "Kinds");
    let methods: Vec<_> = KINDS.methods.iter().map(|method| (method.name, method.kind)).collect();
    let expected = [
        ("value", Unary),
        ("items", ServerStream),
        ("refusing", ServerStream),
        ("upload", ClientStream),
        ("both", Bidirectional),
        ("newest", Watch),
        ("one_way", Notify),
        ("type", Unary),
        ("latest", ServerStream),
        ("newer", ServerStream),
    ];
    assert_eq!(methods, expected);
}

#[test]
fn attributes_reach_the_table() {
    let said = |name: &str| {
        let method = KINDS.methods.iter().find(|method| method.name == name).unwrap();
        (method.deadline, method.lag)
    };
    assert_eq!(said("value"), (None, Lag::Close));
    assert_eq!(said("type"), (Some(Duration::from_millis(250)), Lag::Close));
    assert_eq!(said("latest"), (None, Lag::Latest));
    assert_eq!(said("newer"), (Some(Duration::from_secs(120)), Lag::DropOldest));
}

/// The only method of a trait that has `$($method)*`, and the digest of that trait.
macro_rules! one {
    ($($method:tt)*) => {{
        #[bowline::rpc]
        trait One {
            $($method)*
        }
        (&OneClient::SERVICE.methods[0], OneClient::SERVICE.digest())
    }};
}

/// So ends that differ in it compare their methods and find the class that holds, and still speak rkyv.
#[test]
fn a_retry_class_is_part_of_the_digest_and_not_of_the_hash() {
    let (never, never_digest) = one! { async fn of(&self, a: u64) -> u64; };
    let (idempotent, idempotent_digest) = one! { #[rpc(idempotent)] async fn of(&self, a: u64) -> u64; };
    let (once, once_digest) = one! { #[rpc(once, deadline = "1s")] async fn of(&self, a: u64) -> u64; };
    let classes = [never.retry, idempotent.retry, once.retry];
    assert_eq!(classes, [Retry::Never, Retry::Idempotent, Retry::Once]);
    assert_eq!(HashSet::from([never_digest, idempotent_digest, once_digest]).len(), 3);
    assert_eq!(HashSet::from([never.hash, idempotent.hash, once.hash]).len(), 1);
}

/// A client that resumes and one that does not, of one build or another, ask the same of the server.
#[test]
fn where_a_stream_resumes_is_its_callers_own_affair() {
    let (_, plain) = one! { fn of(&self, after: Option<u64>) -> impl Stream<Item = Numbered>; };
    let (_, resuming) = one! { #[rpc(resume = "after: number")] fn of(&self, after: Option<u64>) -> impl Stream<Item = Numbered>; };
    assert_eq!(plain, resuming);
}

#[bowline::message]
pub struct Numbered {
    pub number: u64,
}

#[test]
fn server_and_client_share_one_table() {
    struct Unused;
    #[bowline::rpc]
    trait Small {
        async fn ping(&self);
    }
    impl Small for Unused {
        async fn ping(&self) {}
    }
    let server = bowline::Service::descriptor(&SmallServer::new(Unused));
    assert!(std::ptr::eq(server, SmallClient::SERVICE));
}

/// The hash of the only method of a trait that has `$($method)*`.
macro_rules! hash {
    ($($method:tt)*) => {{
        #[bowline::rpc]
        trait One {
            $($method)*
        }
        OneClient::SERVICE.methods[0].hash
    }};
}

#[test]
fn a_hash_follows_from_all_that_crosses_the_wire() {
    let hashes = [
        hash! { async fn of(&self, a: u64) -> u64; },
        hash! { async fn of(&self, b: u64) -> u64; },
        hash! { async fn of(&self, a: u32) -> u64; },
        hash! { async fn of(&self, a: u64) -> u32; },
        hash! { async fn of(&self, a: u64) -> Result<u64, String>; },
        hash! { async fn of(&self, a: u64) -> Result<u64, u64>; },
        hash! { async fn of(&self, a: u64) -> Option<u64>; },
        hash! { async fn of(&self, a: u64, b: u64) -> u64; },
        hash! { async fn of(&self, b: u64, a: u64) -> u64; },
        hash! { async fn of(&self) -> u64; },
        hash! { async fn of(&self, a: u64); },
        hash! { #[rpc(notify)] async fn of(&self, a: u64); },
        hash! { fn of(&self, a: u64) -> impl Stream<Item = u64>; },
        hash! { #[rpc(watch)] fn of(&self, a: u64) -> impl Stream<Item = u64>; },
        hash! { fn of(&self, a: u64) -> impl Stream<Item = u32>; },
        hash! { fn of(&self, a: u64) -> impl Stream<Item = Result<u64, String>>; },
        hash! { async fn of(&self, a: u64, items: Streaming<u64>) -> u64; },
        hash! { async fn of(&self, a: u64, items: Streaming<u32>) -> u64; },
        hash! { fn of(&self, a: u64, items: Streaming<u64>) -> impl Stream<Item = u64>; },
    ];
    assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
}

#[test]
fn a_hash_does_not_follow_from_how_it_is_said() {
    type Fallible<T> = Result<T, String>;

    let value = hash! { async fn of(&self, kind: u64) -> Result<u64, String>; };
    assert_eq!(value, hash! { async fn of(&self, cx: &Context, kind: u64) -> Result<u64, String>; });
    assert_eq!(value, hash! { async fn of(&self, r#kind: u64) -> Fallible<u64>; });
    assert_eq!(
        value,
        hash! { #[rpc(deadline = "1s")] async fn of(&self, kind: View<u64>) -> Fallible<u64>; }
    );
    assert_eq!(value, hash! { #[doc = "Says so."] async fn renamed(&self, kind: u64) -> Fallible<u64>; });

    let items = hash! { async fn of(&self) -> Result<impl Stream<Item = u64>, String>; };
    assert_eq!(items, hash! { async fn of(&self) -> Fallible<impl Stream<Item = Shared<u64>>>; });
    assert_eq!(items, hash! { fn of(&self) -> impl Stream<Item = Fallible<u64>>; });
    assert_eq!(items, hash! { #[rpc(lag = "latest")] fn of(&self) -> impl Stream<Item = Fallible<u64>>; });
}
