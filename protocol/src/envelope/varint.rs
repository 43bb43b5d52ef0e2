//! Unsigned LEB128 in its shortest form: seven bits per byte, low bits first, the top bit says that more follow.

/// The longest form, that of `u64::MAX`.
pub(super) const MAX_LEN: usize = 10;

/// Why bytes are no varint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Invalid {
    /// The bytes end inside it.
    Truncated,
    /// It has more bytes than it needs, or does not fit 64 bits.
    Form,
}

#[inline]
pub(super) fn write(out: &mut Vec<u8>, mut value: u64) {
    if value < 0x80 {
        out.push(value as u8);
        return;
    }
    if value < 0x4000 {
        out.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]);
        return;
    }
    let mut buffer = [0; MAX_LEN];
    let mut len = 0;
    while value >= 0x80 {
        buffer[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    buffer[len] = value as u8;
    out.extend_from_slice(&buffer[..=len]);
}

/// The value at the start of `bytes` and how many bytes it took.
#[inline]
pub(super) fn read(bytes: &[u8]) -> Result<(u64, usize), Invalid> {
    match bytes {
        [] => Err(Invalid::Truncated),
        [low, ..] if *low < 0x80 => Ok((u64::from(*low), 1)),
        [low, high, ..] if *high < 0x80 && *high != 0 => {
            Ok((u64::from(*low & 0x7f) | u64::from(*high) << 7, 2))
        }
        _ => read_long(bytes),
    }
}

fn read_long(bytes: &[u8]) -> Result<(u64, usize), Invalid> {
    let mut value = 0;
    for (place, &byte) in bytes.iter().take(MAX_LEN).enumerate() {
        // The tenth byte holds bit 63 alone.
        if place == MAX_LEN - 1 && byte > 1 {
            return Err(Invalid::Form);
        }
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            // A last byte of zero says nothing: there is a shorter form.
            return if byte == 0 { Err(Invalid::Form) } else { Ok((value, place + 1)) };
        }
    }
    Err(Invalid::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, value);
        out
    }

    #[test]
    fn every_length_comes_back() {
        for bits in 0..64 {
            for value in [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1] {
                let bytes = written(value);
                assert_eq!(read(&bytes), Ok((value, bytes.len())), "{value}");
                assert_eq!(bytes.len(), (64 - value.leading_zeros() as usize).div_ceil(7).max(1));
            }
        }
        assert_eq!(written(u64::MAX).len(), MAX_LEN);
        assert_eq!(read(&written(u64::MAX)), Ok((u64::MAX, MAX_LEN)));
    }

    #[test]
    fn what_follows_is_not_read() {
        assert_eq!(read(&[5, 0xff]), Ok((5, 1)));
        assert_eq!(read(&[0x80, 1, 0xff]), Ok((128, 2)));
        assert_eq!(read(&[0x80, 0x80, 1, 0xff]), Ok((1 << 14, 3)));
    }

    #[test]
    fn longer_forms_are_refused() {
        assert_eq!(read(&[0x80, 0]), Err(Invalid::Form));
        assert_eq!(read(&[0x85, 0]), Err(Invalid::Form));
        assert_eq!(read(&[0x80, 0x80, 0]), Err(Invalid::Form));
        let mut above = [0xff; MAX_LEN];
        above[MAX_LEN - 1] = 2;
        assert_eq!(read(&above), Err(Invalid::Form));
        assert_eq!(read(&[0x80; 11]), Err(Invalid::Form));
    }

    #[test]
    fn a_cut_is_told_from_a_bad_form() {
        let bytes = written(u64::MAX);
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), Err(Invalid::Truncated), "{len} bytes");
        }
    }
}
