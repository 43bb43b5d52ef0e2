//! A handler calls the client back over the same session.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::future::poll_fn;
use std::sync::Arc;

use bowline::prelude::*;
use bowline::{Code, Router};
use bowline_protocol::session::Config;
use bowline_rpc::{Dispatcher, Peer, SessionInfo, status_of};
use bowline_server::Server;
use bowline_transport::drive;
use bowline_transport::memory::{Faults, pair};

/// What the client serves.
#[bowline::rpc]
trait Answers {
    async fn answer(&self, question: String) -> String;
    fn hints(&self, count: u32) -> impl Stream<Item = u32>;
}

#[bowline::rpc]
trait Desk {
    /// Asks back, and passes the answer on.
    async fn ask(&self, cx: &Context, question: String) -> String;
    /// Adds up what the client streams.
    async fn add_hints(&self, cx: &Context, count: u32) -> u32;
}

struct Knows(&'static str);

impl Answers for Knows {
    async fn answer(&self, question: String) -> String {
        format!("{question} {}", self.0)
    }

    fn hints(&self, count: u32) -> impl Stream<Item = u32> {
        futures_util::stream::iter(0..count)
    }
}

struct Clerk;

impl Desk for Clerk {
    async fn ask(&self, cx: &Context, question: String) -> String {
        match cx.client::<AnswersClient>().answer(question).await {
            Ok(answer) => answer,
            Err(error) => format!("{:?}", error.code()),
        }
    }

    async fn add_hints(&self, cx: &Context, count: u32) -> u32 {
        let hints = cx.client::<AnswersClient>().hints(count).await.unwrap();
        hints.map(Result::unwrap).fold(0, |sum, hint| std::future::ready(sum + hint)).await
    }
}

/// A session whose client serves `router`.
fn connect(server: &Server, router: Router) -> DeskClient {
    let (near, far) = pair(&Faults::default());
    server.accept(far);
    let peer = Peer::client(Config { services: router.descriptors(), ..Config::default() });
    let driven = peer.clone();
    let driver = bowline_runtime::spawn(async move {
        let mut dispatcher = Dispatcher::new(&driven, router, SessionInfo::default(), status_of);
        drive(near, &driven, poll_fn(|cx| dispatcher.poll(cx))).await;
    });
    DeskClient::from_channel(peer.channel().with_lease(Arc::new(driver)))
}

fn server() -> Server {
    Server::builder().service(DeskServer::new(Clerk)).build()
}

#[tokio::test]
async fn each_session_is_called_back_at_its_own_client() {
    let server = server();
    let ada = connect(&server, Router::new().add(AnswersServer::new(Knows("says Ada"))));
    let grace = connect(&server, Router::new().add(AnswersServer::new(Knows("says Grace"))));
    let (first, second) = tokio::join!(ada.ask("42?".into()), grace.ask("42?".into()));
    assert_eq!((first.unwrap().as_str(), second.unwrap().as_str()), ("42? says Ada", "42? says Grace"));
    assert_eq!(ada.add_hints(5).await.unwrap(), 10);
}

#[tokio::test]
async fn a_client_that_serves_nothing_is_an_error_of_the_call_back() {
    let server = server();
    let nobody = connect(&server, Router::new());
    assert_eq!(nobody.ask("42?".into()).await.unwrap(), format!("{:?}", Some(Code::Unimplemented)));
}

#[tokio::test]
async fn many_handlers_that_call_back_at_once_do_not_wait_for_each_other() {
    let server = server();
    let ada = connect(&server, Router::new().add(AnswersServer::new(Knows("says Ada"))));
    // As many as have credit; each needs one of the client's places while it holds one of the server's.
    let asked = futures_util::future::join_all((0..32).map(|number| ada.ask(number.to_string()))).await;
    for (number, answer) in asked.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), format!("{number} says Ada"));
    }
}
