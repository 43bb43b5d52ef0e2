/// Decisions of a hostile peer, read off bytes: a property test draws them, a fuzzer breeds them.
///
/// Behind the last byte every decision is 0.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    bytes: &'a [u8],
}

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.bytes {
            [first, rest @ ..] => {
                self.bytes = rest;
                *first
            }
            [] => 0,
        }
    }

    /// One of `0..choices`.
    pub(crate) fn below(&mut self, choices: u8) -> u8 {
        self.byte() % choices
    }

    /// True once in `n`.
    pub(crate) fn once_in(&mut self, n: u8) -> bool {
        self.byte() % n == n - 1
    }

    /// Any number, small ones and those near the ends more often.
    pub(crate) fn number(&mut self) -> u64 {
        let value = u64::from(self.byte());
        match self.below(8) {
            0..=2 => value % 8,
            3 => value,
            4 => value << 10,
            5 => value << 24,
            6 => value << 56 | value,
            _ => u64::MAX - value,
        }
    }

    /// A name of a call, a service or the like: nearly always one of a few, so that they meet.
    pub(crate) fn id(&mut self) -> u32 {
        match self.byte() {
            255 => u32::MAX,
            254 => 1024,
            value => u32::from(value % 6),
        }
    }

    /// The length of a payload: small ones, and some about the marks where payloads are cut.
    pub(crate) fn len(&mut self) -> usize {
        let value = usize::from(self.byte());
        match self.below(8) {
            0..=3 => value % 32,
            4 => value * 16,
            5 => value * 256,
            6 => 65_536 - 128 + value,
            _ => value * 1024,
        }
    }

    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(len.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }
}
