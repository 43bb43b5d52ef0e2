//! Counts the messages in the bytes of one direction of a socket, as RFC 6455 (section 5.2) frames them.

/// Behind the head of the request or response, how many bytes and messages.
#[derive(Debug, Default)]
pub(super) struct Frames {
    at: At,
    pub(super) bytes: u64,
    pub(super) messages: u64,
}

#[derive(Debug)]
enum At {
    /// In the head, which ends with an empty line, of whose four bytes so many have come.
    Head { matched: usize },
    /// In the header of a frame.
    Header { bytes: [u8; 14], have: usize },
    /// In what a frame carries.
    Payload { left: u64 },
}

impl Default for At {
    fn default() -> Self {
        Self::Head { matched: 0 }
    }
}

const NEXT: At = At::Header { bytes: [0; 14], have: 0 };

impl Frames {
    pub(super) fn feed(&mut self, mut input: &[u8]) {
        while let Some((&byte, rest)) = input.split_first() {
            match &mut self.at {
                At::Head { matched } => {
                    *matched = match (b"\r\n\r\n"[*matched] == byte, byte) {
                        (true, _) => *matched + 1,
                        (false, b'\r') => 1,
                        (false, _) => 0,
                    };
                    if *matched == 4 {
                        self.at = NEXT;
                    }
                    input = rest;
                }
                At::Header { bytes, have } => {
                    bytes[*have] = byte;
                    *have += 1;
                    self.bytes += 1;
                    input = rest;
                    if let Some(left) = payload(&bytes[..*have]) {
                        // Text or binary; a continuation belongs to a message that was counted, the others are control frames.
                        self.messages += u64::from(matches!(bytes[0] & 0x0f, 1 | 2));
                        self.at = if left == 0 { NEXT } else { At::Payload { left } };
                    }
                }
                At::Payload { left } => {
                    let taken = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    self.bytes += taken as u64;
                    *left -= taken as u64;
                    input = &input[taken..];
                    if *left == 0 {
                        self.at = NEXT;
                    }
                }
            }
        }
    }
}

/// What follows a header, once it is whole.
fn payload(header: &[u8]) -> Option<u64> {
    let &[_, second, ref rest @ ..] = header else { return None };
    let (length, width) = match second & 0x7f {
        126 => (rest.get(..2)?, 2),
        127 => (rest.get(..8)?, 8),
        small => (&[small][..], 0),
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let whole = header.len() == 2 + width + mask;
    whole.then(|| length.iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, mask: u8, length: &[u8], payload: usize) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode, mask | length[0]];
        frame.extend(&length[1..]);
        frame.extend(vec![0xaa; if mask == 0 { 0 } else { 4 } + payload]);
        frame
    }

    #[test]
    fn messages_of_every_length_are_counted_however_they_are_cut() {
        let mut input = b"GET / HTTP/1.1\r\nA: \r\r\n\r\n".to_vec();
        let head = input.len();
        input.extend(frame(1, 0, &[0], 0));
        input.extend(frame(2, 0x80, &[5], 5));
        input.extend(frame(2, 0, &[126, 0x01, 0x00], 256));
        input.extend(frame(1, 0x80, &[127, 0, 0, 0, 0, 0, 1, 0, 1], 65_537));
        // A ping, and the rest of a message.
        input.extend(frame(9, 0, &[3], 3));
        input.extend(frame(0, 0, &[7], 7));
        for cut in [1, 2, 3, 7, 1000, input.len()] {
            let mut frames = Frames::default();
            input.chunks(cut).for_each(|piece| frames.feed(piece));
            assert_eq!((frames.messages, frames.bytes), (4, (input.len() - head) as u64), "pieces of {cut}");
        }
    }
}
