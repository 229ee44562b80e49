//! The command `sim-harness`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim_harness::cli::main()
}
