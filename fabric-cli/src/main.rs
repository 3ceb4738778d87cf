//! The program `fab`. See the library `fabric_cli`.

use std::process::ExitCode;

/// Concurrent logins allocate and free many small objects on several threads: this takes a sixth less processor time than
/// glibc's allocator (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    fabric_cli::Program::new().main()
}
