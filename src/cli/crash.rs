//! A panic is a bug, and the user gets it as an error with its exit code. The
//! panics of decoders and backends are caught where they happen and become
//! errors there; none of them is printed.

use super::exit::Exit;
use super::out::Done;
use crate::error::Error;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::{Mutex, PoisonError};

/// What the last panic said, and where.
static LAST: Mutex<Option<String>> = Mutex::new(None);

fn note(info: &PanicHookInfo<'_>) {
    let said = info.payload_as_str().unwrap_or("no reason given");
    let place = info
        .location()
        .map_or_else(String::new, |l| format!(" ({l})"));
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{said}{place}"));
}

/// Does the work; a panic in it, and an internal error that came from one in a
/// thread, say what happened and where.
pub(super) fn guard(work: impl FnOnce() -> Done) -> Done {
    set_hook(Box::new(note));
    let error = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Err(error)) if Exit::from(error.kind()) == Exit::Internal => error,
        Ok(done) => return done,
        Err(_) => Error::internal("a fault of the program, please report it"),
    };
    Err(error.map(
        |text| match LAST.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(said) => format!("{text}: {said}"),
            None => text,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_panic_becomes_an_internal_error_with_its_place() {
        let error = guard(|| std::panic::panic_any("no such bin".to_owned())).unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        let text = error.to_string();
        assert!(text.contains("no such bin"), "{text}");
        assert!(text.contains("crash.rs"), "{text}");
    }
}
