//! Room in memory, asked for before it is used: what the system refuses is an error
//! here, where an allocation would end the program.

use crate::error::{Error, Result};
use std::collections::TryReserveError;
use std::path::Path;

use bytemuck::Zeroable;
use bytemuck::allocation::try_zeroed_vec;

/// The events would not fit in the memory.
fn no_room(rows: usize) -> impl Fn(TryReserveError) -> Error {
    move |e| {
        let text = format!("there is no memory for {rows} events: {e}; select fewer, or read them");
        Error::data(text + " as a stream ([data.stream])")
    }
}

/// Whether there is room for `bytes` bytes for each of `rows` events. It is given back
/// at once: whoever allocates next has it.
pub(crate) fn room_for(rows: usize, bytes: usize) -> Result<()> {
    let mut probe: Vec<u8> = Vec::new();
    probe
        .try_reserve_exact(rows.saturating_mul(bytes))
        .map_err(no_room(rows))
}

/// `width` zeros for each of `rows` events, of memory that the system has zeroed where
/// it can.
pub(crate) fn zeros<T: Zeroable + Copy>(rows: usize, width: usize) -> Result<Vec<T>> {
    let length = rows.saturating_mul(width);
    try_zeroed_vec(length).or_else(|()| {
        // what is wrong is known to this one alone
        let mut list = Vec::new();
        list.try_reserve_exact(length).map_err(no_room(rows))?;
        list.resize(length, T::zeroed());
        Ok(list)
    })
}

/// Whether there is room for `bytes` bytes of a file.
pub(crate) fn bytes(bytes: usize, path: &Path) -> Result<()> {
    let mut probe: Vec<u8> = Vec::new();
    probe.try_reserve_exact(bytes).map_err(|e| {
        let text = format!("there is no memory for a column of {bytes} bytes: {e}");
        Error::data(text + "; write the file with shorter row groups").at(path.display())
    })
}

/// An empty list with room for `length` values.
pub(crate) fn reserved<T>(length: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(length).map_err(no_room(length))?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_cannot_be_had_is_an_error() {
        room_for(1000, 8).unwrap();
        let none = |rows: usize| format!("there is no memory for {rows} events: ");
        let error = room_for(usize::MAX / 4, 8).unwrap_err().to_string();
        assert!(error.starts_with(&none(usize::MAX / 4)), "{error}");
        assert_eq!(reserved::<u64>(10).unwrap().capacity(), 10);
        assert!(reserved::<u64>(usize::MAX / 16).is_err());
        assert_eq!(zeros::<f32>(3, 2).unwrap(), [0.0; 6]);
        let error = zeros::<f64>(usize::MAX / 16, 1).unwrap_err().to_string();
        assert!(error.starts_with(&none(usize::MAX / 16)), "{error}");
        assert!(zeros::<f64>(usize::MAX / 16, 17).is_err());
    }
}
