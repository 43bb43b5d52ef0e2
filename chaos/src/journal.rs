//! What the ends did, written down where nobody's end loses it.
//!
//! A record is one `write` of 32 bytes to a file opened for appending: with the return of the call the kernel has it,
//! and `kill -9` a moment later does not take it back. Nothing of ours is buffered.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum What {
    /// Written before the message is handed over.
    Intent,
    /// Written when the application at the other end has it.
    Delivered,
    /// A stream says that items are missing here.
    Gap,
    /// How a call or stream ended, as its caller sees it.
    Ended,
}

/// The kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Lane {
    /// Calls without a retry class.
    Call,
    /// Calls that take effect once; the effect is the server's record.
    Once,
    /// A server stream without a cursor.
    Numbers,
    /// A server stream that goes on behind the last item that was read.
    Log,
    /// Client streams.
    Upload,
}

impl Lane {
    pub(crate) const ALL: [Self; 5] = [Self::Call, Self::Once, Self::Numbers, Self::Log, Self::Upload];
}

/// How a call or stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum End {
    /// With its answer, or as a stream that is over.
    Done,
    /// The caller was told that it never left.
    NotSent,
    /// The caller was told that it did not run.
    NotExecuted,
    /// The caller was told that this is not known.
    Unknown,
    /// A stream that its reader dropped at the end of the run.
    Stopped,
    /// With an answer that belongs to something else, or with damaged content.
    Wrong,
    /// Not at all, long after its deadline.
    Hanging,
    /// With any other error.
    Failed,
}

/// One line of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) what: What,
    pub(crate) lane: Lane,
    /// For [`What::Ended`]; [`End::Done`] otherwise.
    pub(crate) end: End,
    pub(crate) client: u32,
    /// Which upload, which run of a stream, or in which life of the server a call arrived.
    pub(crate) part: u64,
    /// Which call or item; for the end of an upload what its answer says.
    pub(crate) number: u64,
}

impl Record {
    pub(crate) const SIZE: usize = 32;

    pub(crate) fn new(what: What, lane: Lane, client: u32, part: u64, number: u64) -> Self {
        Self { what, lane, end: End::Done, client, part, number }
    }

    pub(crate) fn ended(lane: Lane, client: u32, part: u64, number: u64, end: End) -> Self {
        Self { what: What::Ended, lane, end, client, part, number }
    }

    fn to_bytes(self, at: u64) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..3].copy_from_slice(&[self.what as u8, self.lane as u8, self.end as u8]);
        bytes[4..8].copy_from_slice(&self.client.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.part.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        // For whoever looks into a journal that broke a rule.
        bytes[24..].copy_from_slice(&at.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let [what, lane, end] = bytes.get(..3)?.try_into().ok()?;
        Some(Self {
            what: [What::Intent, What::Delivered, What::Gap, What::Ended]
                .into_iter()
                .find(|&w| w as u8 == what)?,
            lane: Lane::ALL.into_iter().find(|&l| l as u8 == lane)?,
            end: ENDS.into_iter().find(|&e| e as u8 == end)?,
            client: u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?),
            part: word(8)?,
            number: word(16)?,
        })
    }
}

const ENDS: [End; 8] = [
    End::Done,
    End::NotSent,
    End::NotExecuted,
    End::Unknown,
    End::Stopped,
    End::Wrong,
    End::Hanging,
    End::Failed,
];

/// Where one process writes.
#[derive(Debug)]
pub(crate) struct Journal(File);

impl Journal {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        OpenOptions::new().create_new(true).append(true).open(path).map(Self)
    }

    /// Writes a record down.
    ///
    /// A process that can't is ended: what it goes on to do would not be seen, and the run would judge it wrongly.
    pub(crate) fn write(&self, record: Record) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        if let Err(error) = (&self.0).write_all(&record.to_bytes(at)) {
            eprintln!("the journal can't be written: {error}");
            std::process::exit(3);
        }
    }
}

/// All that a process wrote, in its order.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] where a record is none; a whole file is a multiple of a record's size.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Record>> {
    let bytes = std::fs::read(path)?;
    let broken = || io::Error::new(io::ErrorKind::InvalidData, format!("{} is no journal", path.display()));
    bytes.chunks(Record::SIZE).map(|bytes| Record::from_bytes(bytes).ok_or_else(broken)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        let mut records = Vec::new();
        for (index, end) in ENDS.into_iter().enumerate() {
            let lane = Lane::ALL[index % Lane::ALL.len()];
            records.push(Record::ended(lane, 7, index as u64, u64::MAX - index as u64, end));
        }
        for what in [What::Intent, What::Delivered, What::Gap] {
            records.push(Record::new(what, Lane::Upload, u32::MAX, 1 << 40, 3));
        }
        let journal = Journal::create(&path).unwrap();
        records.iter().for_each(|&record| journal.write(record));
        assert_eq!(read(&path).unwrap(), records);
        assert!(Journal::create(&path).is_err(), "two processes never share a journal");
        std::fs::write(&path, [9; 32]).unwrap();
        assert!(read(&path).is_err());
    }
}
