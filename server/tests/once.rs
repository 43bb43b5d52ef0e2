//! Calls of methods declared `once`, over a server's sessions.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bowline_protocol::once::OnceLimits;
use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::Config;
use bowline_protocol::status::{CloseCode, Code, Delivery};
use bowline_rpc::{Call, CallError, CallFuture, Channel, Peer, ReplyFuture, Service, macros};
use bowline_server::Server;
use bowline_transport::drive;
use bowline_transport::memory::{Faults, pair};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What takes as long hangs.
const HANG: Duration = Duration::from_secs(600);

const fn paying(retry: Retry) -> MethodDescriptor {
    MethodDescriptor { name: "pay", kind: MethodKind::Unary, retry, hash: 1, deadline: None, lag: Lag::Close }
}

static SERVICE: ServiceDescriptor = ServiceDescriptor { name: "Bank", methods: &[paying(Retry::Once)] };

/// The same as a client knows it that was built earlier.
static OLDER: ServiceDescriptor = ServiceDescriptor { name: "Bank", methods: &[paying(Retry::Idempotent)] };

/// Pays when it is told to.
#[derive(Clone, Default)]
struct Bank {
    started: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
    has_started: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Bank {
    fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    fn started(&self) -> u64 {
        self.started.load(Ordering::SeqCst)
    }
}

impl Service for Bank {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &SERVICE
    }

    fn dispatch(&self, call: Call) -> ReplyFuture {
        let bank = self.clone();
        macros::unary(call, |_, amount: u64| async move {
            let number = bank.started.fetch_add(1, Ordering::SeqCst) + 1;
            bank.has_started.notify_one();
            bank.go_on.notified().await;
            bank.ended.fetch_add(1, Ordering::SeqCst);
            number * 1000 + amount
        })
    }
}

fn pay(channel: &Channel, amount: u64) -> JoinHandle<Result<u64, CallError<std::convert::Infallible>>> {
    tokio::spawn(CallFuture::<u64>::new(channel, &SERVICE, 0, &amount))
}

/// A link from this client to a server; it ends when the client closes it.
fn connect(client: &Peer, server: &Server) -> JoinHandle<()> {
    let (near, far) = pair(&Faults::default());
    server.accept(far);
    let client = client.clone();
    tokio::spawn(async move { drop(drive(near, &client, std::future::pending()).await) })
}

#[tokio::test(start_paused = true)]
async fn a_call_asked_again_on_another_session_runs_once() {
    let bank = Bank::default();
    let server = Server::builder().service(bank.clone()).build();
    let client = Peer::client(Config::default());
    let link = connect(&client, &server);
    let paid = pay(&client.channel(), 7);
    timeout(HANG, bank.has_started.notified()).await.unwrap();
    // Nobody comes back to a session that is closed like this.
    client.close(CloseCode::NORMAL, "");
    timeout(HANG, link).await.unwrap().unwrap();
    let _link = connect(&client, &server);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bank.started(), 1);
    bank.go_on.notify_one();
    assert_eq!(paid.await.unwrap(), Ok(1007));
}

/// What its callee wants to run once is asked again under a key, whatever its caller was built to think.
#[tokio::test(start_paused = true)]
async fn a_call_of_a_client_that_takes_the_method_for_idempotent_runs_once_too() {
    for restarts in [false, true] {
        let bank = Bank::default();
        let server = || Server::builder().service(bank.clone()).build();
        let client = Peer::client(Config::default());
        let mut first = server();
        let link = connect(&client, &first);
        let paid = tokio::spawn(CallFuture::<u64>::new(&client.channel(), &OLDER, 0, &7_u64));
        timeout(HANG, bank.has_started.notified()).await.unwrap();
        client.close(CloseCode::NORMAL, "");
        timeout(HANG, link).await.unwrap().unwrap();
        if restarts {
            first = server();
        }
        let _link = connect(&client, &first);
        tokio::time::sleep(Duration::from_secs(1)).await;
        bank.go_on.notify_one();
        let expected =
            if restarts { Err(CallError::Disconnected(Delivery::OutcomeUnknown)) } else { Ok(1007) };
        assert_eq!(paid.await.unwrap(), expected);
        assert_eq!(bank.started(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_its_outcome_is_unknown() {
    let bank = Bank::default();
    let server = || Server::builder().service(bank.clone()).build();
    let client = Peer::client(Config::default());
    let first = server();
    let link = connect(&client, &first);
    let paid = pay(&client.channel(), 7);
    timeout(HANG, bank.has_started.notified()).await.unwrap();
    client.close(CloseCode::NORMAL, "");
    timeout(HANG, link).await.unwrap().unwrap();
    drop(first);
    let second = server();
    let _link = connect(&client, &second);
    assert_eq!(paid.await.unwrap(), Err(CallError::Disconnected(Delivery::OutcomeUnknown)));
    assert_eq!(bank.started(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_caller_has_as_much_room_as_the_limits_say() {
    let bank = Bank::default();
    let limits = OnceLimits { identity_entries: 1, ..OnceLimits::default() };
    let server = Server::builder().service(bank.clone()).once_limits(limits).build();
    let [ada, grace] = ["ada", "grace"].map(|name| server.channel_as(name.to_owned()));
    let first = pay(&ada, 1);
    timeout(HANG, bank.has_started.notified()).await.unwrap();
    let error = pay(&ada, 2).await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(Code::ResourceExhausted));
    let other = pay(&grace, 3);
    timeout(HANG, bank.has_started.notified()).await.expect("others have room of their own");
    bank.go_on.notify_waiters();
    assert_eq!((first.await.unwrap(), other.await.unwrap()), (Ok(1001), Ok(2003)));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_what_has_started() {
    let bank = Bank::default();
    let server = Server::builder().service(bank.clone()).build();
    let client = Peer::client(Config::default());
    let _link = connect(&client, &server);
    let _paid = pay(&client.channel(), 7);
    timeout(HANG, bank.has_started.notified()).await.unwrap();
    let mut stopping = Box::pin(server.shutdown());
    assert!(timeout(Duration::from_secs(5), &mut stopping).await.is_err());
    bank.go_on.notify_one();
    timeout(Duration::from_millis(100), stopping).await.expect("nothing runs any more");
    assert_eq!(bank.ended(), 1);
}
