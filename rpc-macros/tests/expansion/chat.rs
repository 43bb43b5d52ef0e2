/// A chat.
#[bowline::rpc]
pub trait Chat {
    /// Posts a message and returns its id.
    #[rpc(once, deadline = "2s")]
    async fn post(&self, cx: &Context, room: String, text: String) -> Result<u64, PostError>;

    /// How long a clip is, in milliseconds.
    #[rpc(idempotent)]
    async fn length(&self, clip: View<Clip>, #[serde(default)] speed: Option<f64>) -> u64;

    /// Every message behind `after`, or from now on.
    #[rpc(lag = "drop_oldest", resume = "after: id")]
    async fn messages(&self, room: String, after: Option<u64>) -> Result<impl Stream<Item = Message>, ChatError>;

    /// Who is in the room.
    #[rpc(watch)]
    fn members(&self, room: String) -> impl Stream<Item = Vec<Member>>;

    /// Takes a file, returns its size.
    async fn upload(&self, r#type: String, chunks: Streaming<Vec<u8>>) -> Result<u64, UploadError>;

    /// Strokes in, strokes out.
    #[cfg(feature = "draw")]
    fn draw(&self, strokes: Streaming<Stroke>) -> impl Stream<Item = Stroke>;

    /// Somebody is typing.
    #[rpc(notify)]
    async fn typing(&self);
}
