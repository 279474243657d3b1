//! Unit normal numbers.

use sideband_numerics::random::Stream;

/// Two independent unit normal numbers (Box and Muller, Ann. Math. Stat. 29 (1958)
/// 610).
#[must_use]
pub fn normal_pair(stream: &mut Stream) -> [f64; 2] {
    let radius = (-2.0 * (1.0 - stream.uniform()).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * stream.uniform()).sin_cos();
    [radius * cos, radius * sin]
}
