use bowline_protocol::limits::Limits;

/// Chance for simulations: the same seed gives the same numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A source with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        // xorshift64*, Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// Limits so low that sessions meet each of them.
    pub fn scarce_limits(&mut self) -> Limits {
        Limits {
            calls: 1 + self.below(8) as u32,
            streams: 1 + self.below(8) as u32,
            nested: self.below(3) as u32,
            payload_in: 200_000,
            assembly: 250_000,
            stream_window: 500 + self.below(5000) as usize,
            stream_window_max: 20_000,
            stream_window_extra: 30_000,
            replay_bytes: 1000 + self.below(100_000) as usize,
            replay_envelopes: 3 + self.below(60) as usize,
            unsequenced_envelopes: 1 + self.below(5) as usize,
            unsequenced_bytes: 1000 + self.below(100_000) as usize,
            message_out: 500 + self.below(64 * 1024) as usize,
            waiting_calls: 20,
            ..Limits::default()
        }
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
