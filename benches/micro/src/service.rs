use bowline::prelude::*;

/// What the measured server offers.
#[bowline::rpc]
pub(crate) trait Bench {
    /// Answers what it was asked.
    async fn echo(&self, text: String) -> String;

    /// The numbers below `to`, as fast as they are read.
    fn numbers(&self, to: u64) -> impl Stream<Item = u64>;

    /// Everything that is published from now on.
    fn news(&self, cx: &Context) -> impl Stream<Item = Shared<String>>;

    /// The newest of what is published from now on.
    #[rpc(lag = "latest")]
    fn newest(&self, cx: &Context) -> impl Stream<Item = Shared<String>>;

    /// Reads one element where it lies.
    async fn upload(&self, frame: View<Frame>) -> f32;
}

/// A large payload.
#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    pub(crate) width: u32,
    pub(crate) samples: Vec<f32>,
}

impl Frame {
    /// One of 1 MiB.
    pub(crate) fn large() -> Self {
        let samples = (0..256 * 1024).map(|sample| sample as f32).collect();
        Self { width: 512, samples }
    }
}

/// A small payload: what a call of a chat carries.
#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Post {
    pub(crate) room: u32,
    pub(crate) author: String,
    pub(crate) text: String,
    pub(crate) reply_to: Option<u64>,
}

impl Post {
    /// One with 64 bytes of text.
    pub(crate) fn small() -> Self {
        Self { room: 7, author: "Ada".to_owned(), text: small_text(), reply_to: Some(41) }
    }
}

/// 64 bytes.
pub(crate) fn small_text() -> String {
    "sixty-four bytes of text, which is what small calls carry here..".to_owned()
}

/// Answers at once.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) news: Topic<String>,
}

impl Bench for Desk {
    async fn echo(&self, text: String) -> String {
        text
    }

    fn numbers(&self, to: u64) -> impl Stream<Item = u64> {
        futures_util::stream::iter(0..to)
    }

    fn news(&self, cx: &Context) -> impl Stream<Item = Shared<String>> {
        self.news.subscribe(cx)
    }

    fn newest(&self, cx: &Context) -> impl Stream<Item = Shared<String>> {
        self.news.subscribe(cx)
    }

    async fn upload(&self, frame: View<Frame>) -> f32 {
        frame.samples[frame.samples.len() / 2].to_native()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_small_text_has_the_length_that_reports_name() {
        assert_eq!(super::small_text().len(), 64);
    }
}
