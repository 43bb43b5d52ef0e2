use bowline::prelude::*;
use futures_util::stream;

use crate::connect;

/// Every name here is one that the expansion, or a trait in scope, uses as well.
#[bowline::rpc]
pub trait Names {
    async fn new(&self) -> u64;
    async fn clone(&self) -> u64;
    async fn channel(&self, cx: u64, channel: u64, args: u64, call: u64, service: u64) -> Vec<u64>;
    async fn r#type(&self, r#match: u64, number: u64) -> Vec<u64>;
    fn next(&self, out: u64, stream: u64) -> impl Stream<Item = u64>;
}

struct Echo;

impl Names for Echo {
    async fn new(&self) -> u64 {
        1
    }

    async fn clone(&self) -> u64 {
        2
    }

    async fn channel(&self, cx: u64, channel: u64, args: u64, call: u64, service: u64) -> Vec<u64> {
        vec![cx, channel, args, call, service]
    }

    async fn r#type(&self, r#match: u64, number: u64) -> Vec<u64> {
        vec![r#match, number]
    }

    fn next(&self, out: u64, stream: u64) -> impl Stream<Item = u64> {
        stream::iter([out, stream])
    }
}

#[tokio::test(start_paused = true)]
async fn names_of_ours_are_the_user_s_to_use() {
    let (_server, names): (_, NamesClient) = connect(NamesServer::new(Echo));
    assert_eq!(names.new().await, Ok(1));
    assert_eq!(names.clone().await, Ok(2));
    assert_eq!(names.channel(1, 2, 3, 4, 5).await, Ok(vec![1, 2, 3, 4, 5]));
    assert_eq!(names.r#type(6, 7).await, Ok(vec![6, 7]));
    let items: Vec<u64> = names.next(8, 9).await.unwrap().map(|item| item.unwrap()).collect().await;
    assert_eq!(items, [8, 9]);
}
