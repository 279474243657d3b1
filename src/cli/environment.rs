//! Variables of the environment that libraries read without asking whether what
//! they say can be: a number of threads or a size of stacks that no machine has
//! would hang or end the program.

use crate::error::{Error, Result};
use crate::files::terminal;
use crate::settings::THREADS;

/// Sizes of a thread's stack that the program works with, bytes.
const STACK: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 30;

/// Sees to it that the environment does no harm.
pub(super) fn check() -> Result<()> {
    let number = |name: &str| -> Option<u64> {
        let text = std::env::var(name).ok()?;
        // a number that is longer than any is none to its reader, too
        text.trim().parse().ok()
    };
    if let Some(bytes) = number("RUST_MIN_STACK").filter(|bytes| !STACK.contains(bytes)) {
        return Err(Error::usage(format!(
            "RUST_MIN_STACK={bytes}: threads cannot work with such a stack; unset it, or set it \
             to {} to {} bytes",
            STACK.start(),
            STACK.end()
        )));
    }
    for name in ["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"] {
        let Some(threads) = number(name).filter(|n| *n > THREADS as u64) else {
            continue;
        };
        let own = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // if there are threads already, the variable had no effect
        let pool = rayon::ThreadPoolBuilder::new().num_threads(own);
        if pool.build_global().is_ok() {
            terminal::say(&format!(
                "{name}={threads} is more than {THREADS} threads and is passed over: {own} threads"
            ));
        }
    }
    Ok(())
}
