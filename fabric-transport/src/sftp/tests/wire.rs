//! Frames and packets, without a server.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use tokio::io::AsyncReadExt as _;

use super::super::wire::{FrameBuffer, MAX_FRAME, Reply, Request, WriteRequest, decode_version, packet};
use super::super::{Attributes, ProtocolError};

fn attributes() -> impl Strategy<Value = Attributes> {
    let field = || proptest::option::of(any::<(u32, u32)>());
    (proptest::option::of(any::<u64>()), field(), proptest::option::of(any::<u32>()), field())
        .prop_map(|(size, owner, permissions, times)| Attributes { size, owner, permissions, times })
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 95_u8..110) {
        let _ = Reply::decode(bytes.clone().into());
        let _ = decode_version(bytes.clone().into());
        let mut framed = BytesMut::from(&[kind][..]);
        framed.extend_from_slice(&bytes);
        let _ = Reply::decode(framed.freeze());
        let mut frames = FrameBuffer::default();
        for piece in bytes.chunks(7) {
            frames.space().put_slice(piece);
            while let Ok(Some(frame)) = frames.next_frame() {
                prop_assert!(frame.len() >= 5);
            }
        }
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut(
        lengths in proptest::collection::vec(5_usize..90_000, 1..6),
        cuts in proptest::collection::vec(1_usize..40_000, 1..8),
    ) {
        let frames: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(i, n)| vec![i as u8; *n]).collect();
        let mut stream = Vec::new();
        for frame in &frames {
            stream.put_u32(frame.len() as u32);
            stream.put_slice(frame);
        }
        let (mut buffer, mut seen, mut rest, mut cuts) = (FrameBuffer::default(), Vec::new(), &stream[..], cuts.iter().cycle());
        loop {
            while let Some(frame) = buffer.next_frame().unwrap() {
                seen.push(frame.to_vec());
            }
            if rest.is_empty() {
                break;
            }
            let mut space = buffer.space();
            let length = cuts.next().unwrap().min(&rest.len()).min(&space.remaining_mut()).to_owned();
            space.put_slice(&rest[..length]);
            rest = &rest[length..];
        }
        prop_assert!(seen == frames && !buffer.is_partial());
    }

    #[test]
    fn attributes_survive_the_wire(attributes in attributes()) {
        let frame = Request::new(packet::ATTRS, 0).attributes(&attributes).seal(9);
        prop_assert_eq!(Reply::decode(frame.slice(4..)).unwrap(), (9, Reply::Attributes(attributes)));
    }

    #[test]
    fn every_truncation_and_every_extension_is_noticed(attributes in attributes(), name in proptest::collection::vec(any::<u8>(), 0..40)) {
        let whole = Request::new(packet::NAME, 0).u32(2);
        let whole = whole.string(&name).string(b"long").attributes(&attributes);
        let whole = whole.string(&name).string(b"").attributes(&attributes).seal(1).slice(4..);
        prop_assert!(Reply::decode(whole.clone()).is_ok());
        for length in 0..whole.len() {
            let error = Reply::decode(whole.slice(..length)).unwrap_err();
            prop_assert!(matches!(error, ProtocolError::Truncated(_)), "{}", error);
        }
        let mut longer = BytesMut::from(&whole[..]);
        longer.put_u8(0);
        let trailing = ProtocolError::TrailingBytes { packet: "SSH_FXP_NAME", extra: 1 };
        prop_assert_eq!(Reply::decode(longer.freeze()).unwrap_err(), trailing);
    }
}

#[test]
fn a_length_is_judged_before_room_is_made_for_it() {
    let mut frames = FrameBuffer::default();
    frames.space().put_slice(&u32::MAX.to_be_bytes());
    assert!(frames.space().remaining_mut() <= MAX_FRAME as usize + 10_000);
    assert_eq!(frames.next_frame(), Err(ProtocolError::FrameTooLong { length: u32::MAX, limit: MAX_FRAME }));
    let mut frames = FrameBuffer::default();
    frames.space().put_slice(&[0, 0, 0, 4, 101, 0, 0, 0]);
    assert_eq!(frames.next_frame(), Err(ProtocolError::FrameTooShort(4)));
}

#[test]
fn a_status_may_lack_its_words() {
    let frame = Bytes::from_static(&[packet::STATUS, 0, 0, 0, 1, 0, 0, 0, 2]);
    assert_eq!(Reply::decode(frame).unwrap(), (1, Reply::Status(2, Bytes::new())));
}

#[tokio::test]
async fn a_write_filled_from_a_source_is_the_write_one_would_build() {
    let data = super::content(100_000);
    for (chunk, room) in [(100_000, 100_000), (100_000, 1), (100_000, 16_384), (60_000, 16_384)] {
        let mut write = WriteRequest::new(b"\xff\0\0\x80", chunk, room);
        let mut source = &data[..];
        while !write.is_full() {
            source.read_buf(&mut write.space()).await.unwrap();
        }
        let by_hand = Request::new(packet::WRITE, 0).string(b"\xff\0\0\x80").u64(1 << 40).string(&data[..chunk]);
        assert!(write.at(1 << 40).seal(77) == by_hand.seal(77), "{chunk} {room}");
    }
}
