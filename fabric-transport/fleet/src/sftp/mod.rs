//! A host's files over SFTP, version 3 (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions.
//!
//! Paths and names are bytes. Relative paths start in the host's directory; absolute ones are those of the system, as
//! with an sshd without chroot. Requests are answered in order, directly from the file system: for tests and the demo
//! that is faster than another thread for each.

mod files;
mod wire;

use std::sync::Arc;

use self::files::Files;
use self::wire::{MAX_PACKET, Reader, Writer};
use super::host::HostState;
use super::input::{Input, Life, Output};

/// Serves one subsystem channel until the client closes it.
pub(super) async fn serve(host: Arc<HostState>, input: Input, output: Output, life: Life) {
    tokio::select! {
        () = life.closed.cancelled() => {}
        () = answer_all(&host, input, &output) => {
            let _ = output.eof().await;
            let _ = output.exit_status(0).await;
            let _ = output.close().await;
        }
    }
}

async fn answer_all(host: &HostState, mut input: Input, output: &Output) {
    let mut files = Files::new(host.dir.clone());
    let mut pending: Vec<u8> = Vec::new();
    while let Some(data) = input.next().await {
        pending.extend_from_slice(&data);
        let mut answers = Vec::new();
        let mut rest = pending.as_slice();
        while let Some((length, body)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            // sftp-server disconnects such a client too.
            if length > MAX_PACKET {
                return;
            }
            let Some((packet, after)) = body.split_at_checked(length) else { break };
            rest = after;
            let faults = host.faults();
            answer(&mut files, packet, &faults.listing, faults.sftp_frame, &mut answers);
            if answers.len() >= MAX_PACKET && output.data_bytes(std::mem::take(&mut answers)).await.is_err() {
                return;
            }
        }
        let used = pending.len() - rest.len();
        pending.drain(..used);
        if !answers.is_empty() && output.data_bytes(answers).await.is_err() {
            return;
        }
    }
}

/// Appends the reply to one request.
fn answer(files: &mut Files, packet: &[u8], listing: &[Vec<u8>], frame: Option<u32>, answers: &mut Vec<u8>) {
    let start = answers.len();
    answers.extend_from_slice(&[0; 4]);
    let mut writer = Writer::new(answers);
    let mut reader = Reader::new(packet);
    if files.handle(&mut reader, listing, &mut writer).is_none() {
        // A request without an id to reply to, or a truncated one.
        writer.status(reader.id(), wire::BAD_MESSAGE, "bad message");
    }
    let length = frame.unwrap_or((answers.len() - start - 4) as u32);
    answers[start..start + 4].copy_from_slice(&length.to_be_bytes());
}
