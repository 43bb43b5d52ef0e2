use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};

/// What a digest is of: equal values in other roles have other digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Who the application says is calling.
    Identity,
    /// The network address of an anonymous caller.
    Address,
}

/// Names a value without keeping it: half of a SHA-256 over what its [`Hash`] writes, the same in every process.
///
/// Clients are told that of their identity. A secret key would have to be shared by all servers of a service, and would
/// hide only what the client knows best; so there is none.
pub(crate) fn digest<T: Hash>(role: Role, value: &T) -> u128 {
    let mut portable = Portable(Sha256::new());
    portable.0.update(match role {
        Role::Identity => b"bowline identity\0",
        Role::Address => b"bowline address\0\0",
    });
    value.hash(&mut portable);
    let whole: [u8; 32] = portable.0.finalize().into();
    u128::from_le_bytes(*whole.first_chunk().expect("32 bytes have a half of 16"))
}

/// A hasher whose numbers have the same bytes on every machine.
struct Portable(Sha256);

macro_rules! numbers {
    ($($write:ident: $type:ty as $wide:ty;)*) => {
        $(fn $write(&mut self, number: $type) {
            self.write(&(number as $wide).to_le_bytes());
        })*
    };
}

impl Hasher for Portable {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    numbers! {
        write_u8: u8 as u8;
        write_u16: u16 as u16;
        write_u32: u32 as u32;
        write_u64: u64 as u64;
        write_u128: u128 as u128;
        write_usize: usize as u64;
        write_i8: i8 as i8;
        write_i16: i16 as i16;
        write_i32: i32 as i32;
        write_i64: i64 as i64;
        write_i128: i128 as i128;
        write_isize: isize as i64;
    }

    fn finish(&self) -> u64 {
        // Nobody but maps asks for this, and this hasher is in none; of the prefix that was written so far.
        let whole: [u8; 32] = self.0.clone().finalize().into();
        u64::from_le_bytes(*whole.first_chunk().expect("32 bytes have a part of 8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Hash)]
    enum User {
        #[expect(dead_code, reason = "the second variant's number is what is hashed")]
        Guest,
        Known {
            name: String,
            tenant: u32,
        },
    }

    fn ada() -> User {
        User::Known { name: "ada".into(), tenant: 7 }
    }

    /// Another build or another machine must say the same, or every client is somebody else after an update.
    #[test]
    fn digests_stay_what_they_are() {
        let mut bytes = b"bowline identity\0".to_vec();
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(b"ada\xff");
        bytes.extend(7_u32.to_le_bytes());
        let whole: [u8; 32] = Sha256::digest(&bytes).into();
        assert_eq!(digest(Role::Identity, &ada()).to_le_bytes(), whole[..16]);
        assert_eq!(digest(Role::Identity, &1_u8), 0x6a00_0d5c_d5c5_5352_2507_93a4_4ae9_a302);
    }

    #[test]
    fn other_values_and_other_roles_have_other_digests() {
        let of = |value: (&str, &str)| digest(Role::Identity, &value);
        assert_eq!(of(("ab", "c")), of(("ab", "c")));
        assert_ne!(of(("ab", "c")), of(("a", "bc")));
        assert_ne!(digest(Role::Identity, &"ab"), digest(Role::Address, &"ab"));
    }

    #[test]
    fn sizes_count_as_64_bits() {
        assert_eq!(digest(Role::Identity, &7_usize), digest(Role::Identity, &7_u64));
        assert_eq!(digest(Role::Identity, &-7_isize), digest(Role::Identity, &-7_i64));
    }
}
