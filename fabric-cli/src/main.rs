//! The program `fab`; see the library `fabric_cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    fabric_cli::main()
}
