//! The program `fab`; see the library `fabric_cli`.

use std::process::ExitCode;

/// Hundreds of logins at the same time make and drop many small things on several threads: a sixth less processor time
/// than with glibc's allocator (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    fabric_cli::Program::new().main()
}
