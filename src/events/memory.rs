//! Room in memory, asked for before it is used: what the system refuses is an error
//! here, where an allocation would end the program.

use std::path::Path;

use bytemuck::Zeroable;
use bytemuck::allocation::try_zeroed_vec;

use super::error::DataError;

/// Whether there is room for `bytes` bytes for each of `rows` events. It is given back
/// at once: whoever allocates next has it.
///
/// # Errors
/// [`DataError::NoRoom`]
pub(crate) fn room_for(rows: usize, bytes: usize) -> Result<(), DataError> {
    let mut probe: Vec<u8> = Vec::new();
    probe
        .try_reserve_exact(rows.saturating_mul(bytes))
        .map_err(|source| DataError::NoRoom { rows, source })
}

/// `width` zeros for each of `rows` events, of memory that the system has zeroed where
/// it can.
///
/// # Errors
/// [`DataError::NoRoom`]
pub(crate) fn zeros<T: Zeroable + Copy>(rows: usize, width: usize) -> Result<Vec<T>, DataError> {
    let length = rows.saturating_mul(width);
    try_zeroed_vec(length).or_else(|()| {
        // what is wrong is known to this one alone
        let mut list = Vec::new();
        list.try_reserve_exact(length)
            .map_err(|source| DataError::NoRoom { rows, source })?;
        list.resize(length, T::zeroed());
        Ok(list)
    })
}

/// Whether there is room for `bytes` bytes of a file.
///
/// # Errors
/// [`DataError::NoMemory`]
pub(crate) fn bytes(bytes: usize, path: &Path) -> Result<(), DataError> {
    let mut probe: Vec<u8> = Vec::new();
    probe
        .try_reserve_exact(bytes)
        .map_err(|source| DataError::NoMemory {
            path: path.to_owned(),
            bytes,
            source,
        })
}

/// An empty list with room for `length` values.
///
/// # Errors
/// [`DataError::NoRoom`]
pub(crate) fn reserved<T>(length: usize) -> Result<Vec<T>, DataError> {
    let mut list = Vec::new();
    list.try_reserve_exact(length)
        .map_err(|source| DataError::NoRoom {
            rows: length,
            source,
        })?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_cannot_be_had_is_an_error() {
        room_for(1000, 8).unwrap();
        assert!(matches!(
            room_for(usize::MAX / 4, 8),
            Err(DataError::NoRoom { .. })
        ));
        assert_eq!(reserved::<u64>(10).unwrap().capacity(), 10);
        assert!(reserved::<u64>(usize::MAX / 16).is_err());
        assert_eq!(zeros::<f32>(3, 2).unwrap(), [0.0; 6]);
        let too_much = zeros::<f64>(usize::MAX / 16, 1);
        assert!(matches!(too_much, Err(DataError::NoRoom { rows, .. }) if rows == usize::MAX / 16));
        assert!(zeros::<f64>(usize::MAX / 16, 17).is_err());
    }
}
