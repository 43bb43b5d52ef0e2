use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What is kept of a token: enough to recognise it, nothing that could be presented.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }

    /// Half of it, which is still beyond guessing.
    fn half(&self) -> [u8; 16] {
        self.0.first_chunk().copied().expect("32 bytes have a half of 16")
    }
}

/// The two tokens of a session that are valid.
///
/// The newest alone would lock out a client whose welcome was lost, however often; the one before the newest would lock
/// it out after two losses. So the older one is that which the client last showed to have.
#[derive(Debug)]
pub(super) struct Tokens {
    /// Equal to `newest` while the client has shown none.
    proved: Digest,
    newest: Digest,
}

impl Tokens {
    pub(super) fn new(token: &[u8; 32]) -> Self {
        let newest = Digest::of(token);
        Self { proved: newest, newest }
    }

    /// Whether `presented` is one of them. Takes equally long whichever it is, and whether it is.
    pub(super) fn admit(&self, presented: &Digest) -> bool {
        (self.proved.is(presented) | self.newest.is(presented)).into()
    }

    /// The client attached with `presented`, which is valid, and is given `token`.
    pub(super) fn rotate(&mut self, presented: Digest, token: &[u8; 32]) {
        self.proved = presented;
        self.newest = Digest::of(token);
    }

    /// The client has the newest.
    pub(super) fn prove(&mut self) {
        self.proved = self.newest;
    }

    pub(super) fn halves(&self) -> [[u8; 16]; 2] {
        [self.proved.half(), self.newest.half()]
    }
}

/// As [`Tokens::admit`], for what a tombstone keeps.
pub(super) fn admit_half(halves: &[[u8; 16]; 2], presented: &Digest) -> bool {
    let presented = presented.half();
    (halves[0].ct_eq(&presented) | halves[1].ct_eq(&presented)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_token_counts() {
        let digest = Digest([7; 32]);
        assert!(bool::from(digest.is(&digest)));
        for place in 0..32 {
            let mut other = digest;
            other.0[place] ^= 1;
            assert!(!bool::from(digest.is(&other)), "{place}");
            let halves = [digest.half(), [0; 16]];
            assert_eq!(admit_half(&halves, &other), place >= 16, "{place}");
        }
    }
}
