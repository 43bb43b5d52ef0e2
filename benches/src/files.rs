//! How many files, and so connections, this program may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::Result;

/// What is open besides the connections of a scenario.
const OTHERS: u64 = 200;

/// Raises the limit of open files so that so many more connections fit. Programs that are started later have it too.
///
/// # Errors
///
/// When the system allows this user less.
pub fn reserve(connections: usize) -> Result<()> {
    let wanted = connections as u64 + OTHERS;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if wanted > hard {
        return Err(format!(
            "{wanted} files have to be open at one time and the limit of this user is {hard}: raise it for this shell with \
             `sudo prlimit --pid $$ --nofile={wanted}:{wanted}`"
        )
        .into());
    }
    if wanted > soft {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_system_allows_is_an_error_with_the_number() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        if let Ok(hard) = usize::try_from(hard)
            && let Some(more) = hard.checked_add(1)
        {
            let error = reserve(more).unwrap_err().to_string();
            assert!(error.contains(&hard.to_string()), "{error}");
        }
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        reserve(usize::try_from(soft - OTHERS).unwrap()).unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0, soft);
    }
}
