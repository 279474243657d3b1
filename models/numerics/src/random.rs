//! Counter-based random numbers: Threefry-2x32 with 20 rounds.
//!
//! Every random number is a pure function of a key and a counter, so that
//! nothing depends on the order in which members, batches or threads ask for
//! it. A [`Key`] is derived word by word (seed, ensemble, member, attempt,
//! purpose, index); a [`Stream`] counts upwards under one key and implements
//! [`rand::Rng`] for anything that wants a generator.
//!
//! Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"
//! (SC'11), doi:10.1145/2063384.2063405; the tests hold it to the known answers
//! of its Random123 library.

use crate::lanes::{Simd, WithSimd, dispatch};
use pulp::bytemuck;
use rand::rand_core::Infallible;
use std::f64::consts::TAU;

const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
const SKEIN_PARITY: u32 = 0x1BD1_1BDA;

/// Threefry-2x32-20: encrypts the 64-bit `counter` under the 64-bit `key`.
#[inline]
fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let schedule = [key[0], key[1], SKEIN_PARITY ^ key[0] ^ key[1]];
    let mut x0 = counter[0].wrapping_add(schedule[0]);
    let mut x1 = counter[1].wrapping_add(schedule[1]);
    for group in 0..5 {
        let offset = (group % 2) * 4;
        for rotation in &ROTATIONS[offset..offset + 4] {
            x0 = x0.wrapping_add(x1);
            x1 = x1.rotate_left(*rotation) ^ x0;
        }
        let injection = group + 1;
        x0 = x0.wrapping_add(schedule[injection % 3]);
        x1 = x1
            .wrapping_add(schedule[(injection + 1) % 3])
            .wrapping_add(injection as u32);
    }
    [x0, x1]
}

/// [`Key::at`] of consecutive counters, a counter a lane.
struct Words<'a> {
    key: [u32; 2],
    first: u64,
    to: &'a mut [u64],
}

impl WithSimd for Words<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [a, b] = self.key;
        let schedule = [a, b, SKEIN_PARITY ^ a ^ b];
        let splat = |value: u32| simd.splat_u32s(value);
        let mut first = self.first;
        for to in self.to.chunks_mut(S::U32_LANES) {
            let mut words = [splat(0); 2];
            let [low, high] = words.each_mut().map(|words| -> &mut [u32] {
                bytemuck::cast_slice_mut(std::slice::from_mut(words))
            });
            for (lane, (low, high)) in low.iter_mut().zip(high).enumerate() {
                [*low, *high] = split(first.wrapping_add(lane as u64));
            }
            let [mut x0, mut x1] = words;
            x0 = simd.add_u32s(x0, splat(schedule[0]));
            x1 = simd.add_u32s(x1, splat(schedule[1]));
            for group in 0..5 {
                let offset = (group % 2) * 4;
                for rotation in &ROTATIONS[offset..offset + 4] {
                    x0 = simd.add_u32s(x0, x1);
                    let left = simd.wrapping_dyn_shl_u32s(x1, splat(*rotation));
                    let right = simd.wrapping_dyn_shr_u32s(x1, splat(32 - rotation));
                    x1 = simd.xor_u32s(simd.or_u32s(left, right), x0);
                }
                let injection = group + 1;
                let second = schedule[(injection + 1) % 3].wrapping_add(injection as u32);
                x0 = simd.add_u32s(x0, splat(schedule[injection % 3]));
                x1 = simd.add_u32s(x1, splat(second));
            }
            let [low, high]: [&[u32]; 2] =
                [&x0, &x1].map(|words| bytemuck::cast_slice(std::slice::from_ref(words)));
            for ((to, low), high) in to.iter_mut().zip(low).zip(high) {
                *to = join([*low, *high]);
            }
            first = first.wrapping_add(S::U32_LANES as u64);
        }
    }
}

fn split(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

fn join(words: [u32; 2]) -> u64 {
    u64::from(words[0]) | (u64::from(words[1]) << 32)
}

/// A key of the generator, derived from a seed by any number of 64-bit words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key([u32; 2]);

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}{:08x}", self.0[0], self.0[1])
    }
}

impl Key {
    /// The root key of a seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(threefry2x32(split(seed), [0x5349_4445, 0x4241_4E44]))
    }

    /// The key of one branch below this one: an independent stream a word.
    pub fn with(self, word: u64) -> Self {
        Self(threefry2x32(self.0, split(word)))
    }

    /// 64 random bits at `counter`.
    #[inline]
    pub fn at(self, counter: u64) -> u64 {
        join(threefry2x32(self.0, split(counter)))
    }

    /// [`at`](Self::at) of the counters from `first` on, many at a time.
    pub fn fill(self, first: u64, to: &mut [u64]) {
        dispatch(Words {
            key: self.0,
            first,
            to,
        });
    }

    /// Uniform number in [0, 1) at `counter`, with 53 random bits.
    #[inline]
    pub fn uniform(self, counter: u64) -> f64 {
        (self.at(counter) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Poisson number of mean one at `counter`, by inversion of the
    /// distribution function; cut off at 18, beyond which the probability is
    /// below 2^-53.
    #[inline]
    pub fn poisson_one(self, counter: u64) -> u8 {
        let u = self.uniform(counter);
        let mut probability = std::f64::consts::E.recip();
        let mut cumulative = probability;
        let mut k = 0u8;
        while u >= cumulative && k < 18 {
            k += 1;
            probability /= f64::from(k);
            cumulative += probability;
        }
        k
    }

    /// Standard normal number at `counter`, which takes two uniform ones.
    pub fn normal(self, counter: u64) -> f64 {
        let uniform = [2 * counter, 2 * counter + 1].map(|counter| self.uniform(counter));
        box_muller(uniform)[0]
    }

    /// A stream that counts upwards from zero.
    pub fn stream(self) -> Stream {
        Stream {
            key: self,
            counter: 0,
        }
    }

    /// A permutation of `0..n`, uniform over all of them up to the generator
    /// (Fisher-Yates).
    pub fn permutation(self, n: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n).collect();
        let mut words = [0; 256];
        for first in (0..n as usize).step_by(words.len()).rev() {
            let words = &mut words[..(n as usize - first).min(256)];
            self.fill(first as u64, words);
            for (place, word) in words.iter().enumerate().rev() {
                let i = first + place;
                // multiply-shift instead of a modulo: bias below 2^-32 * n / 2^32
                let j = ((u128::from(*word) * (i as u128 + 1)) >> 64) as usize;
                order.swap(i, j);
            }
        }
        order
    }
}

/// A sequence of random numbers under one key.
#[derive(Clone, Debug)]
pub struct Stream {
    key: Key,
    counter: u64,
}

impl Stream {
    /// The next uniform number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        let value = self.key.uniform(self.counter);
        self.counter += 1;
        value
    }

    /// The next two uniform numbers as two independent standard normal ones.
    pub fn normal_pair(&mut self) -> [f64; 2] {
        box_muller([self.uniform(), self.uniform()])
    }

    /// The first of [`normal_pair`](Self::normal_pair).
    pub fn normal(&mut self) -> f64 {
        self.normal_pair()[0]
    }
}

/// Two independent standard normal numbers of two uniform ones in [0, 1) (Box and
/// Muller, Ann. Math. Stat. 29 (1958) 610).
fn box_muller([u, v]: [f64; 2]) -> [f64; 2] {
    let radius = (-2.0 * (1.0 - u).ln()).sqrt();
    let (sin, cos) = (TAU * v).sin_cos();
    [radius * cos, radius * sin]
}

/// FNV-1a of 64 bits: the standard library promises no hash that stays the same.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// 2^64 / golden ratio, the increment of SplitMix64.
pub const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014), a bijection.
pub fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// SplitMix64 from a state: another generator than [`Stream`], for the data of tests.
#[derive(Clone, Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        mix(self.0)
    }

    /// The next uniform number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl rand::TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.try_next_u64()? as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let word = self.key.at(self.counter);
        self.counter += 1;
        Ok(word)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::instruction_sets;

    #[test]
    fn known_answers_of_random123() {
        let cases = [
            ([0, 0], [0, 0], [0x6b20_0159, 0x99ba_4efe]),
            (
                [u32::MAX, u32::MAX],
                [u32::MAX, u32::MAX],
                [0x1cb9_96fc, 0xbb00_2be7],
            ),
            (
                [0x1319_8a2e, 0x0370_7344],
                [0x243f_6a88, 0x85a3_08d3],
                [0xc492_3a9c, 0x483d_f7a0],
            ),
        ];
        for (key, counter, expected) in cases {
            assert_eq!(threefry2x32(key, counter), expected);
        }
    }

    #[test]
    fn many_words_are_those_of_one_at_a_time() {
        let key = Key::from_seed(11);
        // within the lower word, over its end, and over the end of all counters
        for first in [0, 5, u64::from(u32::MAX) - 20, u64::MAX - 7] {
            for count in [0, 1, 15, 16, 17, 100] {
                let one = |i| key.at(first.wrapping_add(i));
                let expected: Vec<u64> = (0..count).map(one).collect();
                for arch in instruction_sets() {
                    let mut to = vec![0; count as usize];
                    let to_all = Words {
                        key: key.0,
                        first,
                        to: &mut to,
                    };
                    arch.dispatch(to_all);
                    assert_eq!(to, expected, "{arch:?}, {count} from {first}");
                }
            }
        }
    }

    #[test]
    fn hashes_and_splitmix_have_their_published_values() {
        let published = [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ];
        for (text, hash) in published {
            assert_eq!(fnv1a(text.as_bytes()), hash);
        }
        let mut numbers = SplitMix64(1_234_567);
        assert_eq!(numbers.bits(), 6_457_827_717_110_365_317);
        assert_eq!(numbers.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn keys_branch_without_collision() {
        let root = Key::from_seed(7);
        let keys: std::collections::HashSet<u64> = (0..1000)
            .flat_map(|m| (0..10).map(move |p| join(root.with(m).with(p).0)))
            .collect();
        assert_eq!(keys.len(), 10_000);
    }

    #[test]
    fn poisson_has_mean_and_variance_one() {
        let key = Key::from_seed(1).with(3);
        let n = 200_000u64;
        let (mut sum, mut square, mut zero) = (0.0, 0.0, 0.0);
        for i in 0..n {
            let k = f64::from(key.poisson_one(i));
            sum += k;
            square += k * k;
            zero += f64::from(k == 0.0);
        }
        let mean = sum / n as f64;
        // 5 standard errors: sqrt(1/n) = 0.0022, sqrt(3/n) = 0.0039 for the variance
        assert!((mean - 1.0).abs() < 0.011, "{mean}");
        let variance = square / n as f64 - mean * mean;
        assert!((variance - 1.0).abs() < 0.020, "{variance}");
        assert!((zero / n as f64 - 0.367_88).abs() < 0.0054);
    }

    #[test]
    fn permutation_holds_every_row_once_and_has_no_drift() {
        let n = 1000;
        let mut order = Key::from_seed(5).permutation(n);
        // mean displacement of row 0 over keys is uniform on 0..n
        let mean = (0..400)
            .map(|k| {
                let order = Key::from_seed(5).with(k).permutation(n);
                order.iter().position(|r| *r == 0).unwrap_or(0) as f64
            })
            .sum::<f64>()
            / 400.0;
        assert!((mean - 499.5).abs() < 5.0 * 289.0 / 20.0, "{mean}");
        order.sort_unstable();
        assert_eq!(order, (0..n).collect::<Vec<_>>());
    }
}
