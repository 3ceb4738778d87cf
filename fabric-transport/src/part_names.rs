//! The names of unfinished files (*parts*), which show their owner and whether it is alive.
//!
//! A part is called `.NAME.HEX.part`, with 32 hexadecimal digits. For most, these are a mark of this user on this machine
//! (16 digits), the process (8) and a number (8); for a part that can be resumed, a keyed hash of all that it belongs
//! to. Other users can't predict them: the key is in the user's private state.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use fabric_core::outcome::Direction;
use fabric_core::transport::FileStat;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::paths;

/// A part that was last written this long ago is dead, whoever owns it.
const DEAD_AFTER: Duration = Duration::from_hours(24);

/// How many digits a part has, and how many it had in versions that didn't record the owner.
const DIGITS: usize = 32;
const DIGITS_BEFORE: usize = 16;

/// How many of them are the user's mark, and how many the process.
const OWNER: usize = 16;
const PROCESS: usize = 8;

/// How much of a file's name a part's name contains: most systems limit names to 255 bytes.
const KEPT: usize = 200;

pub(crate) const ENDING: &[u8] = b".part";

const KEY_FILE: &str = "key";

/// Generates names of parts, and recognises those of this user. Each [`Connector`](crate::Connector) has one.
#[derive(Debug, Default)]
pub(crate) struct PartNames {
    state: Option<PathBuf>,
    secret: OnceLock<Secret>,
    /// Our parts that could not be removed.
    abandoned: Mutex<HashSet<Vec<u8>>>,
    /// The local directories that were searched.
    looked: Mutex<HashSet<Vec<u8>>>,
}

struct Secret {
    key: [u8; 32],
    /// The mark of this user on this machine since its boot.
    owner: String,
    /// The mark and this process.
    process: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a part that can be resumed belongs to.
pub(crate) struct Whole<'a> {
    pub(crate) host: &'a str,
    pub(crate) direction: Direction,
    pub(crate) from: &'a [u8],
    pub(crate) to: &'a [u8],
    pub(crate) stat: &'a FileStat,
}

impl PartNames {
    /// With the key that is kept in `dir`, which is made when it is first needed.
    pub(crate) fn with_state(dir: PathBuf) -> Self {
        Self { state: Some(dir), ..Self::default() }
    }

    /// A name beside `target` that no other has.
    pub(crate) fn fresh(&self, target: &[u8]) -> Vec<u8> {
        named(target, &format!("{}{:08x}", self.secret().process, rand::random::<u32>()))
    }

    /// A name beside `target`, always the same for the same [`Whole`]; `None` if the source's size or time is unknown.
    pub(crate) fn lasting(&self, target: &[u8], whole: &Whole<'_>) -> Option<Vec<u8>> {
        let modified = whole.stat.modified?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let fields: [&[u8]; 6] = [
            whole.host.as_bytes(),
            if whole.direction == Direction::Put { b"put" } else { b"get" },
            whole.from,
            whole.to,
            &whole.stat.size?.to_be_bytes(),
            &modified.as_nanos().to_be_bytes(),
        ];
        Some(named(target, &keyed(&self.secret().key, &fields)[..DIGITS]))
    }

    /// Whether a part is dead, if it was written by this user on this machine since its boot; `None` otherwise.
    pub(crate) fn is_ours_and_dead(&self, part: &PartName<'_>) -> Option<bool> {
        let process = part.digits.strip_prefix(self.secret().owner.as_bytes())?;
        let process = std::str::from_utf8(process.get(..PROCESS)?).ok()?;
        let process = u32::from_str_radix(process, 16).ok()?;
        if process == std::process::id() {
            return Some(self.abandoned.lock().contains(part.name));
        }
        let process = rustix::process::Pid::from_raw(i32::try_from(process).ok()?)?;
        Some(rustix::process::test_kill_process(process).is_err_and(|error| error == rustix::io::Errno::SRCH))
    }

    /// Notes that one of our parts is left behind because the host can't be reached to remove it.
    pub(crate) fn abandon(&self, path: &[u8]) {
        self.abandoned.lock().insert(paths::base(path).to_vec());
    }

    /// Whether a local directory was not searched before, and may contain parts of ours.
    pub(crate) fn is_new(&self, dir: &[u8]) -> bool {
        self.state.is_some() && self.looked.lock().insert(dir.to_vec())
    }

    fn secret(&self) -> &Secret {
        self.secret.get_or_init(|| {
            let kept = self.state.as_deref().map(kept_key).transpose();
            let kept = kept.unwrap_or_else(|error| {
                tracing::warn!(%error, "no private key is kept: transfers can't be resumed by another run");
                None
            });
            let key = kept.unwrap_or_else(rand::random);
            // Process numbers are unique on one machine, in one PID namespace, until the next boot.
            let machine = rustix::system::uname();
            let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
            let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            let fields: [&[u8]; 4] =
                [b"owner", machine.nodename().to_bytes(), space.as_os_str().as_encoded_bytes(), &boot];
            let owner = keyed(&key, &fields)[..OWNER].to_owned();
            let process = format!("{owner}{:08x}", std::process::id());
            Secret { key, owner, process }
        })
    }
}

/// A part, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartName<'a> {
    name: &'a [u8],
    /// The name of the file that it is a part of, as far as it is contained.
    pub(crate) of: &'a [u8],
    digits: &'a [u8],
}

impl<'a> PartName<'a> {
    /// Whether a name is that of a part.
    pub(crate) fn parse(name: &'a [u8]) -> Option<Self> {
        let inner = name.strip_prefix(b".")?.strip_suffix(ENDING)?;
        let (of, digits) = inner.split_at_checked(inner.iter().rposition(|b| *b == b'.')?)?;
        let digits = &digits[1..];
        let fits = matches!(digits.len(), DIGITS | DIGITS_BEFORE)
            && digits.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
        (fits && !of.is_empty()).then_some(Self { name, of, digits })
    }
}

/// Whether a part is dead, whoever owns it. `now` is the time on the side where the part is.
pub(crate) fn is_old(modified: Option<SystemTime>, now: Option<SystemTime>) -> bool {
    let age = modified.zip(now).and_then(|(modified, now)| now.duration_since(modified).ok());
    age.is_some_and(|age| age > DEAD_AFTER)
}

/// The portion of a file's name that the names of its parts contain.
pub(crate) fn kept(base: &[u8]) -> &[u8] {
    &base[..base.len().min(KEPT)]
}

fn named(target: &[u8], digits: &str) -> Vec<u8> {
    let name = [b".", kept(paths::base(target)), b".", digits.as_bytes(), ENDING].concat();
    paths::join(paths::parent(target), &name)
}

/// A keyed hash, in hexadecimal digits. Fields are length-prefixed, and half of the sum is not used, so that nothing
/// can be appended.
fn keyed(key: &[u8; 32], fields: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    digest.update(key);
    for field in fields {
        digest.update((field.len() as u64).to_be_bytes());
        digest.update(field);
    }
    hex(&digest.finalize())
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
    bytes.iter().flat_map(digits).collect()
}

/// The key that is kept in `dir`; it is made if there is none.
fn kept_key(dir: &Path) -> io::Result<[u8; 32]> {
    let path = dir.join(KEY_FILE);
    match read_key(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // Atomically, and never over a key that another run has just written.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(&rand::random::<[u8; 32]>())?;
    match file.persist_noclobber(&path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => read_key(&path),
    }
}

fn read_key(path: &Path) -> io::Result<[u8; 32]> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let mut file = fs::OpenOptions::new().read(true).custom_flags(no_follow).open(path)?;
    let meta = file.metadata()?;
    if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o077 != 0 || !meta.is_file() {
        let text = format!("{} must be a file of this user that no other can read", path.display());
        return Err(io::Error::other(text));
    }
    let mut key = [0; 32];
    file.read_exact(&mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole<'a>(host: &'a str, stat: &'a FileStat) -> Whole<'a> {
        Whole { host, direction: Direction::Put, from: b"/a/x", to: b"/srv/x", stat }
    }

    fn stat(size: u64, seconds: u64) -> FileStat {
        FileStat::new(fabric_core::transport::FileKind::File)
            .size(size)
            .modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn a_lasting_name_is_of_one_whole_and_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state/fabric");
        let parts = PartNames::with_state(state.clone());
        let (one, longer, later) = (stat(5, 7), stat(6, 7), stat(5, 8));
        let name = |parts: &PartNames, host, stat| parts.lasting(b"/srv/x", &whole(host, stat)).unwrap();
        let first = name(&parts, "h1", &one);
        assert!(first.starts_with(b"/srv/.x.") && first.ends_with(b".part"));
        assert!(PartName::parse(paths::base(&first)).is_some_and(|part| part.of == b"x"));
        for (host, stat) in [("h2", &one), ("h1", &longer), ("h1", &later)] {
            assert_ne!(name(&parts, host, stat), first);
        }
        // Another run has the same key, another user has not.
        assert_eq!(name(&PartNames::with_state(state.clone()), "h1", &one), first);
        assert_ne!(name(&PartNames::with_state(dir.path().join("other")), "h1", &one), first);
        assert_eq!(fs::metadata(state.join(KEY_FILE)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
        // One that others could read is not used.
        fs::set_permissions(state.join(KEY_FILE), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert_ne!(name(&PartNames::with_state(state), "h1", &one), first);
    }

    #[test]
    fn only_what_is_surely_dead_is() {
        let dir = tempfile::tempdir().unwrap();
        let parts = PartNames::with_state(dir.path().to_owned());
        let dead = |name: &[u8]| parts.is_ours_and_dead(&PartName::parse(name).unwrap());
        let ours = parts.fresh(b"x");
        let ours = paths::base(&ours);
        assert_eq!(dead(ours), Some(false));
        parts.abandon(ours);
        assert_eq!(dead(ours), Some(true));
        // A process that has ended, of this user and of another one.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        let by = |owner: &str| format!(".x.{owner}{pid:08x}00000000.part").into_bytes();
        let (mine, theirs) = (by(&parts.secret().owner), by("0123456789abcdef"));
        assert_eq!(dead(&mine), Some(false), "it is not reaped yet");
        child.wait().unwrap();
        assert_eq!((dead(&mine), dead(&theirs), dead(b".x.0123456789abcdef.part")), (Some(true), None, None));
        let now = Some(SystemTime::now());
        let ago = |age: Duration| now.and_then(|now| now.checked_sub(age));
        assert!(is_old(ago(DEAD_AFTER * 2), now) && !is_old(ago(DEAD_AFTER / 2), now));
        assert!(!is_old(None, now) && !is_old(ago(DEAD_AFTER * 2), None) && !is_old(now, ago(DEAD_AFTER * 2)));
    }

    #[test]
    fn a_name_is_of_a_part_only_in_full() {
        for no in [
            "x.0123456789abcdef.part",
            ".x.part",
            ".x.0123.part",
            ".x.0123456789ABCDEF.part",
            "..0123456789abcdef.part",
        ] {
            assert_eq!(PartName::parse(no.as_bytes()), None, "{no}");
        }
        let part = PartName::parse(b".a.b.0123456789abcdef.part").unwrap();
        assert_eq!(part.of, b"a.b");
        let long = vec![b'n'; 255];
        let name = PartNames::default().fresh(&long);
        assert!(paths::base(&name).len() <= 255);
        assert_eq!(PartName::parse(paths::base(&name)).unwrap().of, kept(&long));
    }
}
