use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bowline_protocol::codec::{Codec, DecodePayloadError, EncodeError, Payload};
use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_rpc::macros;
use bowline_rpc::{
    Call, CallError, CallFuture, Cancellation, Channel, Context, NotifyFuture, Position, ReplyFuture,
    Service, ServiceClient, StreamFuture, Streaming, Topic, View,
};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;

macro_rules! table {
    ($($number:literal $name:ident $kind:ident $lag:ident;)*) => {
        #[derive(Clone, Copy)]
        #[allow(non_camel_case_types)]
        pub enum Method { $($name = $number,)* }
        pub static SERVICE: ServiceDescriptor = ServiceDescriptor {
            name: "Test",
            methods: &[$(MethodDescriptor {
                name: stringify!($name),
                kind: MethodKind::$kind,
                retry: Retry::Never,
                hash: $number,
                deadline: None,
                lag: Lag::$lag,
            },)*],
        };
    };
}

table! {
    0 echo Unary Close;
    1 slow Unary Close;
    2 fail Unary Close;
    3 count ServerStream Close;
    4 open ServerStream Close;
    5 sum ClientStream Close;
    6 double Bidirectional Close;
    7 note Notify Close;
    8 newest Watch Close;
    9 hang Unary Close;
    10 hang_stream ServerStream Close;
    11 hang_upload ClientStream Close;
    12 hang_both Bidirectional Close;
    13 panic Unary Close;
    14 nested Unary Close;
    15 news ServerStream Close;
    16 latest ServerStream Latest;
    17 oldest ServerStream DropOldest;
    18 length Unary Close;
    19 who Unary Close;
    20 endless ServerStream Close;
    21 failing ServerStream Close;
    22 panic_late ServerStream Close;
    23 hang_open ServerStream Close;
    24 continued ServerStream DropOldest;
    25 counted ServerStream Close;
    26 watched Watch Close;
    27 replaced ServerStream Close;
    28 note_slowly Notify Close;
    29 journal ServerStream Close;
    30 entries ServerStream Close;
    31 whereabouts ServerStream Close;
}

/// How often a [`Counted`] was encoded as an archive.
pub static ENCODED: AtomicUsize = AtomicUsize::new(0);
/// How often a [`Counted`] was encoded as JSON. One test each looks at one of them.
pub static ENCODED_JSON: AtomicUsize = AtomicUsize::new(0);

/// A text that counts its encodings.
#[derive(Debug)]
pub struct Counted(pub String);

impl Payload for Counted {
    const HASH: u128 = String::HASH;

    fn encode(&self, codec: Codec, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let counter = match codec {
            Codec::Rkyv => &ENCODED,
            Codec::Json => &ENCODED_JSON,
        };
        counter.fetch_add(1, Ordering::SeqCst);
        self.0.encode(codec, out)
    }

    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self, DecodePayloadError> {
        String::decode(codec, bytes).map(Self)
    }

    fn recode(rkyv: &[u8]) -> Result<Vec<u8>, EncodeError> {
        String::recode(rkyv)
    }
}

/// What the handlers saw.
pub struct Handlers {
    pub started: AtomicUsize,
    /// Handlers that hang and were dropped.
    pub dropped: AtomicUsize,
    pub notes: AtomicUsize,
    /// Items that `endless` was asked for.
    pub produced: Arc<AtomicUsize>,
    pub topic: Topic<String>,
    pub counted: Topic<Counted>,
    pub replaced: Mutex<Option<Topic<String>>>,
    pub newest: watch::Sender<u64>,
    pub cancellation: Mutex<Option<Cancellation>>,
    /// How many entries `journal` has; they are numbered from 0.
    pub journal: watch::Sender<u64>,
    /// What `entries` gives.
    pub entries: Topic<Entry>,
    /// What `journal` and `entries` were asked to go on behind, by each call.
    pub asked: Mutex<Vec<Option<u64>>>,
    /// What they refuse calls with.
    pub refusal: Mutex<Option<String>>,
    /// Whether they make callers wait for their answer.
    pub hesitates: AtomicBool,
}

/// A number that a stream can go on behind, and a text.
pub type Entry = (u64, String);

pub fn entry(number: u64) -> Entry {
    (number, format!("entry {number}"))
}

/// Counts its drop.
struct Hanging(Arc<Handlers>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Handlers {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            started: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            notes: AtomicUsize::new(0),
            produced: Arc::default(),
            topic: Topic::new(),
            counted: Topic::new(),
            replaced: Mutex::default(),
            newest: watch::Sender::new(0),
            cancellation: Mutex::default(),
            journal: watch::Sender::new(0),
            entries: Topic::new(),
            asked: Mutex::default(),
            refusal: Mutex::default(),
            hesitates: AtomicBool::new(false),
        })
    }

    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }

    pub fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    /// Adds `count` entries to the journal.
    pub fn write(&self, count: u64) {
        self.journal.send_modify(|length| *length += count);
    }

    pub fn asked(&self) -> Vec<Option<u64>> {
        self.asked.lock().unwrap().clone()
    }

    /// The newest value, and those to come.
    fn newest(&self) -> impl Stream<Item = u64> + Send + use<> {
        stream::unfold((self.newest.subscribe(), true), |(mut values, first)| async move {
            if !first {
                values.changed().await.ok()?;
            }
            let value = *values.borrow_and_update();
            Some((value, (values, false)))
        })
    }

    /// The entries behind `after`, and those to come.
    fn journal(&self, after: Option<u64>) -> impl Stream<Item = Entry> + Send + use<> {
        let lengths = self.journal.subscribe();
        let next = after.map_or_else(|| *lengths.borrow(), |after| after + 1);
        stream::unfold((lengths, next), |(mut lengths, next)| async move {
            lengths.wait_for(|length| *length > next).await.ok()?;
            Some((entry(next), (lengths, next + 1)))
        })
    }

    async fn hesitate(&self) {
        if self.hesitates.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    /// Whether a call is refused.
    fn ask(&self, after: Option<u64>) -> Result<(), String> {
        self.asked.lock().unwrap().push(after);
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn hang(self: &Arc<Self>, cx: &Context) -> Hanging {
        self.started.fetch_add(1, Ordering::SeqCst);
        *self.cancellation.lock().unwrap() = Some(cx.cancellation());
        Hanging(self.clone())
    }
}

/// Serves the handlers, as a generated server does.
pub struct Served(pub Arc<Handlers>);

impl Service for Served {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &SERVICE
    }

    fn dispatch(&self, call: Call) -> ReplyFuture {
        let this = self.0.clone();
        match call.method_index() {
            0 => macros::unary(call, |_, number: u64| async move { number }),
            1 => macros::unary(call, |_, (millis, number): (u64, u64)| async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                number
            }),
            2 => macros::unary(call, |_, text: String| async move { Err::<u64, String>(text) }),
            3 => {
                macros::streaming(call, |_, to: u64, out| async move { out.drive(stream::iter(0..to)).await })
            }
            4 => macros::streaming(call, |_, why: Option<String>, out| async move {
                // Decided late, and in the same future that then gives the items.
                tokio::time::sleep(Duration::from_millis(5)).await;
                match why {
                    None => out.drive(stream::iter([1_u64, 2])).await,
                    Some(why) => out.refuse(why).await,
                }
            }),
            5 => macros::client_streaming(call, move |cx, start: u64, numbers: Streaming<u64>| async move {
                *this.cancellation.lock().unwrap() = Some(cx.cancellation());
                drop(cx);
                numbers.fold(start, |sum, number| async move { sum + number.unwrap() }).await
            }),
            6 => macros::bidirectional(call, |_, (): (), numbers: Streaming<u64>, out| async move {
                out.drive(numbers.map(|number| number.unwrap() * 2)).await;
            }),
            7 => macros::notify(call, move |_, _: u64| async move {
                this.notes.fetch_add(1, Ordering::SeqCst);
            }),
            8 => macros::streaming(call, move |_, (): (), out| async move { out.drive(this.newest()).await }),
            9 => macros::unary(call, move |cx, (): ()| async move {
                let _hanging = this.hang(&cx);
                std::future::pending::<()>().await
            }),
            10 => macros::streaming(call, move |cx, (): (), out| async move {
                let _hanging = this.hang(&cx);
                out.drive(stream::pending::<u64>()).await
            }),
            11 => macros::client_streaming(call, move |cx, (): (), _: Streaming<u64>| async move {
                let _hanging = this.hang(&cx);
                std::future::pending::<()>().await
            }),
            12 => macros::bidirectional(call, move |cx, (): (), _: Streaming<u64>, out| async move {
                let _hanging = this.hang(&cx);
                out.drive(stream::pending::<u64>()).await
            }),
            13 => macros::unary(call, move |_, after: u64| async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                assert!(after == u64::MAX, "the password is swordfish");
            }),
            14 => macros::unary(call, move |cx, left: u8| async move {
                if left == 0 {
                    return Ok(0_u64);
                }
                let back = cx.client::<Stub>();
                back.nested(left - 1).await.map(|depth| depth + 1).map_err(|error| match error {
                    CallError::Application(why) => why,
                    other => other.to_string(),
                })
            }),
            15..=17 => macros::streaming(call, move |cx, (): (), out| async move {
                out.drive(this.topic.subscribe(&cx)).await;
            }),
            18 => macros::unary_view(
                call,
                |args: View<(String, u64)>| {
                    Ok((
                        args.project::<String>(|args| &args.0),
                        args.project::<u64>(|args| &args.1).to_owned()?,
                    ))
                },
                |_, (text, add): (View<String>, u64)| async move { text.len() as u64 + add },
            ),
            19 => macros::unary(call, |cx: Context, name: String| async move {
                cx.metadata().get(&name).map(str::to_owned)
            }),
            20 => macros::streaming(call, move |_, size: u64, out| async move {
                let produced = this.produced.clone();
                out.drive(stream::repeat_with(move || {
                    produced.fetch_add(1, Ordering::SeqCst);
                    vec![0_u8; size as usize]
                }))
                .await;
            }),
            21 => macros::streaming(call, |_, (): (), out| async move {
                out.drive(stream::iter([Ok(1_u64), Err("enough".to_owned()), Ok(3)])).await;
            }),
            22 => macros::streaming(call, |_, (): (), out| async move {
                out.drive(stream::iter(0_u64..).map(|number| {
                    assert!(number < 2, "no third");
                    number
                }))
                .await;
            }),
            23 => macros::streaming(call, move |cx, (): (), out| async move {
                let _hanging = this.hang(&cx);
                std::future::pending::<()>().await;
                out.drive(stream::empty::<u64>()).await;
            }),
            24 => macros::streaming(call, move |cx, (epoch, offset): (u128, u64), out| async move {
                let position = Position { epoch, offset };
                let replaced = this.replaced.lock().unwrap().clone();
                let topic = replaced.unwrap_or_else(|| this.topic.clone());
                let items = topic.subscribe_from(&cx, position);
                drop(topic);
                out.drive(items).await;
            }),
            25 => macros::streaming(call, move |cx, (): (), out| async move {
                out.drive(this.counted.subscribe(&cx)).await;
            }),
            26 => macros::streaming(call, move |cx, (): (), out| async move {
                out.drive(this.topic.subscribe(&cx)).await;
            }),
            27 => macros::streaming(call, move |cx, (): (), out| async move {
                let news = this.replaced.lock().unwrap().as_ref().map(|topic| topic.subscribe(&cx));
                out.drive(news.unwrap()).await;
            }),
            28 => macros::notify(call, move |_, (): ()| async move {
                this.notes.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(60)).await;
            }),
            29 => macros::streaming(call, move |cx, (_, after): (String, Option<u64>), out| async move {
                let _hanging = this.hang(&cx);
                let answer = this.ask(after);
                this.hesitate().await;
                match answer {
                    Ok(()) => out.drive(this.journal(after)).await,
                    Err(why) => out.refuse(why).await,
                }
            }),
            30 => macros::streaming(call, move |cx, (_, after): (String, Option<u64>), out| async move {
                this.ask(after).unwrap();
                match after {
                    None => {
                        let entries = this.entries.subscribe(&cx);
                        this.hesitate().await;
                        out.drive(entries).await;
                    }
                    Some(after) => {
                        let next = Position { offset: after + 1, ..this.entries.position() };
                        out.drive(this.entries.subscribe_from(&cx, next)).await;
                    }
                }
            }),
            31 => macros::streaming(call, move |_, (): (), out| async move {
                out.drive(this.newest().map(|_| tokio::task::id().to_string())).await;
            }),
            _ => macros::unimplemented(call),
        }
    }
}

/// A client of the service, as the macro would write it.
#[derive(Clone)]
pub struct Stub(Channel);

impl ServiceClient for Stub {
    const SERVICE: &'static ServiceDescriptor = &SERVICE;

    fn from_channel(channel: Channel) -> Self {
        Self(channel)
    }

    fn as_channel(&self) -> &Channel {
        &self.0
    }
}

impl Stub {
    pub fn new(channel: &Channel) -> Self {
        Self(channel.clone())
    }

    fn call<A: Payload, R: bowline_rpc::Output>(&self, method: Method, args: &A) -> CallFuture<R> {
        CallFuture::new(&self.0, &SERVICE, method as usize, args)
    }

    fn stream<A: Payload, T: Payload, E: Payload>(&self, method: Method, args: &A) -> StreamFuture<T, E> {
        StreamFuture::new(&self.0, &SERVICE, method as usize, args)
    }

    pub fn echo(&self, number: u64) -> CallFuture<u64> {
        self.call(Method::echo, &number)
    }

    /// Arguments of the wrong type.
    pub fn echo_of(&self, text: String) -> CallFuture<u64> {
        self.call(Method::echo, &text)
    }

    pub fn slow(&self, millis: u64, number: u64) -> CallFuture<u64> {
        self.call(Method::slow, &(millis, number))
    }

    pub fn fail(&self, text: &str) -> CallFuture<Result<u64, String>> {
        self.call(Method::fail, &text.to_owned())
    }

    pub fn count(&self, to: u64) -> StreamFuture<u64> {
        self.stream(Method::count, &to)
    }

    pub fn open(&self, why: Option<&str>) -> StreamFuture<u64, String> {
        self.stream(Method::open, &why.map(str::to_owned))
    }

    pub fn sum(&self, start: u64, numbers: impl Stream<Item = u64> + Send + 'static) -> CallFuture<u64> {
        CallFuture::with_upload(&self.0, &SERVICE, Method::sum as usize, &start, numbers)
    }

    /// Items of the wrong type.
    pub fn sum_of(&self, texts: impl Stream<Item = String> + Send + 'static) -> CallFuture<u64> {
        CallFuture::with_upload(&self.0, &SERVICE, Method::sum as usize, &0_u64, texts)
    }

    pub fn double(&self, numbers: impl Stream<Item = u64> + Send + 'static) -> StreamFuture<u64> {
        StreamFuture::with_upload(&self.0, &SERVICE, Method::double as usize, &(), numbers)
    }

    pub fn note(&self) -> NotifyFuture {
        NotifyFuture::new(&self.0, &SERVICE, Method::note as usize, &1_u64)
    }

    pub fn note_slowly(&self) -> NotifyFuture {
        NotifyFuture::new(&self.0, &SERVICE, Method::note_slowly as usize, &())
    }

    pub fn newest(&self) -> StreamFuture<u64> {
        self.stream(Method::newest, &())
    }

    /// The task that looks for each item of `newest`.
    pub fn whereabouts(&self) -> StreamFuture<String> {
        self.stream(Method::whereabouts, &())
    }

    pub fn hang(&self) -> CallFuture<()> {
        self.call(Method::hang, &())
    }

    pub fn hang_stream(&self) -> StreamFuture<u64> {
        self.stream(Method::hang_stream, &())
    }

    pub fn hang_open(&self) -> StreamFuture<u64> {
        self.stream(Method::hang_open, &())
    }

    pub fn hang_upload(&self, numbers: impl Stream<Item = u64> + Send + 'static) -> CallFuture<()> {
        CallFuture::with_upload(&self.0, &SERVICE, Method::hang_upload as usize, &(), numbers)
    }

    pub fn hang_both(&self, numbers: impl Stream<Item = u64> + Send + 'static) -> StreamFuture<u64> {
        StreamFuture::with_upload(&self.0, &SERVICE, Method::hang_both as usize, &(), numbers)
    }

    pub fn panic(&self, after: u64) -> CallFuture<()> {
        self.call(Method::panic, &after)
    }

    pub fn panic_late(&self) -> StreamFuture<u64> {
        self.stream(Method::panic_late, &())
    }

    pub fn nested(&self, depth: u8) -> CallFuture<Result<u64, String>> {
        self.call(Method::nested, &depth)
    }

    pub fn news(&self, method: Method) -> StreamFuture<String> {
        self.stream(method, &())
    }

    pub fn counted(&self) -> StreamFuture<Counted> {
        self.stream(Method::counted, &())
    }

    /// The journal, which goes on where it was lost.
    pub fn journal(&self, after: Option<u64>) -> StreamFuture<Entry, String> {
        self.resuming(Method::journal, after)
    }

    /// As [`journal`](Self::journal), over a topic.
    pub fn entries(&self, after: Option<u64>) -> StreamFuture<Entry> {
        self.resuming(Method::entries, after)
    }

    fn resuming<E: Payload>(&self, method: Method, after: Option<u64>) -> StreamFuture<Entry, E> {
        let arguments = ("me".to_owned(), after);
        let method = method as usize;
        StreamFuture::resuming(
            &self.0,
            &SERVICE,
            method,
            arguments,
            |args| &mut args.1,
            |item: &Entry| &item.0,
        )
    }

    /// The journal from now on, which starts anew where it was lost.
    pub fn journal_from_now(&self) -> StreamFuture<Entry, String> {
        self.stream(Method::journal, &("me".to_owned(), None::<u64>))
    }

    /// As [`journal_from_now`](Self::journal_from_now), over a topic.
    pub fn entries_from_now(&self) -> StreamFuture<Entry> {
        self.stream(Method::entries, &("me".to_owned(), None::<u64>))
    }

    pub fn continued(&self, position: Position) -> StreamFuture<String> {
        self.stream(Method::continued, &(position.epoch, position.offset))
    }

    pub fn length(&self, text: &str, add: u64) -> CallFuture<u64> {
        self.call(Method::length, &(text.to_owned(), add))
    }

    pub fn who(&self, name: &str) -> CallFuture<Option<String>> {
        self.call(Method::who, &name.to_owned())
    }

    pub fn endless(&self, size: u64) -> StreamFuture<Vec<u8>> {
        self.stream(Method::endless, &size)
    }

    pub fn failing(&self) -> StreamFuture<u64, String> {
        self.stream(Method::failing, &())
    }
}
