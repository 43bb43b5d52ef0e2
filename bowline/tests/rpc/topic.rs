use bowline::Position;
use bowline::prelude::*;

use crate::connect;

#[bowline::rpc]
trait Paper {
    fn since(&self, cx: &Context, epoch: u128, offset: u64) -> impl Stream<Item = Shared<String>>;
}

struct Daily(Topic<String>);

impl Paper for Daily {
    fn since(&self, cx: &Context, epoch: u128, offset: u64) -> impl Stream<Item = Shared<String>> {
        self.0.subscribe_from(cx, Position { epoch, offset })
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_names_the_position_that_a_reader_goes_on_from() {
    let topic = Topic::new();
    let published: Vec<Position> = ["one", "two", "three"].map(|text| topic.publish(text.into())).into();
    let (_server, paper): (_, PaperClient) = connect(PaperServer::new(Daily(topic)));
    let Position { epoch, offset } = published[1];
    let mut reader = paper.since(epoch, offset).await.unwrap();
    for text in ["two", "three"] {
        assert_eq!(reader.next().await, Some(Ok(text.into())));
    }
}
