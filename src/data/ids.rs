//! Event identity: the integers that name an event, and the 64-bit key that is
//! made of them.
//!
//! Splits and Poisson weights of ensemble members are functions of the key, so
//! it must never change: not with the platform, the number of threads, the
//! order of files, nor between versions of the program.

/// How an event is told from every other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdSpec {
    /// By integer columns of the file, in this order.
    Columns(Vec<String>),
    /// By the file's place in the sorted list and the row in the file. Changes
    /// with the list of files.
    FileRow,
}

/// One integer of the identity, for every event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdColumn {
    /// The column's name; `file` and `row` for [`IdSpec::FileRow`].
    pub name: String,
    /// Whether `bits` are those of an `i64`.
    pub signed: bool,
    /// The values; a signed one as the two's complement of its `i64`.
    pub bits: Vec<u64>,
}

/// Identities of the `N` events of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// The original integers.
    pub columns: Vec<IdColumn>,
    /// [`event_key`] of each event.
    pub key: Vec<u64>,
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
/// 2^64 / golden ratio, the increment of splitmix64.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The key of an event: `h = mix(fnv1a_64(namespace))`, then for each value
/// `h = mix((h xor value) + 0x9e3779b97f4a7c15)`, where `mix` is the finaliser
/// of splitmix64 (Steele, Lea, Flood 2014) and arithmetic wraps. Each step is a
/// bijection of the value, so events with one id column never collide within a
/// namespace.
pub fn event_key(namespace: &str, values: &[u64]) -> u64 {
    values
        .iter()
        .fold(namespace_seed(namespace), |key, &value| {
            extend_key(key, value)
        })
}

/// The part of [`event_key`] that only depends on the namespace.
pub(super) fn namespace_seed(namespace: &str) -> u64 {
    let hash = namespace.bytes().fold(FNV_OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
    });
    mix(hash)
}

/// One more value into the key.
pub(super) fn extend_key(key: u64, value: u64) -> u64 {
    mix((key ^ value).wrapping_add(GOLDEN_GAMMA))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values from an independent Python implementation of the formula.
    #[test]
    fn the_key_never_changes() {
        assert_eq!(event_key("", &[]), 0xf52a15e9a9b5e89b);
        assert_eq!(event_key("", &[0]), 0xe587d3dff9e92ed0);
        assert_eq!(event_key("data", &[1]), 0x4030db2877d3a55a);
        assert_eq!(event_key("data", &[42, 7]), 0xa1452bce3355bcd8);
        assert_eq!(event_key("µ", &[18446744073709551615]), 0xf4ce1673f05914c9);
        assert_eq!(event_key("hh4b", &[310, 12345678901]), 0xca8e52c58e6d599d);
    }

    #[test]
    fn namespaces_and_order_matter() {
        assert_ne!(event_key("a", &[1]), event_key("b", &[1]));
        assert_ne!(event_key("a", &[1, 2]), event_key("a", &[2, 1]));
        assert_ne!(event_key("a", &[0]), event_key("a", &[0, 0]));
    }
}
