//! A WebSocket server written by hand: JSON in text messages, one task that reads, one that writes all that is ready and flushes
//! once, a task for each stream.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;

use super::{Stage, Who};
use crate::wire::{Answer, Request};

/// Answers that wait for the writer; whoever makes more waits.
const QUEUE: usize = 1024;
/// Answers that are written with one flush.
const BATCH: usize = 256;

pub(super) async fn serve(socket: WebSocket, stage: Arc<Stage>, who: Who) {
    let (sink, mut requests) = socket.split();
    let (answers, queue) = mpsc::channel(QUEUE);
    let writing = tokio::spawn(write(sink, queue));
    while let Some(Ok(message)) = requests.next().await {
        let Message::Text(text) = message else { continue };
        let Ok(request) = serde_json::from_str(&text) else { break };
        if handle(request, &stage, who, &answers).await.is_err() {
            break;
        }
    }
    drop(answers);
    // It ends with the last stream.
    let _ = writing.await;
}

type Answers = mpsc::Sender<Answer>;
type Sent = Result<(), mpsc::error::SendError<Answer>>;

async fn handle(request: Request, stage: &Arc<Stage>, who: Who, answers: &Answers) -> Sent {
    match request {
        Request::Echo { id, text } => {
            stage.count(who, |served| &served.calls);
            answers.send(Answer::Echo { id, text }).await?;
        }
        Request::Clock { id } => answers.send(Answer::Clock { id, at: stage.now() }).await?,
        Request::Count { id, limit } => {
            tokio::spawn(count(id, limit, stage.clone(), who, answers.clone()));
        }
        Request::Ticks { id, limit } => {
            tokio::spawn(ticks(id, limit, stage.clone(), who, answers.clone()));
        }
    }
    Ok(())
}

async fn count(id: u64, limit: u64, stage: Arc<Stage>, who: Who, answers: Answers) -> Sent {
    for number in 0..limit {
        stage.count(who, |served| &served.items);
        answers.send(Answer::Item { id, number }).await?;
    }
    answers.send(Answer::End { id }).await
}

async fn ticks(id: u64, limit: u64, stage: Arc<Stage>, who: Who, answers: Answers) -> Sent {
    let mut published = stage.published.subscribe();
    for _ in 0..limit {
        let Ok(tick) = published.recv().await else { break };
        stage.count(who, |served| &served.ticks);
        answers.send(Answer::Tick { id, tick }).await?;
    }
    answers.send(Answer::End { id }).await
}

async fn write(mut sink: SplitSink<WebSocket, Message>, mut queue: mpsc::Receiver<Answer>) {
    let mut ready = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut ready, BATCH).await > 0 {
        for answer in ready.drain(..) {
            let text = serde_json::to_string(&answer).expect("an answer is JSON");
            if sink.feed(Message::text(text)).await.is_err() {
                return;
            }
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}
