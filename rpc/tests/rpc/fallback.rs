//! Two ends that were built with different versions of a trait: JSON per method, and clear words where it fails.

use std::sync::atomic::Ordering;

use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::status::Code;
use bowline_rpc::{Call, CallFuture, ReplyFuture, Service, StreamError, StreamFuture, Topic, macros};
use futures_util::{StreamExt, stream};

use crate::support::service::{Counted, ENCODED_JSON};
use crate::support::{Ends, settle};

const fn method(name: &'static str, kind: MethodKind, hash: u128) -> MethodDescriptor {
    MethodDescriptor { name, kind, retry: Retry::Never, hash, deadline: None, lag: Lag::Close }
}

/// What the server was built with.
static NEW: ServiceDescriptor = ServiceDescriptor {
    name: "Versions",
    methods: &[
        method("added", MethodKind::Unary, 1),
        method("same", MethodKind::Unary, 2),
        method("changed", MethodKind::Unary, 30),
        method("bent", MethodKind::Unary, 40),
        method("items", MethodKind::ServerStream, 50),
        method("news", MethodKind::ServerStream, 60),
        method("kind", MethodKind::ServerStream, 70),
    ],
};

/// What the client was built with.
static OLD: ServiceDescriptor = ServiceDescriptor {
    name: "Versions",
    methods: &[
        method("same", MethodKind::Unary, 2),
        method("changed", MethodKind::Unary, 3),
        method("bent", MethodKind::Unary, 4),
        method("items", MethodKind::ServerStream, 5),
        method("news", MethodKind::ServerStream, 6),
        method("kind", MethodKind::Unary, 7),
        method("removed", MethodKind::Unary, 8),
    ],
};

struct New(Topic<Counted>);

impl Service for New {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &NEW
    }

    fn dispatch(&self, call: Call) -> ReplyFuture {
        let topic = self.0.clone();
        match call.method_name() {
            // The codec is part of the answer, so that tests see what crossed the wire.
            "same" | "bent" => {
                let codec = format!("{:?}", call.codec().unwrap());
                macros::unary(call, |_, number: u64| async move { (codec, number) })
            }
            "changed" => macros::unary(call, |_, number: u64| async move { number }),
            "items" => macros::streaming(call, |_, (): (), out| async move {
                out.drive(stream::iter([1_u64, 2])).await;
            }),
            "news" => macros::streaming(call, |cx, (): (), out| async move {
                out.drive(topic.subscribe(&cx)).await;
            }),
            _ => macros::unimplemented(call),
        }
    }
}

fn call<A: macros::Payload, R: macros::Output>(ends: &Ends, name: &str, args: A) -> CallFuture<R> {
    CallFuture::new(&ends.channel(), &OLD, place(name), &args)
}

fn open<T: macros::Payload>(ends: &Ends, name: &str) -> StreamFuture<T> {
    StreamFuture::new(&ends.channel(), &OLD, place(name), &())
}

fn place(name: &str) -> usize {
    OLD.methods.iter().position(|method| method.name == name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn untouched_methods_stay_on_rkyv_and_changed_ones_go_over_json() {
    let ends = Ends::serving(New(Topic::new())).await;
    assert_eq!(call::<_, (String, u64)>(&ends, "same", 5_u64).await, Ok(("Rkyv".to_owned(), 5_u64)));
    assert_eq!(call::<_, (String, u64)>(&ends, "bent", 5_u64).await, Ok(("Json".to_owned(), 5_u64)));
    let items = open::<u64>(&ends, "items").await.unwrap();
    assert_eq!(items.map(Result::unwrap).collect::<Vec<_>>().await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_json_cannot_bend_is_a_mismatch_that_names_the_method() {
    let ends = Ends::serving(New(Topic::new())).await;
    let arguments = call::<_, u64>(&ends, "changed", "text".to_owned()).await.unwrap_err();
    let answer = call::<_, String>(&ends, "changed", 1_u64).await.unwrap_err();
    let kind = call::<_, u64>(&ends, "kind", 1_u64).await.unwrap_err();
    for error in [arguments, answer, kind] {
        assert_eq!(error.code(), Some(Code::SchemaMismatch), "{error:?}");
        assert!(error.to_string().contains("Versions/"), "{error}");
    }
    let mut items = open::<String>(&ends, "items").await.unwrap();
    let Some(Err(StreamError::Failed(error))) = items.next().await else { panic!("an item was made up") };
    assert_eq!(error.code(), Some(Code::SchemaMismatch));
    assert!(items.next().await.is_none());
    assert_eq!(call::<_, (String, u64)>(&ends, "same", 5_u64).await, Ok(("Rkyv".to_owned(), 5_u64)));
}

#[tokio::test(start_paused = true)]
async fn a_method_that_is_gone_fails_its_call_alone() {
    let ends = Ends::serving(New(Topic::new())).await;
    let error = call::<_, u64>(&ends, "removed", 1_u64).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Unimplemented), "{error:?}");
    assert_eq!(call::<_, (String, u64)>(&ends, "same", 5_u64).await, Ok(("Rkyv".to_owned(), 5_u64)));
}

#[tokio::test(start_paused = true)]
async fn a_topics_item_is_encoded_once_for_all_json_readers() {
    let topic = Topic::new();
    let ends = Ends::serving(New(topic.clone())).await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(open::<Counted>(&ends, "news").await.unwrap());
    }
    settle().await;
    let before = ENCODED_JSON.load(Ordering::SeqCst);
    topic.publish(Counted("a".into()));
    for reader in &mut readers {
        assert_eq!(reader.next().await.unwrap().unwrap().0, "a");
    }
    assert_eq!(ENCODED_JSON.load(Ordering::SeqCst) - before, 1);
}
