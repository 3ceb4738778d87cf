//! Checks of a library that the dynamic linker doesn't report, or would crash on.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Refuses a file that is no ELF file for this machine, or that ends before its segments do: mapping it would cause a
/// SIGBUS.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let read = |error: io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let mut header = Vec::new();
    (&file).take(64).read_to_end(&mut header).map_err(read)?;
    if !header.starts_with(b"\x7fELF") {
        return Err("is not a library for this system: not an ELF file".to_owned());
    }
    let cut_off = || format!("is truncated: it has {length} bytes, and its header refers to more. Copy it again");
    let header = Fields::of(&header).ok_or_else(cut_off)?;
    if Fields::of_this_program().is_some_and(|own| own.machine() != header.machine()) {
        return Err("is not a library for this system: it was built for another".to_owned());
    }
    let (segments, size, count) = header.segments().ok_or_else(cut_off)?;
    for at in 0..count {
        let mut segment = vec![0; usize::from(size)];
        let place = segments.saturating_add(u64::from(at) * u64::from(size));
        file.read_exact_at(&mut segment, place).map_err(|_| cut_off())?;
        let end = Fields { bytes: &segment, ..header }.segment_end().ok_or_else(cut_off)?;
        if end > length {
            return Err(cut_off());
        }
    }
    Ok(())
}

/// A header's numbers, in its byte order and width.
#[derive(Clone, Copy)]
struct Fields<'a> {
    bytes: &'a [u8],
    wide: bool,
    big_endian: bool,
}

/// Class, byte order and machine.
type Machine = (bool, bool, u64);

impl<'a> Fields<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let fields = Self { bytes, wide: *bytes.get(4)? == 2, big_endian: *bytes.get(5)? == 2 };
        (bytes.len() >= if fields.wide { 64 } else { 52 }).then_some(fields)
    }

    fn of_this_program() -> Option<Fields<'static>> {
        static OWN: std::sync::LazyLock<Option<[u8; 64]>> = std::sync::LazyLock::new(|| {
            let mut header = [0; 64];
            File::open(std::env::current_exe().ok()?).ok()?.read_exact(&mut header).ok()?;
            Some(header)
        });
        Fields::of(OWN.as_ref()?)
    }

    fn machine(&self) -> Option<Machine> {
        Some((self.wide, self.big_endian, self.number(18, 2)?))
    }

    /// Where the program headers are, the length of each, and their number.
    fn segments(&self) -> Option<(u64, u16, u16)> {
        let (at, size) = if self.wide { (self.number(32, 8)?, 54) } else { (self.number(28, 4)?, 42) };
        let short = |at| u16::try_from(self.number(at, 2)?).ok();
        Some((at, short(size)?, short(size + 2)?))
    }

    /// The end of the part of the file that a program header refers to.
    fn segment_end(&self) -> Option<u64> {
        let (offset, length) = if self.wide { ((8, 8), (32, 8)) } else { ((4, 4), (16, 4)) };
        self.number(offset.0, offset.1)?.checked_add(self.number(length.0, length.1)?)
    }

    fn number(&self, at: usize, size: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at + size)?;
        let add = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }
}
