use futures_util::StreamExt;
use leptos::prelude::*;

use super::correlation::Caller;
use super::{Outcome, bowline_client, by_hand, hooks};
use crate::BenchClient;

/// All of them, connected for as long as the page lives.
pub(super) struct Contenders {
    pub(super) bowline: BenchClient,
    pub(super) web_sys: Caller,
    pub(super) leptos_use: hooks::Hooked,
    /// What lives as long as the page.
    pub(super) owner: Owner,
}

/// One of them.
#[derive(Clone)]
pub(super) enum Contender {
    Bowline(BenchClient),
    Json(Caller),
}

impl Contenders {
    pub(super) fn connect() -> Self {
        Self {
            bowline: bowline_client::connect(),
            web_sys: by_hand::connect(),
            leptos_use: hooks::connect(),
            owner: Owner::current().expect("a component has an owner"),
        }
    }

    /// Once each has had an answer.
    pub(super) async fn ready(&self) -> Outcome<()> {
        self.web_sys.open().await;
        self.leptos_use.caller.open().await;
        for contender in ["bowline", "web-sys", "leptos-use"] {
            let answer = self.named(contender)?.echo("ready".into()).await?;
            if answer != "ready" {
                return Err(format!("{contender} answers `{answer}`"));
            }
        }
        Ok(())
    }

    pub(super) fn named(&self, who: &str) -> Outcome<Contender> {
        match who {
            "bowline" => Ok(Contender::Bowline(self.bowline.clone())),
            "web-sys" => Ok(Contender::Json(self.web_sys.clone())),
            "leptos-use" => Ok(Contender::Json(self.leptos_use.caller.clone())),
            _ => Err(format!("nobody is called `{who}`")),
        }
    }
}

impl Contender {
    pub(super) async fn echo(&self, text: String) -> Outcome<String> {
        match self {
            Self::Bowline(client) => client.echo(text).await.map_err(|error| error.to_string()),
            Self::Json(caller) => caller.echo(text).await,
        }
    }

    /// How many items came, each the next.
    pub(super) async fn count(&self, limit: u64) -> Outcome<u64> {
        let mut expected = 0;
        match self {
            Self::Bowline(client) => {
                let mut items = client.count(limit).await.map_err(|error| error.to_string())?;
                while let Some(item) = items.next().await {
                    next(&mut expected, item.map_err(|error| error.to_string())?)?;
                }
            }
            Self::Json(caller) => {
                let mut items = caller.count(limit);
                while let Some(number) = items.next().await {
                    next(&mut expected, number)?;
                }
            }
        }
        Ok(expected)
    }
}

fn next(expected: &mut u64, number: u64) -> Outcome<()> {
    if number != *expected {
        return Err(format!("item {number} where {expected} was expected"));
    }
    *expected += 1;
    Ok(())
}
