/// Bytes from the random source of the operating system or browser.
///
/// # Panics
///
/// When that source fails: ids that can be guessed would be worse than none.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has a random source");
    bytes
}

/// 128 random bits, as [`random_bytes`] gives them.
pub fn random_u128() -> u128 {
    u128::from_le_bytes(random_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        assert_ne!(random_u128(), random_u128());
    }
}
