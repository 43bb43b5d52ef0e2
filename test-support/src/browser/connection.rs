use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::Error;

/// A DevTools connection: numbered commands out, answers and events in.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    commands: mpsc::UnboundedSender<Message>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    next_id: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    /// What pages complained about, by DevTools session.
    complaints: Mutex<HashMap<String, Vec<String>>>,
    /// Why pages that were left are not in the back/forward cache, by DevTools session.
    not_kept: Mutex<HashMap<String, Vec<String>>>,
}

impl Connection {
    pub(super) async fn open(address: &str) -> Result<Self, Error> {
        // Screenshots are larger than the library's default limits.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = tokio_tungstenite::connect_async_with_config(address, Some(config), true).await?;
        let (mut sink, mut stream) = socket.split();
        let (commands, mut queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        tokio::spawn(async move {
            while let Some(message) = queue.recv().await {
                if sink.send(message).await.is_err() {
                    break;
                }
            }
        });
        let reader = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Text(text) = message
                    && let Ok(value) = serde_json::from_str(&text)
                {
                    reader.handle(value);
                }
            }
            // Dropping the senders ends whoever waits.
            reader.waiting.lock().expect("no panic under the lock").clear();
        });
        Ok(Self { commands, shared })
    }

    pub(super) async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, Error> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let (sender, answer) = oneshot::channel();
        self.shared.waiting.lock().expect("no panic under the lock").insert(id, sender);
        self.commands.send(Message::text(command.to_string()))?;
        let mut answer = answer.await.map_err(|_| format!("the browser ended during {method}"))?;
        match answer.get("error") {
            Some(error) => Err(format!("{method}: {error}").into()),
            None => Ok(answer["result"].take()),
        }
    }

    pub(super) fn complaints(&self, session: &str) -> Vec<String> {
        let complaints = self.shared.complaints.lock().expect("no panic under the lock");
        complaints.get(session).cloned().unwrap_or_default()
    }

    pub(super) fn not_kept(&self, session: &str) -> Vec<String> {
        let not_kept = self.shared.not_kept.lock().expect("no panic under the lock");
        not_kept.get(session).cloned().unwrap_or_default()
    }
}

fn not_kept_because(params: &Value) -> Vec<String> {
    let reasons = params["notRestoredExplanations"].as_array().into_iter().flatten();
    reasons.filter_map(|reason| reason["reason"].as_str().map(str::to_owned)).collect()
}

impl Shared {
    fn handle(&self, value: Value) {
        if let Some(id) = value["id"].as_u64() {
            if let Some(waiting) = self.waiting.lock().expect("no panic under the lock").remove(&id) {
                let _ = waiting.send(value);
            }
            return;
        }
        let params = &value["params"];
        if value["method"] == "Page.backForwardCacheNotUsed"
            && let Some(session) = value["sessionId"].as_str()
        {
            let mut not_kept = self.not_kept.lock().expect("no panic under the lock");
            not_kept.entry(session.to_owned()).or_default().extend(not_kept_because(params));
        }
        let complaint = match value["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                let details = &params["exceptionDetails"];
                details["exception"]["description"].as_str().or(details["text"].as_str()).map(str::to_owned)
            }
            Some("Runtime.consoleAPICalled") if params["type"] == "error" => {
                Some(params["args"].as_array().map_or(String::new(), |args| {
                    args.iter().filter_map(|arg| arg["value"].as_str()).collect::<Vec<_>>().join(" ")
                }))
            }
            _ => None,
        };
        if let (Some(complaint), Some(session)) = (complaint, value["sessionId"].as_str()) {
            let mut complaints = self.complaints.lock().expect("no panic under the lock");
            complaints.entry(session.to_owned()).or_default().push(complaint);
        }
    }
}
