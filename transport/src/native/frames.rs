use bowline_protocol::session::Arriving;

/// Follows the frames of RFC 6455 section 5.2 in what is read, without looking at payloads: where messages begin and end.
///
/// It judges nothing. Bytes that are no frames are for the library to refuse; what is counted of them counts no more.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Of the header under way.
    header: [u8; 10],
    len: usize,
    /// What is left of the frame behind its header, and of which kind it is.
    left: u64,
    kind: Kind,
    arriving: Arriving,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// Ping, pong and close.
    #[default]
    Control,
    /// A part of a message that others follow.
    Part,
    /// A whole message, or its last part.
    Last,
}

impl Frames {
    pub(super) fn arriving(&self) -> Arriving {
        self.arriving
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let len = self.left.min(bytes.len() as u64);
                self.left -= len;
                self.count(len);
                bytes = &bytes[len as usize..];
            } else {
                if self.len == 0 {
                    self.begin(first);
                }
                // What follows the length is a mask; it counts as payload.
                self.header[self.len] = first;
                self.len += 1;
                self.count(1);
                bytes = rest;
                let Some(left) = self.payload() else { continue };
                self.left = left;
                self.len = 0;
            }
            if self.left == 0 {
                self.finish();
            }
        }
    }

    fn begin(&mut self, first: u8) {
        let (is_last, is_control) = (first & 0x80 != 0, first & 0x08 != 0);
        self.kind = match (is_control, is_last) {
            (true, _) => Kind::Control,
            (false, true) => Kind::Last,
            (false, false) => Kind::Part,
        };
        self.arriving.is_partial |= !is_control;
    }

    /// How much follows the length, once that is known.
    fn payload(&self) -> Option<u64> {
        let second = *self.header[..self.len].get(1)?;
        let length = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes(*self.header[..self.len].get(2..)?.first_chunk()?)),
            127 => u64::from_be_bytes(*self.header[..self.len].get(2..)?.first_chunk()?),
            short => u64::from(short),
        };
        let mask = if second & 0x80 != 0 { 4 } else { 0 };
        Some(length.saturating_add(mask))
    }

    fn count(&mut self, len: u64) {
        self.arriving.unfinished += len;
        if self.kind != Kind::Control {
            self.arriving.bytes += len;
        }
    }

    /// The frame is whole.
    fn finish(&mut self) {
        if self.kind == Kind::Last {
            self.arriving = Arriving {
                messages: self.arriving.messages + 1,
                unfinished: 0,
                is_partial: false,
                ..self.arriving
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, masked: bool, payload: usize) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload {
            0..126 => frame.push(mask | payload as u8),
            126..65_536 => {
                frame.push(mask | 126);
                frame.extend((payload as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        // Nothing in a payload is taken for a header.
        frame.resize(frame.len() + usize::from(masked) * 4 + payload, 0x82);
        frame
    }

    /// What is known after each byte, whatever pieces they come in.
    fn after(bytes: &[u8]) -> Arriving {
        let results = [1, 2, 3, 7, 100, usize::MAX].map(|piece| {
            let mut frames = Frames::default();
            bytes.chunks(piece).for_each(|piece| frames.push(piece));
            frames.arriving()
        });
        assert!(results.iter().all(|it| *it == results[0]), "{results:?}");
        results[0]
    }

    #[test]
    fn a_message_is_under_way_from_its_first_byte_to_its_last() {
        for masked in [false, true] {
            for payload in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
                let bytes = frame(0x82, masked, payload);
                let len = bytes.len() as u64;
                for came in [1, 2, bytes.len() / 2, bytes.len() - 1].into_iter().filter(|it| *it > 0) {
                    let part = (came as u64).min(len - 1);
                    let expected = Arriving { bytes: part, messages: 0, unfinished: part, is_partial: true };
                    assert_eq!(after(&bytes[..part as usize]), expected, "{payload}");
                }
                let whole = Arriving { bytes: len, messages: 1, unfinished: 0, is_partial: false };
                assert_eq!(after(&bytes), whole, "{payload}");
            }
        }
    }

    #[test]
    fn fragments_and_what_stands_between_them_are_unfinished_until_the_last() {
        let mut bytes = [frame(0x82, true, 5), frame(0x02, true, 300)].concat();
        let whole = frame(0x82, true, 5).len() as u64;
        for empty in 0..3 {
            bytes.extend(frame(0x00, true, 0));
            bytes.extend(frame(0x89, true, 50));
            let arriving = after(&bytes);
            assert_eq!((arriving.messages, arriving.is_partial), (1, true), "{empty}");
            assert_eq!(arriving.unfinished, bytes.len() as u64 - whole);
        }
        bytes.extend(frame(0x80, true, 1));
        let pings = 3 * frame(0x89, true, 50).len() as u64;
        let expected =
            Arriving { bytes: bytes.len() as u64 - pings, messages: 2, unfinished: 0, is_partial: false };
        assert_eq!(after(&bytes), expected);
    }

    #[test]
    fn control_frames_are_no_messages() {
        let bytes = [frame(0x89, true, 4), frame(0x8a, true, 0), frame(0x88, true, 2)].concat();
        let unfinished = bytes.len() as u64;
        assert_eq!(after(&bytes), Arriving { bytes: 0, messages: 0, unfinished, is_partial: false });
    }
}
