//! Loading a library and reading its table. Only this file and [`perform`](super::perform) have unsafe code.
#![allow(unsafe_code, reason = "a C ABI is crossed here")]

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use fabric_plugin_sdk::Description;
use fabric_plugin_sdk::abi::{ABI_VERSION, Buf, ENTRY_SYMBOL, Entry, Status, Str, Table};
use parking_lot::Mutex;

use super::introduction::{Introduction, PluginLoadError};

/// A loaded library; it is never unloaded.
pub(super) struct Library {
    pub(super) file: PathBuf,
    pub(super) introduction: Introduction,
    pub(super) table: Table,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library")
            .field("file", &self.file)
            .field("name", &self.introduction.name)
            .finish_non_exhaustive()
    }
}

/// The time limit for loading, the plugin's description included.
pub(super) const LOAD_LIMIT: Duration = Duration::from_secs(5);

/// Names that a plugin must not replace.
const BUILT_IN: [&str; 2] = ["ssh", "local"];

/// One instance per file in the whole program, as a library has its statics once.
static LOADED: Mutex<Option<HashMap<PathBuf, Arc<Library>>>> = Mutex::new(None);

pub(super) fn load(file: &Path) -> Result<Arc<Library>, PluginLoadError> {
    let error = |reason: String| PluginLoadError::new(file, &reason);
    let path = file.canonicalize().map_err(|e| error(format!("cannot be read: {e}")))?;
    check_owner(file, &path).map_err(error)?;
    let loaded = || LOADED.lock();
    if let Some(library) = loaded().get_or_insert_with(HashMap::new).get(&path) {
        return Ok(library.clone());
    }
    // The library's code runs for the first time here, on a thread that may be abandoned.
    let (opened, opening) = mpsc::channel();
    let there = path.clone();
    std::thread::Builder::new()
        .name("plugin".to_owned())
        .spawn(move || opened.send(open(&there)))
        .map_err(|e| error(e.to_string()))?;
    let library = opening.recv_timeout(LOAD_LIMIT).map_err(|stuck| match stuck {
        mpsc::RecvTimeoutError::Timeout => {
            error(format!("did not describe itself within {} s", LOAD_LIMIT.as_secs_f64()))
        }
        mpsc::RecvTimeoutError::Disconnected => error("its thread ended without an answer".to_owned()),
    })?;
    let library = Arc::new(library.map_err(error)?);
    Ok(loaded().get_or_insert_with(HashMap::new).entry(path).or_insert(library).clone())
}

/// Refuses a file that another user could have written or replaced: a library runs with all rights of this program.
/// `given` may be a link to `path`.
fn check_owner(given: &Path, path: &Path) -> Result<(), String> {
    const OTHERS_WRITE: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let about = |path: &Path| std::fs::metadata(path).map_err(|e| format!("cannot be read: {e}"));
    let own = rustix::process::geteuid().as_raw();
    let foreign = |uid: u32| uid != own && uid != 0;
    let file = about(path)?;
    if !file.is_file() {
        return Err("is not a file: name the library in it".to_owned());
    }
    let refused = |what: &str, at: &Path, about: &Metadata| {
        let at = at.display();
        Err(if foreign(about.uid()) {
            format!("refused, because {what} belongs to another user (uid {}): chown {own} {at}", about.uid())
        } else {
            format!("refused, because others may write {what}: chmod go-w {at}")
        })
    };
    let others_may = |about: &Metadata| about.mode() & OTHERS_WRITE != 0 || foreign(about.uid());
    if others_may(&file) {
        return refused("it", path, &file);
    }
    for parent in [path, given].into_iter().filter_map(Path::parent) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let dir = about(parent)?;
        if dir.mode() & STICKY == 0 && others_may(&dir) {
            return refused("its directory", parent, &dir);
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<Library, String> {
    #[cfg(not(target_vendor = "apple"))]
    super::elf::check(path)?;
    // SAFETY: running the initialisers of a library that only the user or root could have put there is what
    // the user asked for.
    let library = unsafe { libloading::Library::new(path) }.map_err(|error| {
        // The dynamic linker's message, if it has one.
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        format!("cannot be loaded: {why}")
    })?;
    // Never unloaded: its threads and thread-local destructors may run later.
    let library: &'static libloading::Library = Box::leak(Box::new(library));
    // SAFETY: the ABI fixes the type of this symbol.
    let entry = unsafe { library.get::<Entry>(ENTRY_SYMBOL) }
        .map_err(|_| "has no symbol fabric_plugin_entry (export_plugin!): it is not a Fabric plugin".to_owned())?;
    // SAFETY: the entry takes nothing and returns a pointer to a static table, or null.
    let table = unsafe { entry() };
    let table = read_table(table)?;

    let text = |text: Str, what: &str| {
        // SAFETY: the ABI makes these texts live as long as the library, which is for good.
        let text = unsafe { text.as_text() }.filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| format!("its {what} is missing or not UTF-8"))
    };
    let name = text(table.name, "name")?;
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')) {
        return Err(format!("its name {name:?} is not a scheme"));
    }
    if BUILT_IN.contains(&name.as_str()) {
        return Err(format!("its name `{name}` is that of a built-in transport: give it another"));
    }
    let version = text(table.version, "version")?;
    let description = describe(&table)?;
    let introduction = Introduction { name, version, abi: table.abi_version, description };
    Ok(Library { file: path.to_owned(), introduction, table })
}

/// Reads version and size first, and no field beyond the size.
fn read_table(table: *const Table) -> Result<Table, String> {
    if table.is_null() {
        return Err("its entry returned nothing".to_owned());
    }
    if !table.is_aligned() {
        return Err("its table is not aligned".to_owned());
    }
    let head = table.cast::<u32>();
    // SAFETY: not null, aligned, and every version of the table begins with two 32-bit numbers.
    let (version, size) = unsafe { (head.read(), head.add(1).read()) };
    if version >> 16 != ABI_VERSION >> 16 {
        return Err(format!(
            "was built for ABI {}.{}, this program has {}.{}: rebuild it",
            version >> 16,
            version & 0xffff,
            ABI_VERSION >> 16,
            ABI_VERSION & 0xffff
        ));
    }
    if (size as usize) < size_of::<Table>() {
        return Err(format!("its table has {size} bytes, ABI 1.0 has {}", size_of::<Table>()));
    }
    // SAFETY: the plugin says that there are at least as many bytes as our table has.
    Ok(unsafe { table.read() })
}

fn describe(table: &Table) -> Result<Description, String> {
    let describe = table.describe.ok_or("it has no function `describe`")?;
    let mut buf = Buf::empty();
    // SAFETY: called as the header says, with a writable buffer.
    let status = unsafe { describe(&raw mut buf) };
    let text = take(table, buf)?;
    if Status::from_number(status) != Some(Status::Ok) {
        let why = if text.is_empty() { "it gives no reason" } else { &text };
        return Err(format!("cannot describe itself: {why}"));
    }
    let description: Description =
        serde_json::from_str(&text).map_err(|e| format!("its description is invalid: {e}"))?;
    let complete = match description.kind {
        fabric_plugin_sdk::PluginKind::Gateway => table.dial.is_some(),
        fabric_plugin_sdk::PluginKind::Transport => table.open.is_some() && table.spawn.is_some(),
        _ => false,
    };
    if complete {
        Ok(description)
    } else {
        Err(format!("has the kind {:?}, but not its functions", description.kind).to_lowercase())
    }
}

/// Copies a plugin's text and frees it.
pub(super) fn take(table: &Table, buf: Buf) -> Result<String, String> {
    /// Longer than any sensible message.
    const LONGEST: usize = 1024 * 1024;
    if buf.ptr.is_null() {
        return Ok(String::new());
    }
    if buf.len > LONGEST {
        return Err(format!("its answer is {} bytes long", buf.len));
    }
    // SAFETY: the plugin says that these bytes are there until they are given back, below.
    let bytes = unsafe { std::slice::from_raw_parts(buf.ptr, buf.len) }.to_vec();
    if let Some(free) = table.free {
        // SAFETY: it came from this plugin, and is given back once.
        unsafe { free(buf) };
    }
    String::from_utf8(bytes).map_err(|_| "its answer is not UTF-8".to_owned())
}
