//! `sideband`: parse, run, exit code.

use std::process::ExitCode;

/// Large activations come and go in every step: mimalloc keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sideband::cli::main().into()
}
