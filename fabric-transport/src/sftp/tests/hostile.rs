//! Servers that break the protocol, and one that is only slow.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use super::super::wire::{FrameBuffer, MAX_FRAME, Request, packet};
use super::super::{Attributes, Client, CloseReason, MAX_AHEAD, OpenFlags, ProtocolError, SftpError, Write};
use super::{client, content, quiet};

/// The other end of a client: the test reads the requests and decides about replies.
pub(super) struct Fake {
    pub(super) stream: DuplexStream,
    frames: FrameBuffer,
}

impl Fake {
    /// A server that has sent its version, without extensions.
    pub(super) async fn start() -> (Self, Client) {
        let (near, mut far) = tokio::io::duplex(1024 * 1024);
        let greet = async {
            far.read_exact(&mut [0; 9]).await.unwrap();
            far.write_all(&[0, 0, 0, 5, packet::VERSION, 0, 0, 0, 3]).await.unwrap();
        };
        let (sftp, ()) = tokio::join!(Client::start(near), greet);
        (Self { stream: far, frames: FrameBuffer::default() }, sftp.unwrap())
    }

    /// The next request: its type, its id, the rest. Safe to drop and call again.
    pub(super) async fn request(&mut self) -> (u8, u32, Bytes) {
        loop {
            if let Some(frame) = self.frames.next_frame().unwrap() {
                return (frame[0], u32::from_be_bytes(frame[1..5].try_into().unwrap()), frame.slice(5..));
            }
            assert_ne!(self.stream.read_buf(&mut self.frames.space()).await.unwrap(), 0, "the client has gone");
        }
    }

    async fn answer(&mut self, answer: Request, id: u32) {
        self.stream.write_all(&answer.seal(id)).await.unwrap();
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }
}

fn status(code: u32) -> Request {
    Request::new(packet::STATUS, 0).u32(code).string(b"").string(b"")
}

fn handle() -> Request {
    Request::new(packet::HANDLE, 0).string(b"h")
}

/// A frame with the right length around these bytes.
fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes(), body].concat()
}

/// The client's result for these bytes in reply to a `stat` with the id 0.
async fn answered_with(bytes: &[u8]) -> ProtocolError {
    let (mut fake, sftp) = Fake::start().await;
    let serve = async {
        assert_eq!(fake.request().await.1, 0);
        fake.send(bytes).await;
    };
    let (stat, ()) = tokio::join!(sftp.stat(b"f"), serve);
    let SftpError::Closed(CloseReason::Protocol(error)) = stat.unwrap_err() else { panic!("not a protocol error") };
    // The conversation is over, for all requests and with the same reason.
    assert_eq!(sftp.closed().await.to_string(), CloseReason::Protocol(error.clone()).to_string());
    assert!(matches!(sftp.stat(b"f").await, Err(SftpError::Closed(CloseReason::Protocol(same))) if same == error));
    // Its side of the stream is closed as well.
    drop(sftp);
    assert_eq!(fake.stream.read(&mut [0]).await.unwrap(), 0);
    error
}

#[tokio::test]
async fn every_way_to_break_the_protocol_ends_the_conversation() {
    use ProtocolError as E;
    const ID: [u8; 4] = [0; 4];
    let huge = |length: u32| length.to_be_bytes().to_vec();
    let with = |packet: u8, rest: &[u8]| framed(&[&[packet], &ID[..], rest].concat());
    let unexpected = |got| E::UnexpectedReply { got, expected: "SSH_FXP_ATTRS" };
    let table = [
        (huge(u32::MAX), E::FrameTooLong { length: u32::MAX, limit: MAX_FRAME }),
        (huge(MAX_FRAME + 1), E::FrameTooLong { length: MAX_FRAME + 1, limit: MAX_FRAME }),
        (huge(0), E::FrameTooShort(0)),
        (framed(b"\x69"), E::FrameTooShort(1)),
        (framed(b"\x69\0\0\0"), E::FrameTooShort(4)),
        (with(0, b""), E::UnknownPacket(0)),
        (with(packet::STAT, b""), E::UnknownPacket(packet::STAT)),
        (with(packet::VERSION, b""), E::UnknownPacket(packet::VERSION)),
        (with(255, b""), E::UnknownPacket(255)),
        (framed(&[packet::ATTRS, 0, 0, 0, 1, 0, 0, 0, 0]), E::UnknownId(1)),
        (framed(&[packet::ATTRS, 0, 1, 0, 0, 0, 0, 0, 0]), E::UnknownId(0x1_0000)),
        (framed(&[packet::STATUS, 255, 255, 255, 255, 0, 0, 0, 0]), E::UnknownId(u32::MAX)),
        (with(packet::ATTRS, b""), E::Truncated("a set of file attributes")),
        (with(packet::ATTRS, &[0, 0, 0, 1, 0, 0]), E::Truncated("a set of file attributes")),
        // Four thousand million extended attributes, without any data.
        (with(packet::ATTRS, &[0x80, 0, 0, 0, 255, 255, 255, 255]), E::Truncated("a set of file attributes")),
        (with(packet::ATTRS, &[0, 0, 0, 0, 7, 7]), E::TrailingBytes { packet: "SSH_FXP_ATTRS", extra: 2 }),
        (with(packet::STATUS, &[0, 0, 0, 2, 0, 0, 1, 0]), E::Truncated("SSH_FXP_STATUS")),
        (with(packet::STATUS, &[0, 0, 0, 0]), unexpected("SSH_FXP_STATUS")),
        (with(packet::DATA, &[255, 255, 255, 255]), E::Truncated("SSH_FXP_DATA")),
        (with(packet::DATA, &[0, 0, 0, 1, 7]), unexpected("SSH_FXP_DATA")),
        (with(packet::HANDLE, &[0, 0, 0, 1, 7]), unexpected("SSH_FXP_HANDLE")),
        (with(packet::HANDLE, &framed(&[7; 257])), E::HandleTooLong(257)),
        (with(packet::NAME, &[255, 255, 255, 255]), E::Truncated("SSH_FXP_NAME")),
        (with(packet::NAME, &[0, 0, 0, 0]), unexpected("SSH_FXP_NAME")),
        (with(packet::EXTENDED_REPLY, b""), unexpected("SSH_FXP_EXTENDED_REPLY")),
    ];
    for (bytes, error) in table {
        assert_eq!(answered_with(&bytes).await, error, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_second_answer_is_noticed() {
    let (mut fake, sftp) = Fake::start().await;
    let serve = async {
        for _ in 0..2 {
            let (_, id, _) = fake.request().await;
            fake.answer(status(2), id).await;
        }
        // The id of the first request, whose slot the second one used too.
        fake.answer(status(2), 0).await;
    };
    let ask = async {
        sftp.stat(b"a").await.unwrap_err();
        sftp.stat(b"b").await.unwrap_err();
        sftp.closed().await
    };
    assert!(matches!(tokio::join!(ask, serve).0, CloseReason::Protocol(ProtocolError::UnknownId(0))));
}

#[tokio::test]
async fn text_instead_of_a_greeting_is_shown() {
    let long = "x".repeat(1000);
    for (said, shown) in [
        ("Welcome to Linux!\n", r"Welcome to Linux!\n"),
        // As lengths, these would be huge.
        ("hi", "hi"),
        ("\n", r"\n"),
        ("\x1b[0mhello\r\n", r"\u{1b}[0mhello\r\n"),
        ("\u{1}\u{2}\u{3}", r"\u{1}\u{2}\u{3}"),
        (&long, &long[..200]),
        ("This account is currently not available.\n", r"This account is currently not available.\n"),
    ] {
        // The server is still there; the reply doesn't wait for its end.
        for ends in [false, true] {
            let (near, mut far) = tokio::io::duplex(4096);
            far.write_all(said.as_bytes()).await.unwrap();
            let _open = (!ends).then_some(far);
            let error = Client::start(near).await.unwrap_err().to_string();
            assert!(error.starts_with(&format!("the login shell printed \"{shown}\" where")), "{error}");
        }
    }
}

#[tokio::test]
async fn a_greeting_must_be_one() {
    for (greeting, reason) in [
        (&b""[..], "the server closed the SFTP channel"),
        (b"\0\0\0\x05\x02\0\0", "the SFTP channel was cut in the middle of an answer"),
        (
            b"\0\0\0\x05\x02\0\0\0\x02",
            "the SFTP server broke the protocol: the server speaks version 2 of the protocol, version 3 is needed",
        ),
        (b"\0\0\0\x05\x65\0\0\0\x03", "the SFTP server broke the protocol: unexpected packet type 101"),
        (b"\0\0\0\x09\x02\0\0\0\x03\0\0\0\x09", "the SFTP server broke the protocol: SSH_FXP_VERSION is cut short"),
    ] {
        let (near, mut far) = tokio::io::duplex(4096);
        far.write_all(greeting).await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(Client::start(near).await.unwrap_err().to_string(), reason);
    }
}

#[tokio::test]
async fn more_data_than_asked_for_is_refused() {
    let (mut fake, sftp) = Fake::start().await;
    let serve = async {
        let (_, id, _) = fake.request().await;
        fake.answer(handle(), id).await;
        let (kind, id, _) = fake.request().await;
        assert_eq!(kind, packet::READ);
        fake.answer(Request::new(packet::DATA, 0).string(&[0; 11]), id).await;
    };
    let read = async { sftp.open(b"f", OpenFlags::READ, &Attributes::default()).await.unwrap().read_at(0, 10).await };
    let error = tokio::join!(read, serve).0.unwrap_err();
    let expected = ProtocolError::TooMuchData { asked: 10, got: 11 };
    assert!(matches!(error, SftpError::Closed(CloseReason::Protocol(error)) if error == expected));
}

#[tokio::test]
async fn a_path_is_one_name() {
    for count in [0, 2] {
        let (mut fake, sftp) = Fake::start().await;
        let serve = async {
            let (_, id, _) = fake.request().await;
            let names = (0..count).fold(Request::new(packet::NAME, 0).u32(count), |names, _| {
                names.string(b"/x").string(b"").attributes(&Attributes::default())
            });
            fake.answer(names, id).await;
        };
        let error = tokio::join!(sftp.real_path(b"."), serve).0.unwrap_err();
        let expected = ProtocolError::NotOneName(count as usize);
        assert!(matches!(error, SftpError::Closed(CloseReason::Protocol(error)) if error == expected));
    }
}

#[tokio::test]
async fn an_endless_directory_is_cut_off_and_closed() {
    let (mut fake, sftp) = Fake::start().await;
    let serve = async {
        loop {
            let (kind, id, _) = fake.request().await;
            match kind {
                packet::OPENDIR => fake.answer(handle(), id).await,
                packet::CLOSE => break,
                _ => {
                    let names = (0..1_000).fold(Request::new(packet::NAME, 0).u32(1_000), |names, _| {
                        names.string(b"../../etc/passwd").string(b"").attributes(&Attributes::default())
                    });
                    fake.answer(names, id).await;
                }
            }
        }
    };
    let list = async { sftp.read_dir(b"d").await.unwrap().collect(50_000).await };
    let (listed, ()) = tokio::join!(list, serve);
    assert!(matches!(
        listed.unwrap_err(),
        SftpError::Closed(CloseReason::Protocol(ProtocolError::EndlessDirectory(50_000)))
    ));
}

/// Accepts this many bytes, and then fails.
struct Full(usize);

impl AsyncWrite for Full {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.0 = match self.0.checked_sub(data.len()) {
            Some(left) => left,
            None => return Poll::Ready(Err(io::ErrorKind::StorageFull.into())),
        };
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whatever length the server reports.
#[tokio::test]
async fn no_more_of_an_endless_file_is_asked_for_than_fits_ahead_of_the_sink() {
    const TAKEN: usize = 64 << 20;
    for size in [0, 1, u64::MAX] {
        let (mut fake, sftp) = Fake::start().await;
        let asked = async {
            let mut asked = 0;
            loop {
                let (kind, id, body) = fake.request().await;
                match kind {
                    packet::OPEN => fake.answer(handle(), id).await,
                    packet::FSTAT => {
                        let attributes =
                            Attributes { size: Some(size), permissions: Some(0o100_644), ..Attributes::default() };
                        fake.answer(Request::new(packet::ATTRS, 0).attributes(&attributes), id).await;
                    }
                    packet::READ => {
                        let length = u32::from_be_bytes(body[13..17].try_into().unwrap()) as usize;
                        asked += length;
                        fake.answer(Request::new(packet::DATA, 0).string(&vec![0; length]), id).await;
                    }
                    packet::CLOSE => return asked,
                    other => panic!("packet {other}"),
                }
            }
        };
        let mut sink = Full(TAKEN);
        let (read, asked) = tokio::join!(sftp.read_file(b"f", 0, &mut sink, &quiet), asked);
        assert!(matches!(read.unwrap_err(), SftpError::Local { .. }));
        assert!(asked <= TAKEN + MAX_AHEAD, "{} MiB", asked >> 20);
    }
}

/// A server of one file in memory that answers only when no more requests come, the oldest first, so that the requests
/// sent ahead can be counted. Returns the largest number.
async fn serve_lazily(mut fake: Fake, file: Vec<u8>, most_at_once: usize) -> usize {
    let (mut waiting, mut most) = (VecDeque::new(), 0);
    loop {
        tokio::select! {
            biased;
            request = fake.request() => {
                waiting.push_back(request);
                most = most.max(waiting.len());
            }
            () = tokio::task::yield_now(), if !waiting.is_empty() => {
                let Some((kind, id, body)) = waiting.pop_front() else { continue };
                let answer = match kind {
                    packet::OPEN => handle(),
                    packet::FSTAT => {
                        let size = Some(file.len() as u64);
                        Request::new(packet::ATTRS, 0)
                            .attributes(&Attributes { size, permissions: Some(0o100_644), ..Attributes::default() })
                    }
                    packet::READ => {
                        let offset = u64::from_be_bytes(body[5..13].try_into().unwrap()) as usize;
                        let length = u32::from_be_bytes(body[13..17].try_into().unwrap()) as usize;
                        match file.get(offset..) {
                            None | Some([]) => status(1),
                            Some(rest) => Request::new(packet::DATA, 0)
                                .string(&rest[..rest.len().min(length).min(most_at_once)]),
                        }
                    }
                    packet::WRITE => status(0),
                    packet::CLOSE => {
                        fake.answer(status(0), id).await;
                        return most;
                    }
                    other => panic!("packet {other}"),
                };
                fake.answer(answer, id).await;
            }
        }
    }
}

#[tokio::test]
async fn at_least_64_requests_are_under_way_for_one_file() {
    let file = content(12_000_000);
    let (fake, sftp) = Fake::start().await;
    let mut back = Vec::new();
    let served = serve_lazily(fake, file.clone(), usize::MAX);
    let (read, most) = tokio::join!(sftp.read_file(b"f", 0, &mut back, &quiet), served);
    read.unwrap();
    assert!(back == file);
    assert!(most >= 64, "{most} reads under way");

    let (fake, sftp) = Fake::start().await;
    let mut source = &file[..];
    let how = Write::default();
    let written = sftp.write_file(b"f", &how, &mut source, &quiet);
    let (written, most) = tokio::join!(written, serve_lazily(fake, Vec::new(), 0));
    assert_eq!(written.unwrap(), file.len() as u64);
    assert!(most >= 64, "{most} writes under way");
}

#[tokio::test]
async fn a_server_that_gives_less_than_asked_for_is_read_without_gaps() {
    let file = content(600_000);
    for most_at_once in [1_000, 4_096, 20_000, 32_767] {
        let (fake, sftp) = Fake::start().await;
        let mut back = Vec::new();
        let served = serve_lazily(fake, file.clone(), most_at_once);
        tokio::join!(sftp.read_file(b"f", 0, &mut back, &quiet), served).0.unwrap();
        assert!(back == file, "{most_at_once}");
    }
}

#[tokio::test]
async fn a_failed_write_fails_the_file_and_closes_it() {
    let (mut fake, sftp) = Fake::start().await;
    let serve = async {
        let mut writes = 0;
        loop {
            let (kind, id, _) = fake.request().await;
            match kind {
                packet::OPEN => fake.answer(handle(), id).await,
                packet::CLOSE => break writes,
                _ => {
                    writes += 1;
                    fake.answer(status(if writes == 3 { 4 } else { 0 }), id).await;
                }
            }
        }
    };
    let data = content(20_000_000);
    let mut source = &data[..];
    let how = Write::default();
    let (written, writes) = tokio::join!(sftp.write_file(b"f", &how, &mut source, &quiet), serve);
    assert_eq!(written.unwrap_err().to_string(), "write f: failure");
    assert!(writes < 20_000_000 / 32_768, "{writes} writes were sent after all");
}

#[tokio::test]
async fn a_directory_that_fails_half_way_is_closed() {
    let dir = tempdir().unwrap();
    let sftp = client(dir.path()).await;
    let mut entries = sftp.read_dir(b".").await.unwrap();
    assert_eq!(entries.next_batch().await.unwrap(), Some(vec![]));
    assert_eq!(entries.next_batch().await.unwrap(), None);
    assert_eq!(entries.next_batch().await.unwrap(), None);
}
