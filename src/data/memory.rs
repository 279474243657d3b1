//! Room in memory, asked for before it is used: what the system refuses is an error
//! here, where an allocation would end the program.

use std::path::Path;

use super::error::DataError;

/// Whether there is room for `bytes` bytes for each of `rows` events. It is given back
/// at once: whoever allocates next has it.
///
/// # Errors
/// [`DataError::NoRoom`]
pub(crate) fn room_for(rows: usize, bytes: usize) -> Result<(), DataError> {
    room_for_all(rows, [rows.saturating_mul(bytes)])
}

/// Whether there is room for arrays of these sizes, in bytes, at the same time: an
/// allocator may find room for one large array and none for the same in pieces.
///
/// # Errors
/// [`DataError::NoRoom`] for `rows` events.
pub(crate) fn room_for_all(
    rows: usize,
    sizes: impl IntoIterator<Item = usize>,
) -> Result<(), DataError> {
    let held: Result<Vec<Vec<u8>>, _> = sizes
        .into_iter()
        .map(|bytes| {
            let mut probe = Vec::new();
            probe.try_reserve_exact(bytes).map(|()| probe)
        })
        .collect();
    match held {
        Ok(_) => Ok(()),
        Err(source) => Err(DataError::NoRoom { rows, source }),
    }
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
    }
}
