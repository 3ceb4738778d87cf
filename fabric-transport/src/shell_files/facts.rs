//! Attributes of files, from a host's shell.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fabric_core::transport::{FileKind, FileStat};

/// `st` prints a line with the attributes of each file, with `stat` of GNU, busybox or the BSDs, otherwise with `ls`, which
/// has no exact times. `$how` is empty, or `-L` to follow links.
pub(super) const ST: &str = "nl=$(printf '\\nx'); nl=${nl%x}; how=; \
    if stat -c %f / >/dev/null 2>&1; then st() { stat $how -c '%f %s %u %g %X %Y' -- \"$@\"; }; \
    elif stat -f %Xp / >/dev/null 2>&1; then st() { stat $how -f '%Xp %z %u %g %a %m' -- \"$@\"; }; \
    else st() { for f; do l=$(ls -dn $how -- \"$f\") || return; l=${l%%$nl*}; printf '%s\\n' \"$l\"; done; }; fi; ";

/// Parses a line of `st`.
pub(super) fn parse(line: &[u8]) -> Option<FileStat> {
    let text = String::from_utf8_lossy(line);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    by_stat(&words).or_else(|| by_ls(&words))
}

/// `mode size uid gid atime mtime`, the mode in hexadecimal digits.
fn by_stat(words: &[&str]) -> Option<FileStat> {
    let &[mode, size, uid, gid, accessed, modified] = words else { return None };
    let mode = u32::from_str_radix(mode, 16).ok()?;
    // Times before 1970 have a minus sign.
    let time = |seconds: &str| {
        let seconds: i64 = seconds.parse().ok()?;
        let far = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { UNIX_EPOCH.checked_sub(far) } else { UNIX_EPOCH.checked_add(far) }
    };
    Some(
        FileStat::new(match mode & 0o170_000 {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Directory,
            0o120_000 => FileKind::Symlink,
            _ => FileKind::Other,
        })
        .size(size.parse::<u64>().ok()?)
        .mode(mode & 0o7777)
        .uid(uid.parse::<u32>().ok()?)
        .gid(gid.parse::<u32>().ok()?)
        .accessed(time(accessed)?)
        .modified(time(modified)?),
    )
}

/// `-rwxr-xr-x links uid gid size ..`, as POSIX has it for `ls -n`.
fn by_ls(words: &[&str]) -> Option<FileStat> {
    let &[mode, _links, uid, gid, size, ..] = words else { return None };
    let kind = match mode.bytes().next()? {
        b'-' => FileKind::File,
        b'd' => FileKind::Directory,
        b'l' => FileKind::Symlink,
        b'b' | b'c' | b'p' | b's' => FileKind::Other,
        _ => return None,
    };
    let letters = mode.as_bytes().get(1..10)?;
    let mut bits = 0;
    for (at, letter) in letters.iter().enumerate() {
        let (right, special) = (0o400 >> at, 0o4000 >> (at / 3));
        bits |= match letter {
            b'-' => 0,
            b's' | b't' => right | special,
            b'S' | b'T' => special,
            _ => right,
        };
    }
    // A device has two numbers in place of a size.
    Some(
        FileStat::new(kind)
            .size(size.parse().ok())
            .mode(bits)
            .uid(uid.parse::<u32>().ok()?)
            .gid(gid.parse::<u32>().ok()?),
    )
}

/// A time for `touch -t` in UTC: `[CC]YYMMDDhhmm.SS`.
pub(super) fn stamp(time: SystemTime) -> String {
    let seconds = seconds(time);
    let (days, of_day) = (seconds / 86400, seconds % 86400);
    // The days since 0000-03-01, so that the leap day is a year's last.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}{:02}{:02}.{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Seconds since 1970; 0 for earlier times.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_are_read() {
        let facts = |line: &str| parse(line.as_bytes()).map(|stat| (stat.kind, stat.size, stat.mode, stat.uid));
        for (line, kind, size, mode) in [
            ("81a4 12 5 6 1 2", FileKind::File, Some(12), 0o644),
            ("41ed 4096 5 6 1 -2", FileKind::Directory, Some(4096), 0o755),
            ("-rw-r--r--. 1 5 6 12 Jan  1 00:00 a b", FileKind::File, Some(12), 0o644),
            ("drwxrwxrwt 2 5 6 4096 Jan 1 2020 tmp", FileKind::Directory, Some(4096), 0o1777),
            ("-rwsr-S--x+ 1 5 6 0 Jan 1 2020 x", FileKind::File, Some(0), 0o6741),
            ("lrwxrwxrwx 1 5 6 3 Jan 1 2020 x -> abc", FileKind::Symlink, Some(3), 0o777),
            ("crw-rw-rw- 1 5 6 1, 3 Jan 1 2020 null", FileKind::Other, None, 0o666),
            ("prw------- 1 5 6 0 Jan 1 2020 fifo", FileKind::Other, Some(0), 0o600),
        ] {
            assert_eq!(facts(line), Some((kind, size, Some(mode), Some(5))), "{line}");
        }
        for line in ["", "nonsense", "-rw 1 2 3 4", "81a4 12 5 6 1", "Welcome to this machine of ours"] {
            assert_eq!(facts(line), None, "{line}");
        }
    }

    #[test]
    fn a_stamp_is_the_time_in_utc() {
        for (seconds, text) in [
            (0, "197001010000.00"),
            (951_782_399, "200002282359.59"),
            (951_782_400, "200002290000.00"),
            (1_709_164_800, "202402290000.00"),
            (4_107_542_399, "210002282359.59"),
            (4_107_542_400, "210003010000.00"),
        ] {
            assert_eq!(stamp(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
