use std::fmt;
use std::str::FromStr;

/// Which cores the two workers of a [`Stage`](super::Stage) run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// Both on the same one. What an operation takes of a processor is then all that is measured: waking a core that sleeps
    /// is the machine's affair, takes tens of µs on a virtual one, and differs from minute to minute.
    ///
    /// On systems other than Linux it is the same as [`Any`](Self::Any).
    One,
    /// Each on one of its own: for servers whose clients would be elsewhere, and would not throw their memory out of its
    /// caches. Where there is but one it is the same as [`One`](Self::One).
    Own,
    /// Wherever the system puts them: for what is measured as time that passes.
    Any,
}

impl Cores {
    /// Binds the calling thread, which is a server's or a client's.
    pub(super) fn bind(self, is_server: bool) {
        match self {
            Self::One => bind_to(0),
            Self::Own => bind_to(usize::from(!is_server)),
            Self::Any => {}
        }
    }
}

/// So many before the last core that the process may use, or the first: interrupts come to that.
#[cfg(target_os = "linux")]
fn bind_to(before_last: usize) {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    let this = Pid::from_raw(0);
    let bound = sched_getaffinity(this).and_then(|allowed| {
        let cores = (0..CpuSet::count()).rev().filter(|&core| allowed.is_set(core).unwrap_or(false));
        let mut one = CpuSet::new();
        let core = cores.take(before_last + 1).last();
        core.map_or(Ok(()), |core| one.set(core).and_then(|()| sched_setaffinity(this, &one)))
    });
    if let Err(error) = bound {
        eprintln!("error: a worker can't be bound to one core: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn bind_to(_before_last: usize) {}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "one",
            Self::Own => "own",
            Self::Any => "any",
        })
    }
}

impl FromStr for Cores {
    type Err = crate::Error;

    fn from_str(word: &str) -> crate::Result<Self> {
        match word {
            "one" => Ok(Self::One),
            "own" => Ok(Self::Own),
            "any" => Ok(Self::Any),
            _ => Err(format!("cores are `one`, `own` or `any`, not `{word}`").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Stage;

    #[test]
    fn words_for_other_processes_are_read_back() {
        for cores in [Cores::One, Cores::Own, Cores::Any] {
            assert_eq!(cores.to_string().parse::<Cores>().unwrap(), cores);
        }
        assert!("two".parse::<Cores>().is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn both_workers_have_the_same_core_or_one_of_their_own_or_all() {
        use nix::sched::{CpuSet, sched_getaffinity};
        use nix::unistd::Pid;

        let allowed = || async {
            let cores = sched_getaffinity(Pid::from_raw(0))?;
            Ok((0..CpuSet::count()).filter(|&core| cores.is_set(core).unwrap_or(false)).collect::<Vec<_>>())
        };
        let here = std::thread::available_parallelism().unwrap().get();
        for (cores, wanted, are_same) in
            [(Cores::One, 1, true), (Cores::Own, 1, here == 1), (Cores::Any, here, true)]
        {
            let stage = Stage::new(cores).unwrap();
            let (server, client) = (stage.on_server(allowed()).unwrap(), stage.on_client(allowed()).unwrap());
            assert_eq!((server.len(), client.len()), (wanted, wanted), "{cores}");
            assert_eq!(server == client, are_same, "{cores}");
        }
    }
}
