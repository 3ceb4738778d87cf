//! The C table, as in `include/fabric_plugin.h`. Fields are only ever appended.
//!
//! Authors of plugins don't need this: [`export_plugin!`](crate::export_plugin) fills the table in. The loader and the
//! tests of the header use it.

use std::ffi::c_int;

/// The version of the ABI: the high half must be equal on both sides; the low half counts additions.
pub const ABI_VERSION: u32 = 0x0001_0000;

/// The name of the one exported symbol, with its terminating zero.
pub const ENTRY_SYMBOL: &[u8] = b"fabric_plugin_entry\0";

/// A text that is owned by the caller and valid during the call: UTF-8, not terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Str {
    /// Its first byte; may be null where `len` is 0.
    pub ptr: *const u8,
    /// Its length in bytes.
    pub len: usize,
}

// SAFETY: a `Str` is a pointer to bytes that are not written while it is valid.
unsafe impl Send for Str {}
// SAFETY: as above.
unsafe impl Sync for Str {}

impl Str {
    /// A text that lives as long as the program.
    pub const fn from_static(text: &'static str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len() }
    }

    /// A text borrowed for a call.
    pub fn borrowed(text: &str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len() }
    }

    /// The text; `None` if it is null with a length, or not UTF-8.
    ///
    /// # Safety
    ///
    /// `ptr` must be null or point to `len` bytes that stay unchanged for `'a`.
    pub unsafe fn as_text<'a>(self) -> Option<&'a str> {
        if self.len == 0 {
            return Some("");
        }
        if self.ptr.is_null() || isize::try_from(self.len).is_err() {
            return None;
        }
        // SAFETY: not null, and the caller vouches for the bytes.
        let bytes = unsafe { std::slice::from_raw_parts(self.ptr, self.len) };
        std::str::from_utf8(bytes).ok()
    }
}

/// A text that the plugin owns until the host passes it to the plugin's `free`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Buf {
    /// Its first byte; null where there is no text.
    pub ptr: *mut u8,
    /// Its length in bytes.
    pub len: usize,
    /// The allocated size, for the plugin's own use.
    pub capacity: usize,
}

impl Buf {
    /// No text.
    pub const fn empty() -> Self {
        Self { ptr: std::ptr::null_mut(), len: 0, capacity: 0 }
    }
}

/// The result of a call.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Success.
    Ok = 0,
    /// Failure; the error text contains the reason.
    Failed = 1,
    /// The cancel descriptor became readable.
    Cancelled = 2,
    /// Not supported by the plugin.
    Unsupported = 3,
    /// The plugin's code panicked.
    Panicked = 4,
}

impl Status {
    /// The status of this number, if there is one.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Ok, Self::Failed, Self::Cancelled, Self::Unsupported, Self::Panicked]
            .into_iter()
            .find(|status| *status as i32 == number)
    }
}

/// The table that a plugin exports; see the header for each function's contract.
#[repr(C)]
#[derive(Debug)]
pub struct Table {
    /// [`ABI_VERSION`] of the SDK it was built with.
    pub abi_version: u32,
    /// The size of this struct in the SDK it was built with.
    pub size: u32,
    /// The scheme or transport name that it implements.
    pub name: Str,
    /// Its own version.
    pub version: Str,
    /// Its description, as JSON.
    pub describe: Option<unsafe extern "C" fn(out: *mut Buf) -> i32>,
    /// Gateways: a connected stream.
    pub dial: Option<unsafe extern "C" fn(request: Str, cancel_fd: c_int, out_fd: *mut c_int, error: *mut Buf) -> i32>,
    /// Transports: a session.
    pub open: Option<unsafe extern "C" fn(request: Str, cancel_fd: c_int, session: *mut u64, error: *mut Buf) -> i32>,
    /// Transports: a process.
    pub spawn: Option<
        unsafe extern "C" fn(session: u64, request: Str, cancel_fd: c_int, out_fds: *mut c_int, error: *mut Buf) -> i32,
    >,
    /// Transports: a stream that speaks SFTP.
    pub files: Option<unsafe extern "C" fn(session: u64, cancel_fd: c_int, out_fd: *mut c_int, error: *mut Buf) -> i32>,
    /// Transports: the session has ended.
    pub close: Option<unsafe extern "C" fn(session: u64)>,
    /// Frees what the plugin returned.
    pub free: Option<unsafe extern "C" fn(buf: Buf)>,
}

/// The type of the exported symbol.
pub type Entry = unsafe extern "C" fn() -> *const Table;
