use std::time::Duration;

use super::{Cores, Progress};

/// How much is done of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Whether it works at all, and answers what it should; nothing can be learned from the times.
    Tiny,
    /// All scenarios in less than five minutes.
    Quick,
    /// What is published.
    Full,
}

/// What a scenario is told.
#[derive(Debug)]
pub struct Setting {
    /// How much is done.
    pub effort: Effort,
    /// Peers are left out unless their name contains this; Bowline always takes part.
    pub peers: Option<String>,
    /// Whether client and server may run on different cores also where they share one otherwise.
    pub spread: bool,
    /// Who is told how far it is.
    pub progress: Progress,
}

impl Setting {
    /// One where all peers take part.
    pub fn new(effort: Effort) -> Self {
        Self { effort, peers: None, spread: false, progress: Progress::default() }
    }

    /// One of three by the effort.
    pub fn pick<T>(&self, tiny: T, quick: T, full: T) -> T {
        match self.effort {
            Effort::Tiny => tiny,
            Effort::Quick => quick,
            Effort::Full => full,
        }
    }

    /// Where client and server run when the processor time of both together is measured.
    pub fn cores(&self) -> Cores {
        if self.spread { Cores::Any } else { Cores::One }
    }

    /// How often each peer is measured.
    pub fn rounds(&self) -> usize {
        self.pick(1, 5, 6)
    }

    /// How often it is each peer's turn in one round.
    pub fn turns(&self) -> u32 {
        self.pick(1, 4, 4)
    }

    /// About how long one peer works in one round.
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.pick(1, 200, 1000))
    }

    /// Whether a peer, or a way of using Bowline, takes part.
    pub fn wants(&self, peer: &str) -> bool {
        self.peers.as_deref().is_none_or(|word| peer.contains(word)) || peer.starts_with("bowline")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bowline_takes_part_whoever_is_asked_for() {
        let mut setting = Setting::new(Effort::Quick);
        assert!(setting.wants("tarpc"));
        setting.peers = Some("tungstenite".into());
        assert!(setting.wants("tungstenite, batched") && setting.wants("bowline, json"));
        assert!(!setting.wants("tarpc"));
    }

    #[test]
    fn both_ends_share_a_core_unless_they_are_spread() {
        let mut setting = Setting::new(Effort::Quick);
        assert_eq!(setting.cores(), Cores::One);
        setting.spread = true;
        assert_eq!(setting.cores(), Cores::Any);
    }

    #[test]
    fn more_effort_is_more_rounds_of_greater_length() {
        let [tiny, quick, full] = [Effort::Tiny, Effort::Quick, Effort::Full].map(Setting::new);
        assert!(tiny.rounds() < quick.rounds() && quick.rounds() < full.rounds());
        assert!(tiny.length() < quick.length() && quick.length() < full.length());
    }
}
