//! Views: validated once, read in place, sharing their buffer.

use std::sync::Arc;

use bowline_protocol::codec::{Aligned, Buffer, Codec, EncodeError, Payload, View};
use bytes::Bytes;

type Frame = (u64, Vec<String>);

fn frame() -> Frame {
    (7, vec!["first".to_owned(), "second, which is stored apart".to_owned()])
}

fn encode(codec: Codec) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    frame().encode(codec, &mut out)?;
    Ok(out)
}

fn aligned(bytes: &[u8]) -> Arc<Aligned> {
    Arc::new(Aligned::copy_from_slice(bytes))
}

#[test]
fn an_assembled_payload_is_read_where_it_lies() {
    let buffer = aligned(&encode(Codec::Rkyv).unwrap());
    let view = View::<Frame>::decode(Codec::Rkyv, Buffer::Assembled(Arc::clone(&buffer))).unwrap();
    assert_eq!(view.0, 7);
    assert!(buffer.as_ptr_range().contains(&(&raw const view.1).cast()));
    let text = view.1[1].as_bytes();
    assert!(buffer.as_ptr_range().contains(&text.as_ptr()));

    let copy = view.clone();
    drop(view);
    assert_eq!(Arc::strong_count(&buffer), 2);
    assert_eq!(copy.to_owned().unwrap(), frame());
}

#[test]
fn a_small_payload_does_not_keep_its_message() {
    let message = Bytes::from([vec![0; 3], encode(Codec::Rkyv).unwrap()].concat());
    let view = View::<Frame>::decode(Codec::Rkyv, Buffer::Small(message.slice(3..))).unwrap();
    assert!(message.is_unique(), "the view holds a copy");
    assert_eq!(view.1.len(), 2);
}

#[test]
fn a_view_of_json_is_the_same_view() {
    let view = View::<Frame>::decode(Codec::Json, Bytes::from(encode(Codec::Json).unwrap()).into()).unwrap();
    assert_eq!(view.1[0], "first");
    assert_eq!(view.to_owned().unwrap(), frame());
}

#[test]
fn a_part_of_a_view_shares_its_buffer() {
    let buffer = aligned(&encode(Codec::Rkyv).unwrap());
    let view = View::<Frame>::decode(Codec::Rkyv, Arc::clone(&buffer).into()).unwrap();
    let part: View<Vec<String>> = view.project(|frame| &frame.1);
    drop(view);
    assert_eq!(part.len(), 2);
    assert_eq!(Arc::strong_count(&buffer), 2);
    let second: View<String> = part.project(|strings| &strings[1]);
    assert_eq!(second.as_str(), "second, which is stored apart");
}

#[test]
fn a_view_of_damaged_bytes_is_an_error() {
    let archive = encode(Codec::Rkyv).unwrap();
    assert!(View::<Frame>::decode(Codec::Rkyv, aligned(&archive[1..]).into()).is_err());
    assert!(View::<Frame>::decode(Codec::Json, Bytes::from(archive).into()).is_err());
}

#[test]
fn views_go_between_threads() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<View<Frame>>();
    let view = View::<Frame>::decode(Codec::Rkyv, aligned(&encode(Codec::Rkyv).unwrap()).into()).unwrap();
    let there = std::thread::spawn(move || view.1[0].len());
    assert_eq!(there.join().unwrap(), 5);
}
