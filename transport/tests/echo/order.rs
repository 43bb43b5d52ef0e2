//! What links under test may ask of their other end.

/// What a message asks of the echo. Everything else comes back as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// `echo:text`: send a text.
    Text,
    /// `echo:close:<code>:<reason>`, and without `echo:` in a text: close.
    Close(u16, String),
    /// `echo:drop`: drop the connection without a close.
    Drop,
    /// `echo:flood:<n>`: send `tick` n times.
    Flood(usize),
    /// `echo:stop:<n>`: as flood, and never read again.
    Stop(usize),
    /// `echo:name:<name>`: remember under this name how this link ends.
    Name(String),
    /// `echo:ending:<name>`: tell how that link ended, once it has: `<code>:<reason>` or `lost`.
    Ending(String),
}

impl Order {
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let order = std::str::from_utf8(message.strip_prefix(b"echo:")?).ok()?;
        let (word, rest) = order.split_once(':').unwrap_or((order, ""));
        Some(match word {
            "text" => Self::Text,
            "close" => Self::parse_close(rest)?,
            "drop" => Self::Drop,
            "flood" => Self::Flood(rest.parse().ok()?),
            "stop" => Self::Stop(rest.parse().ok()?),
            "name" => Self::Name(rest.to_owned()),
            "ending" => Self::Ending(rest.to_owned()),
            _ => return None,
        })
    }

    /// `<code>:<reason>`.
    pub(crate) fn parse_close(order: &str) -> Option<Self> {
        let (code, reason) = order.split_once(':').unwrap_or((order, ""));
        Some(Self::Close(code.parse().ok()?, reason.to_owned()))
    }
}
