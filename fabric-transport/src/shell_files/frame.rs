//! Separates a script's output from that of the host's start-up files.
//!
//! Each stream begins with a mark that nothing else can print, since it is random and never sent as a whole. Standard output
//! ends with another mark and the script's status. So output of a `.bashrc` is no answer, and output that was cut short is
//! detected.

use bytes::{Bytes, BytesMut};
use fabric_core::command::quote;
use fabric_core::error::FileErrorKind;
use memchr::memmem;

/// How much of the output before the script is kept for an error.
const KEPT: usize = 256;
/// The digits of the status after the final mark.
const STATUS: usize = 3;

/// The marks of one script.
pub(super) struct ScriptFrame {
    halves: [String; 2],
}

impl ScriptFrame {
    pub(super) fn new() -> Self {
        Self { halves: [rand::random::<u64>(), rand::random()].map(|half| format!("{half:016x}")) }
    }

    /// The whole script, with `"$1"`, `"$2"`.. as the arguments, of any bytes.
    pub(super) fn around(&self, script: &str, arguments: &[&[u8]]) -> Result<Vec<u8>, FileErrorKind> {
        let [first, second] = &self.halves;
        let mut text = b"LC_ALL=C; export LC_ALL; set --".to_vec();
        for argument in arguments {
            text.push(b' ');
            // A leading dash would be an option of the commands in the script.
            let safe = if argument.starts_with(b"-") { [b"./", *argument].concat() } else { argument.to_vec() };
            text.extend_from_slice(&quote(&safe).map_err(|error| FileErrorKind::Failed(error.to_string()))?);
        }
        let begin = format!("printf '%s-%s:' {first} {second}");
        text.extend_from_slice(
            format!("; {begin}; {begin} >&2; ( {script} ); s=$?; printf '%s+%s%03d' {first} {second} $s; exit $s")
                .as_bytes(),
        );
        Ok(text)
    }

    fn begin(&self) -> Vec<u8> {
        let [first, second] = &self.halves;
        format!("{first}-{second}:").into_bytes()
    }

    fn end(&self) -> Vec<u8> {
        let [first, second] = &self.halves;
        format!("{first}+{second}").into_bytes()
    }

    /// The script's own standard error, or all of it if the script did not run.
    pub(super) fn errors<'a>(&self, stderr: &'a [u8]) -> &'a [u8] {
        let begin = self.begin();
        memmem::find(stderr, &begin).map_or(stderr, |at| &stderr[at + begin.len()..])
    }

    pub(super) fn reader(&self) -> Reader {
        Reader { begin: self.begin(), end: self.end(), pending: BytesMut::new(), at: At::Noise(Vec::new()) }
    }
}

/// Finds a script's own output.
pub(super) struct Reader {
    begin: Vec<u8>,
    end: Vec<u8>,
    pending: BytesMut,
    at: At,
}

enum At {
    /// Before it, with the beginning of other output.
    Noise(Vec<u8>),
    Within,
    /// After it, with its status.
    Behind(u8),
}

/// How a script's output ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With this status.
    Status(u8),
    /// Cut short.
    Cut,
    /// It never began; with the beginning of other output.
    Missing(Vec<u8>),
}

impl Reader {
    /// Takes bytes, and returns the script's own among them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Bytes {
        self.pending.extend_from_slice(bytes);
        if let At::Noise(noise) = &mut self.at {
            let (before, found) = match memmem::find(&self.pending, &self.begin) {
                Some(at) => (at, true),
                None => (self.pending.len().saturating_sub(self.begin.len() - 1), false),
            };
            let before = self.pending.split_to(before);
            noise.extend_from_slice(&before[..before.len().min(KEPT - noise.len())]);
            if !found {
                return Bytes::new();
            }
            let _ = self.pending.split_to(self.begin.len());
            self.at = At::Within;
        }
        if !matches!(self.at, At::Within) {
            self.pending.clear();
            return Bytes::new();
        }
        let whole = self.end.len() + STATUS;
        let status = |at: usize| std::str::from_utf8(self.pending.get(at..at + STATUS)?).ok()?.parse().ok();
        match memmem::find(&self.pending, &self.end) {
            Some(at) => {
                if let Some(status) = status(at + self.end.len()) {
                    self.at = At::Behind(status);
                }
                self.pending.split_to(at).freeze()
            }
            None => self.pending.split_to(self.pending.len().saturating_sub(whole - 1)).freeze(),
        }
    }

    pub(super) fn end(self) -> End {
        match self.at {
            At::Noise(mut noise) => {
                noise.extend_from_slice(&self.pending[..self.pending.len().min(KEPT - noise.len())]);
                End::Missing(noise)
            }
            At::Within => End::Cut,
            At::Behind(status) => End::Status(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn read(frame: &ScriptFrame, printed: &[u8], piece: usize) -> (Vec<u8>, End) {
        let mut reader = frame.reader();
        let own = printed.chunks(piece).flat_map(|bytes| reader.take(bytes)).collect();
        (own, reader.end())
    }

    #[test]
    fn only_what_the_script_prints_is_its_output() {
        let frame = ScriptFrame::new();
        let text = frame.around(r#"printf '%s\0\n' "$1"; echo no >&2; exit 7"#, &[b"-a\xff'b\n"]).unwrap();
        let text = std::os::unix::ffi::OsStringExt::from_vec(text);
        let text: std::ffi::OsString = text;
        let said = Command::new("sh").arg("-c").arg(&text).output().unwrap();
        let noisy = [b"motd\n\0", &said.stdout[..], b"\nbye"].concat();
        for piece in [1, 2, 3, 7, 1000] {
            let own = b"./-a\xff'b\n\0\n".to_vec();
            assert_eq!(read(&frame, &noisy, piece), (own.clone(), End::Status(7)));
            // Cut anywhere before its last byte, it isn't whole.
            let cut = noisy.len() - b"\nbye".len() - 1;
            let (got, end) = read(&frame, &noisy[..cut], piece);
            assert!(own.starts_with(&got) && end == End::Cut, "{end:?}");
        }
        assert_eq!(frame.errors(&[b"noise", &said.stderr[..]].concat()), b"no\n");
        assert_eq!(read(&frame, b"no shell\n", 4), (Vec::new(), End::Missing(b"no shell\n".to_vec())));
        assert_eq!(read(&frame, &[b'x'; 4096], 100).1, End::Missing(vec![b'x'; KEPT]));
    }
}
