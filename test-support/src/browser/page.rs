use std::path::Path;

use base64::Engine;
use serde_json::{Value, json};

use super::Error;
use super::connection::Connection;

/// How long [`Page::wait`] waits, in milliseconds of the page's clock.
const WAIT_MS: u32 = 30_000;

/// What [`Page::network`] pretends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// There is one.
    Online,
    /// There is none.
    Offline,
}

/// One window of the browser.
#[derive(Debug)]
pub struct Page {
    connection: Connection,
    session: String,
    target: Value,
    context: Value,
}

impl Page {
    pub(super) async fn attach(
        connection: Connection,
        target: &Value,
        context: &Value,
    ) -> Result<Self, Error> {
        let attached = connection
            .call(None, "Target.attachToTarget", json!({"targetId": target, "flatten": true}))
            .await?;
        let session = attached["sessionId"].as_str().ok_or("no session")?.to_owned();
        let page = Self { connection, session, target: target.clone(), context: context.clone() };
        page.command("Page.enable", json!({})).await?;
        page.command("Network.enable", json!({})).await?;
        page.command("Runtime.enable", json!({})).await?;
        Ok(page)
    }

    /// Loads `url` and waits until the document is there.
    ///
    /// # Errors
    ///
    /// When nothing answers at `url`.
    pub async fn navigate(&self, url: &str) -> Result<(), Error> {
        let result = self.command("Page.navigate", json!({"url": url})).await?;
        if let Some(error) = result["errorText"].as_str() {
            return Err(format!("{url}: {error}").into());
        }
        self.wait(&format!("document.readyState === 'complete' && location.href.startsWith({})", json!(url)))
            .await
    }

    /// The value of a JavaScript expression; a promise is awaited.
    ///
    /// # Errors
    ///
    /// When the expression throws.
    pub async fn eval(&self, expression: &str) -> Result<Value, Error> {
        let result = self
            .command(
                "Runtime.evaluate",
                json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true}),
            )
            .await?;
        if result["exceptionDetails"].is_object() {
            let details = &result["exceptionDetails"];
            let text = details["exception"]["description"].as_str().or(details["text"].as_str());
            return Err(format!("{expression}: {}", text.unwrap_or("exception")).into());
        }
        Ok(result["result"]["value"].clone())
    }

    /// Waits until a JavaScript expression is true.
    ///
    /// # Errors
    ///
    /// When it is not within 30 s; the message holds the expression and the page's text.
    pub async fn wait(&self, expression: &str) -> Result<(), Error> {
        let script = format!(
            "new Promise(done => {{ const end = performance.now() + {WAIT_MS}; const look = () => {{ \
             let yes = false; try {{ yes = Boolean({expression}); }} catch (_) {{}} \
             if (yes) done(true); else if (performance.now() > end) done(false); else setTimeout(look, 10); }}; look(); }})"
        );
        // A navigation takes the script's context or the whole target away, so the question is asked again in the new
        // document.
        for _ in 0..5 {
            match self.eval(&script).await {
                Ok(Value::Bool(true)) => return Ok(()),
                Ok(_) => break,
                Err(error) if ["context", "navigated"].iter().any(|it| error.to_string().contains(it)) => {}
                Err(error) => return Err(error),
            }
        }
        let text = self.eval("document.body ? document.body.innerText : ''").await.unwrap_or_default();
        Err(format!("never became true: {expression}\npage: {text}\ncomplaints: {:?}", self.complaints())
            .into())
    }

    /// Waits until the text of some element that matches `selector` contains `text`.
    ///
    /// # Errors
    ///
    /// As [`Page::wait`].
    pub async fn wait_text(&self, selector: &str, text: &str) -> Result<(), Error> {
        let (selector, text) = (json!(selector), json!(text));
        self.wait(&format!(
            "[...document.querySelectorAll({selector})].some(e => e.innerText.includes({text}))"
        ))
        .await
    }

    /// The text of the first element that matches `selector`; empty when there is none.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn text(&self, selector: &str) -> Result<String, Error> {
        let script = format!("(document.querySelector({})?.innerText) ?? ''", json!(selector));
        Ok(self.eval(&script).await?.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks the middle of the first element that matches `selector`, with the mouse.
    ///
    /// # Errors
    ///
    /// When there is no such element within 30 s.
    pub async fn click(&self, selector: &str) -> Result<(), Error> {
        let quoted = json!(selector);
        self.wait(&format!("document.querySelector({quoted})")).await?;
        let at = self
            .eval(&format!(
                "(() => {{ const e = document.querySelector({quoted}); e.scrollIntoView({{block: 'center'}}); \
                 const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
            ))
            .await?;
        for kind in ["mousePressed", "mouseReleased"] {
            self.command(
                "Input.dispatchMouseEvent",
                json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1}),
            )
            .await?;
        }
        Ok(())
    }

    /// Replaces what stands in the field that matches `selector` by `text`, as typed input.
    ///
    /// # Errors
    ///
    /// When there is no such field.
    pub async fn fill(&self, selector: &str, text: &str) -> Result<(), Error> {
        let quoted = json!(selector);
        self.wait(&format!("document.querySelector({quoted})")).await?;
        self.eval(&format!(
            "(() => {{ const e = document.querySelector({quoted}); e.focus(); if (e.select) e.select(); }})()"
        ))
        .await?;
        if text.is_empty() {
            return self.press("Delete", 46).await;
        }
        self.command("Input.insertText", json!({"text": text})).await?;
        Ok(())
    }

    /// Presses and releases a key by its name and Windows key code, such as `("Enter", 13)`.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn press(&self, key: &str, code: u32) -> Result<(), Error> {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            self.command("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// Pretends that the machine has no network: `navigator.onLine`, the events `offline` and `online`, and new connections. A
    /// WebSocket that is open only stalls, and goes on afterwards: to end it, cut it outside of the browser.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn network(&self, network: Network) -> Result<(), Error> {
        let offline = network == Network::Offline;
        let conditions =
            json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.command("Network.emulateNetworkConditions", conditions).await?;
        self.wait(&format!("navigator.onLine === {}", !offline)).await
    }

    /// Loads the page anew, as a person would, and waits until the document is there.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn reload(&self) -> Result<(), Error> {
        self.eval("window.beforeReload = true").await?;
        self.command("Page.reload", json!({})).await?;
        self.wait("document.readyState === 'complete' && !window.beforeReload").await
    }

    /// Goes back to the page before this one, whose address contains `part`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn back(&self, part: &str) -> Result<(), Error> {
        let history = self.command("Page.getNavigationHistory", json!({})).await?;
        let index = history["currentIndex"].as_u64().ok_or("no history")?;
        let before = index.checked_sub(1).ok_or("no page before this one")?;
        let entry = &history["entries"][before as usize]["id"];
        self.command("Page.navigateToHistoryEntry", json!({"entryId": entry})).await?;
        self.wait(&format!("document.readyState === 'complete' && location.href.includes({})", json!(part)))
            .await
    }

    /// Opens another tab in front of this one, which is hidden then.
    ///
    /// # Errors
    ///
    /// When the browser does not answer, or keeps showing this one.
    pub async fn hide(&self) -> Result<(), Error> {
        let tab = json!({"url": "about:blank", "browserContextId": self.context, "newWindow": false});
        let tab = self.connection.call(None, "Target.createTarget", tab).await?;
        let front = json!({"targetId": tab["targetId"]});
        self.connection.call(None, "Target.activateTarget", front).await?;
        self.wait("document.visibilityState === 'hidden'").await
    }

    /// Brings this tab to the front again.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn show(&self) -> Result<(), Error> {
        self.command("Page.bringToFront", json!({})).await?;
        self.wait("document.visibilityState === 'visible'").await
    }

    /// Why the browser did not keep pages that were left, as it said so far.
    pub fn not_kept(&self) -> Vec<String> {
        self.connection.not_kept(&self.session)
    }

    /// Resizes the window, in CSS pixels.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn resize(&self, width: u32, height: u32) -> Result<(), Error> {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", metrics).await.map(|_| ())
    }

    /// Pretends that the person prefers this colour scheme: `dark` or `light`.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn prefer(&self, scheme: &str) -> Result<(), Error> {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.command("Emulation.setEmulatedMedia", features).await.map(|_| ())
    }

    /// Writes a PNG of the window.
    ///
    /// # Errors
    ///
    /// When the browser does not answer or the file can't be written.
    pub async fn screenshot(&self, path: &Path) -> Result<(), Error> {
        let shot = self.command("Page.captureScreenshot", json!({"format": "png"})).await?;
        let data = shot["data"].as_str().ok_or("no picture")?;
        std::fs::write(path, base64::engine::general_purpose::STANDARD.decode(data)?)?;
        Ok(())
    }

    /// Uncaught exceptions and `console.error` lines so far.
    pub fn complaints(&self) -> Vec<String> {
        self.connection.complaints(&self.session)
    }

    /// Closes the window, as a person would.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn close(self) -> Result<(), Error> {
        self.connection.call(None, "Target.closeTarget", json!({"targetId": self.target})).await.map(|_| ())
    }

    /// Sends a command of the DevTools protocol and waits for its result; for what has no method here.
    ///
    /// # Errors
    ///
    /// When the browser refuses.
    pub async fn command(&self, method: &str, params: Value) -> Result<Value, Error> {
        self.connection.call(Some(&self.session), method, params).await
    }
}
