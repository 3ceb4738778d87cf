//! The C functions that [`export_plugin!`](crate::export_plugin) builds around a plugin's trait. None of them lets a
//! panic out.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_int;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};

use serde::de::DeserializeOwned;

use crate::abi::{Buf, Status, Str};
use crate::{Cancel, GatewayPlugin, PluginError, TransportPlugin};

/// The one value of an exported gateway; [`export_plugin!`](crate::export_plugin) implements it.
pub trait ExportedGateway: GatewayPlugin {
    /// The static with the value.
    fn cell() -> &'static OnceLock<Self>;
}

/// The one value and the sessions of an exported transport; [`export_plugin!`](crate::export_plugin)
/// implements it.
pub trait ExportedTransport: TransportPlugin {
    /// The static with the value.
    fn cell() -> &'static OnceLock<Self>;
    /// The static with its sessions.
    fn sessions() -> &'static Sessions<Self::Session>;
}

/// The open sessions of a transport, by the numbers that the host uses for them.
pub struct Sessions<S> {
    next: AtomicU64,
    open: Mutex<Option<HashMap<u64, Arc<S>>>>,
}

impl<S> Sessions<S> {
    /// No sessions.
    #[expect(clippy::new_without_default, reason = "only ever a static")]
    pub const fn new() -> Self {
        Self { next: AtomicU64::new(1), open: Mutex::new(None) }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<u64, Arc<S>>) -> T) -> T {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        work(open.get_or_insert_with(HashMap::new))
    }

    fn get(&self, number: u64) -> Result<Arc<S>, PluginError> {
        self.with(|open| open.get(&number).cloned()).ok_or_else(|| PluginError::new("no such session"))
    }
}

/// The C functions of a plugin. Only the table of [`export_plugin!`](crate::export_plugin) calls them.
pub mod functions {
    use std::os::fd::IntoRawFd as _;

    use super::{
        Arc, Buf, ExportedGateway, ExportedTransport, Ordering, PluginError, Str, answer, borrow_cancel, c_int, guard,
        request,
    };
    use crate::TransportSession as _;

    /// `describe` of a gateway.
    ///
    /// # Safety
    ///
    /// As the header says: `out` points to a buffer.
    pub unsafe extern "C" fn describe_gateway<P: ExportedGateway>(out: *mut Buf) -> i32 {
        // SAFETY: the caller keeps the header's contract for `out`.
        unsafe { answer(out, || Ok(P::cell().get_or_init(P::default).describe())) }
    }

    /// `describe` of a transport.
    ///
    /// # Safety
    ///
    /// As the header says: `out` points to a buffer.
    pub unsafe extern "C" fn describe_transport<P: ExportedTransport>(out: *mut Buf) -> i32 {
        // SAFETY: the caller keeps the header's contract for `out`.
        unsafe { answer(out, || Ok(P::cell().get_or_init(P::default).describe())) }
    }

    /// `dial` of a gateway.
    ///
    /// # Safety
    ///
    /// As the header says: `text` is valid during the call, `fd` is open, the out pointers are writable.
    pub unsafe extern "C" fn dial<P: ExportedGateway>(text: Str, fd: c_int, out: *mut c_int, error: *mut Buf) -> i32 {
        guard(error, || {
            // SAFETY: the caller keeps the header's contract for `text` and `fd`.
            let (request, cancel) = unsafe { (request(text)?, borrow_cancel(fd)) };
            let stream = P::cell().get_or_init(P::default).dial(&request, &cancel)?;
            // SAFETY: the caller gave a writable place for one descriptor.
            unsafe { out.write(stream.into_raw_fd()) };
            Ok(())
        })
    }

    /// `open` of a transport.
    ///
    /// # Safety
    ///
    /// As the header says: `text` is valid during the call, `fd` is open, the out pointers are writable.
    pub unsafe extern "C" fn open<P: ExportedTransport>(text: Str, fd: c_int, out: *mut u64, error: *mut Buf) -> i32 {
        guard(error, || {
            // SAFETY: the caller keeps the header's contract for `text` and `fd`.
            let (request, cancel) = unsafe { (request(text)?, borrow_cancel(fd)) };
            let session = Arc::new(P::cell().get_or_init(P::default).open(&request, &cancel)?);
            let sessions = P::sessions();
            let number = sessions.next.fetch_add(1, Ordering::Relaxed);
            sessions.with(|open| open.insert(number, session));
            // SAFETY: the caller gave a writable place for one number.
            unsafe { out.write(number) };
            Ok(())
        })
    }

    /// `spawn` of a transport.
    ///
    /// # Safety
    ///
    /// As the header says: `text` is valid during the call, `fd` is open, `out` has room for four.
    pub unsafe extern "C" fn spawn<P: ExportedTransport>(
        session: u64,
        text: Str,
        fd: c_int,
        out: *mut c_int,
        error: *mut Buf,
    ) -> i32 {
        guard(error, || {
            // SAFETY: the caller keeps the header's contract for `text` and `fd`.
            let (request, cancel) = unsafe { (request(text)?, borrow_cancel(fd)) };
            let process = P::sessions().get(session)?.spawn(&request, &cancel)?;
            let stderr = process.stderr.map_or(-1, std::os::fd::IntoRawFd::into_raw_fd);
            let fds =
                [process.stdin.into_raw_fd(), process.stdout.into_raw_fd(), stderr, process.control.into_raw_fd()];
            // SAFETY: the caller gave a writable place for four descriptors.
            unsafe { out.cast::<[c_int; 4]>().write(fds) };
            Ok(())
        })
    }

    /// `files` of a transport.
    ///
    /// # Safety
    ///
    /// As the header says: `fd` is open, the out pointers are writable.
    pub unsafe extern "C" fn files<P: ExportedTransport>(
        session: u64,
        fd: c_int,
        out: *mut c_int,
        error: *mut Buf,
    ) -> i32 {
        guard(error, || {
            // SAFETY: the caller keeps the header's contract for `fd`.
            let cancel = unsafe { borrow_cancel(fd) };
            let stream = P::sessions().get(session)?.files(&cancel)?;
            // SAFETY: the caller gave a writable place for one descriptor.
            unsafe { out.write(stream.into_raw_fd()) };
            Ok(())
        })
    }

    /// `close` of a transport.
    pub extern "C" fn close<P: ExportedTransport>(session: u64) {
        let ended = || P::sessions().with(|open| open.remove(&session));
        guard(std::ptr::null_mut(), || {
            drop(ended());
            Ok::<(), PluginError>(())
        });
    }

    /// `free`.
    ///
    /// # Safety
    ///
    /// `buf` came from this plugin and was not freed before.
    pub unsafe extern "C" fn free(buf: Buf) {
        if !buf.ptr.is_null() {
            // SAFETY: `hand_out` took the parts of a `Vec` apart; here they come together again, once.
            drop(unsafe { Vec::from_raw_parts(buf.ptr, buf.len, buf.capacity) });
        }
    }
}

fn hand_out(bytes: Vec<u8>) -> Buf {
    let mut bytes = std::mem::ManuallyDrop::new(bytes);
    Buf { ptr: bytes.as_mut_ptr(), len: bytes.len(), capacity: bytes.capacity() }
}

thread_local! {
    /// Whether this thread is in a call of the host, and where it panicked.
    static IN_CALL: Cell<bool> = const { Cell::new(false) };
    static PANICKED_AT: Cell<Option<String>> = const { Cell::new(None) };
}

/// The host reports a panic in a call; it isn't printed into the host's output.
fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if IN_CALL.get() {
                PANICKED_AT.set(panic.location().map(ToString::to_string));
            } else {
                print(panic);
            }
        }));
    });
}

/// Runs the plugin's code; an error or a panic in it becomes a status and a text.
fn guard(error: *mut Buf, work: impl FnOnce() -> Result<(), PluginError>) -> i32 {
    keep_panics_quiet();
    let around = IN_CALL.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    IN_CALL.set(around);
    let (status, text) = match outcome {
        Ok(Ok(())) => (Status::Ok, None),
        Ok(Err(PluginError::Cancelled)) => (Status::Cancelled, None),
        Ok(Err(PluginError::Unsupported)) => (Status::Unsupported, None),
        Ok(Err(PluginError::Failed(reason))) => (Status::Failed, Some(reason)),
        Err(panic) => (Status::Panicked, Some(panic_text(panic.as_ref()))),
    };
    if let (Some(text), false) = (text, error.is_null()) {
        // SAFETY: not null, and the header asks the caller for a writable buffer.
        unsafe { error.write(hand_out(text.into_bytes())) };
    }
    status as i32
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("without a message");
    match PANICKED_AT.take() {
        Some(at) => format!("{text} ({at})"),
        None => text.to_owned(),
    }
}

/// Answers with JSON.
///
/// # Safety
///
/// `out` is null or writable.
unsafe fn answer<T: serde::Serialize>(out: *mut Buf, work: impl FnOnce() -> Result<T, PluginError>) -> i32 {
    let mut json = Vec::new();
    let status = guard(out, || {
        json = serde_json::to_vec(&work()?).map_err(|error| PluginError::new(error.to_string()))?;
        Ok(())
    });
    if status == Status::Ok as i32 && !out.is_null() {
        // SAFETY: not null, and writable as the caller vouches.
        unsafe { out.write(hand_out(json)) };
    }
    status
}

/// # Safety
///
/// `text` is valid during the call.
unsafe fn request<T: DeserializeOwned>(text: Str) -> Result<T, PluginError> {
    // SAFETY: valid during the call, as the caller vouches; what is returned owns its data.
    let text = unsafe { text.as_text() }.ok_or_else(|| PluginError::new("the request is not a text"))?;
    serde_json::from_str(text).map_err(|error| PluginError::new(format!("the request is invalid: {error}")))
}

/// # Safety
///
/// `fd` is negative or open for the whole call.
unsafe fn borrow_cancel<'fd>(fd: c_int) -> Cancel<'fd> {
    if fd < 0 {
        return Cancel::never();
    }
    // SAFETY: open for the whole call, as the caller vouches.
    Cancel::new(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Exports a type as the plugin of this library.
///
/// `export_plugin!(gateway Type)` for a [`GatewayPlugin`](crate::GatewayPlugin),
/// `export_plugin!(transport Type)` for a [`TransportPlugin`](crate::TransportPlugin).
#[macro_export]
macro_rules! export_plugin {
    (gateway $plugin:ty) => {
        impl $crate::export::ExportedGateway for $plugin {
            fn cell() -> &'static ::std::sync::OnceLock<Self> {
                static CELL: ::std::sync::OnceLock<$plugin> = ::std::sync::OnceLock::new();
                &CELL
            }
        }
        $crate::export_plugin!(@entry <$plugin as $crate::GatewayPlugin>::NAME, <$plugin as $crate::GatewayPlugin>::VERSION, {
            describe: Some($crate::export::functions::describe_gateway::<$plugin>),
            dial: Some($crate::export::functions::dial::<$plugin>),
            open: None,
            spawn: None,
            files: None,
            close: None,
        });
    };
    (transport $plugin:ty) => {
        impl $crate::export::ExportedTransport for $plugin {
            fn cell() -> &'static ::std::sync::OnceLock<Self> {
                static CELL: ::std::sync::OnceLock<$plugin> = ::std::sync::OnceLock::new();
                &CELL
            }
            fn sessions() -> &'static $crate::export::Sessions<Self::Session> {
                static SESSIONS: $crate::export::Sessions<<$plugin as $crate::TransportPlugin>::Session> =
                    $crate::export::Sessions::new();
                &SESSIONS
            }
        }
        $crate::export_plugin!(@entry <$plugin as $crate::TransportPlugin>::NAME, <$plugin as $crate::TransportPlugin>::VERSION, {
            describe: Some($crate::export::functions::describe_transport::<$plugin>),
            dial: None,
            open: Some($crate::export::functions::open::<$plugin>),
            spawn: Some($crate::export::functions::spawn::<$plugin>),
            files: Some($crate::export::functions::files::<$plugin>),
            close: Some($crate::export::functions::close::<$plugin>),
        });
    };
    (@entry $name:expr, $version:expr, { $($field:ident: $value:expr,)+ }) => {
        #[cfg(panic = "abort")]
        ::std::compile_error!("a plugin needs `panic = \"unwind\"`: an abort would end fab with it");

        /// The only exported symbol of a plugin.
        #[allow(unsafe_code, unreachable_pub, reason = "the C ABI is looked up by this very name")]
        #[unsafe(no_mangle)]
        pub extern "C" fn fabric_plugin_entry() -> *const $crate::abi::Table {
            static TABLE: $crate::abi::Table = $crate::abi::Table {
                abi_version: $crate::abi::ABI_VERSION,
                size: ::std::mem::size_of::<$crate::abi::Table>() as u32,
                name: $crate::abi::Str::from_static($name),
                version: $crate::abi::Str::from_static($version),
                $($field: $value,)+
                free: Some($crate::export::functions::free),
            };
            &raw const TABLE
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Description, DialRequest};
    use std::os::fd::OwnedFd;

    #[derive(Default)]
    struct Bad;

    impl GatewayPlugin for Bad {
        const NAME: &'static str = "bad";
        const VERSION: &'static str = "0";
        fn describe(&self) -> Description {
            Description::gateway("panics")
        }
        fn dial(&self, request: &DialRequest, _cancel: &Cancel) -> Result<OwnedFd, PluginError> {
            panic!("cannot dial {}", request.host)
        }
    }

    crate::export_plugin!(gateway Bad);

    fn take(buf: Buf) -> String {
        // SAFETY: it comes from this library's own functions, which fill it with UTF-8.
        let text = unsafe { Str { ptr: buf.ptr, len: buf.len }.as_text() }.unwrap().to_owned();
        // SAFETY: from this plugin, once.
        unsafe { functions::free(buf) };
        text
    }

    #[test]
    fn a_panic_is_an_answer() {
        // SAFETY: the table is static.
        let table = unsafe { &*fabric_plugin_entry() };
        let mut buf = Buf::empty();
        // SAFETY: called as the header says.
        assert_eq!(unsafe { table.describe.unwrap()(&raw mut buf) }, 0);
        assert!(take(buf).contains("\"gateway\""));
        let (mut fd, mut error) = (-1, Buf::empty());
        let request = Str::borrowed(r#"{"url":"bad://","host":"web1","port":22}"#);
        // SAFETY: called as the header says.
        let status = unsafe { table.dial.unwrap()(request, -1, &raw mut fd, &raw mut error) };
        assert_eq!(Status::from_number(status), Some(Status::Panicked));
        let text = take(error);
        assert!(text.starts_with("cannot dial web1 (") && text.contains("export.rs:"), "{text}");
        assert_eq!(fd, -1);
        let mut error = Buf::empty();
        // SAFETY: called as the header says.
        let status = unsafe { table.dial.unwrap()(Str::borrowed("{"), -1, &raw mut fd, &raw mut error) };
        assert_eq!(Status::from_number(status), Some(Status::Failed));
        assert!(take(error).contains("the request is invalid"));
    }
}
