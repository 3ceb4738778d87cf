//! The cost of framing: a chunk of a file in each direction, and many small replies.
//!
//! `cargo bench -p fabric-transport --bench sftp`

use std::hint::black_box;

use bytes::{BufMut, Bytes};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fabric_transport::sftp::Attributes;
use fabric_transport::sftp::wire::{FrameBuffer, MAX_CHUNK, Reply, Request, WriteRequest, packet};

/// The most that arrives at once: a pipe's buffer, or one and a half SSH packets.
const PIECE: usize = 64 * 1024;

/// Passes a stream of replies through a buffer, as a client's reader does.
fn decode(stream: &[u8]) -> usize {
    let (mut frames, mut rest, mut seen) = (FrameBuffer::default(), stream, 0);
    loop {
        while let Ok(Some(frame)) = frames.next_frame() {
            seen += usize::from(black_box(Reply::decode(frame)).is_ok());
        }
        if rest.is_empty() {
            return seen;
        }
        let mut space = frames.space();
        let length = rest.len().min(PIECE).min(space.remaining_mut());
        space.put_slice(&rest[..length]);
        rest = &rest[length..];
    }
}

fn answers(count: u32, answer: impl Fn() -> Request) -> Vec<u8> {
    (0..count).flat_map(|id| answer().seal(id)).collect()
}

fn framing(c: &mut Criterion) {
    let chunk = vec![7; MAX_CHUNK as usize];

    let mut group = c.benchmark_group("chunk of 255 KiB");
    let data = answers(16, || Request::new(packet::DATA, chunk.len() + 4).string(&chunk));
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("read: 16 of SSH_FXP_DATA", |b| b.iter(|| assert_eq!(decode(&data), 16)));
    group.throughput(Throughput::Bytes(u64::from(MAX_CHUNK)));
    group.bench_function("write: SSH_FXP_WRITE filled in place", |b| {
        b.iter(|| {
            let mut write = WriteRequest::new(b"1234", chunk.len(), chunk.len());
            write.space().put_slice(&chunk);
            write.at(1 << 30).seal(7)
        });
    });
    group.finish();

    let mut group = c.benchmark_group("1,000 small");
    group.throughput(Throughput::Elements(1_000));
    let statuses = answers(1_000, || Request::new(packet::STATUS, 32).u32(0).string(b"Success").string(b""));
    group.bench_function("SSH_FXP_STATUS read", |b| b.iter(|| assert_eq!(decode(&statuses), 1_000)));
    let mut about = Attributes::permissions(0o100_644);
    (about.size, about.owner, about.times) = (Some(4096), Some((0, 0)), Some((1, 2)));
    let entries = answers(10, || {
        (0..100).fold(Request::new(packet::NAME, 16_384).u32(100), |names, i| {
            let name = format!("file-number-{i}");
            names.string(name.as_bytes()).string(&[b'x'; 70]).attributes(&about)
        })
    });
    group.bench_function("directory entries read", |b| b.iter(|| assert_eq!(decode(&entries), 10)));
    group.bench_function("SSH_FXP_OPEN written", |b| {
        b.iter(|| {
            let open = |id| Request::new(packet::OPEN, 64).string(b"/srv/app/file").u32(26).attributes(&about).seal(id);
            (0..1_000).map(open).map(black_box).map(|frame: Bytes| frame.len()).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, framing);
criterion_main!(benches);
