//! The rows and coefficients of a few consecutive steps, made on the host.

use sideband_numerics::random::Key;

/// Which rows each member sees in `S` consecutive steps, and with what weight.
///
/// A batch of `B` rows is `B/2` of the source followed by `B/2` of the target.
/// Everything here is a member's own, in the order of the stack's rows.
#[derive(Clone, Debug)]
pub struct Batches {
    /// Number of steps, `S`.
    pub steps: usize,
    /// Rows of the table, `[S, E, B]`.
    pub rows: Vec<i32>,
    /// Coefficient of each row in its batch's loss, `[S, E, B]`.
    pub coefficients: Vec<f32>,
    /// Learning rate of each member, `[E]`.
    pub learning_rates: Vec<f64>,
    /// Key of each member's dropout masks, `[E]`; not read without dropout.
    pub dropout_keys: Vec<Key>,
    /// A member's number of steps before these, `[E]`: counts its masks.
    pub first_steps: Vec<u64>,
}

impl Batches {
    /// Appends the dropout mask of a member, step and layer, `units` values (`B W`)
    /// of 0 or 1/(1-p).
    pub(crate) fn dropout_mask(
        &self,
        (member, step, layer): (usize, usize, usize),
        units: usize,
        probability: f64,
        mask: &mut Vec<f32>,
    ) {
        // 16 bits a unit, four units a draw
        let threshold = (probability * 65_536.0).round() as u64;
        let keep = (1.0 / (1.0 - probability)) as f32;
        let number = self.first_steps[member] + step as u64;
        let key = self.dropout_keys[member].with(number).with(layer as u64);
        let end = mask.len() + units;
        for counter in 0..units.div_ceil(4) as u64 {
            let word = key.at(counter);
            for lane in 0..4.min(end - mask.len()) {
                let dropped = (word >> (16 * lane)) & 0xFFFF < threshold;
                mask.push(if dropped { 0.0 } else { keep });
            }
        }
    }
}
