//! Trained flows that draw features for given contexts.

use super::host::Scratch;
use super::layout::{Flow, FlowStep};
use super::{DIAGONAL_MINIMUM, FlowConfig, FlowOnDevice, HostFlow};
use crate::device::Compute;
use crate::stack::{EVALUATION_CHUNK, InputScaling, Row, download};
use burn::tensor::{Tensor, TensorData};

/// Trained flows on a device.
#[derive(Debug)]
pub struct FlowSampler {
    compute: Compute,
    config: FlowConfig,
    scaling: InputScaling,
    rows: Vec<Row>,
    /// All members on a device that takes a stack; none where they are computed
    /// one after the other by hand.
    stack: Option<DeviceFlows>,
}

#[derive(Debug)]
struct DeviceFlows {
    flow: FlowOnDevice,
    parameters: Vec<Tensor<3>>,
    statistics: Vec<Tensor<3>>,
    inverses: Vec<Tensor<3>>,
}

impl FlowSampler {
    /// Copies the members, which standardise features and context alike, to the
    /// device.
    #[must_use]
    pub fn new(compute: &Compute, flow: &Flow, scaling: &InputScaling, rows: &[Row]) -> Self {
        let config = flow.config().clone();
        let stack = (!compute.has_host_kernels()).then(|| {
            let pack = |pick: fn(&Row) -> &[f32]| {
                let flat: Vec<f32> = rows.iter().flat_map(pick).copied().collect();
                let width = flat.len() / rows.len().max(1);
                let data = TensorData::new(flat, [rows.len(), width]);
                Tensor::<2>::from_data(data, compute.device())
            };
            DeviceFlows {
                flow: FlowOnDevice::new(compute, flow),
                parameters: flow.parameters().unpack(&pack(|r| &r.parameters)),
                statistics: if flow.statistics().is_empty() {
                    Vec::new()
                } else {
                    flow.statistics().unpack(&pack(|r| &r.statistics))
                },
                inverses: inverses(compute, flow, rows),
            }
        });
        Self {
            compute: compute.clone(),
            config,
            scaling: scaling.clone(),
            rows: rows.to_vec(),
            stack,
        }
    }

    /// Number of members, `E`.
    #[must_use]
    pub fn members(&self) -> usize {
        self.rows.len()
    }

    /// Features of every member for given noise and context: standard normal
    /// `noise` `[n, D]` and `context` `[n, C]`, as it was read, give `[E, n, D]`,
    /// in the units of the inputs. All members get the same noise.
    #[must_use]
    pub fn sample(&self, noise: &[f32], context: &[f32]) -> Vec<f32> {
        let (d, c) = (self.config.features, self.config.context);
        let context = self.standardise(context);
        let mut x = match &self.stack {
            None => {
                let host = HostFlow::new(&self.config);
                let mut scratch = Scratch::default();
                let mut all = vec![0.0; self.members() * noise.len()];
                for (row, out) in self.rows.iter().zip(all.chunks_mut(noise.len().max(1))) {
                    let parameters = &row.parameters;
                    host.sample(
                        &mut scratch,
                        parameters,
                        &row.statistics,
                        noise,
                        &context,
                        out,
                    );
                }
                all
            }
            Some(stack) => {
                let members = self.members();
                let n = noise.len() / d;
                let mut all = vec![0.0; members * n * d];
                for start in (0..n).step_by(EVALUATION_CHUNK) {
                    let rows = EVALUATION_CHUNK.min(n - start);
                    let piece = |values: &[f32], width: usize| {
                        let mut piece = values[start * width..(start + rows) * width].to_vec();
                        piece.resize(EVALUATION_CHUNK * width, 0.0);
                        let data = TensorData::new(piece, [1, EVALUATION_CHUNK, width]);
                        Tensor::<3>::from_data(data, self.compute.device())
                    };
                    let context = (c > 0).then(|| piece(&context, c));
                    let drawn = stack.flow.sample(
                        &stack.parameters,
                        &stack.statistics,
                        &stack.inverses,
                        piece(noise, d),
                        context.as_ref(),
                    );
                    let drawn = download(drawn);
                    for (member, drawn) in drawn.chunks(EVALUATION_CHUNK * d).enumerate() {
                        let at = (member * n + start) * d;
                        all[at..at + rows * d].copy_from_slice(&drawn[..rows * d]);
                    }
                }
                all
            }
        };
        self.restore(&mut x);
        x
    }

    /// The way of given noise to features in one member: `[n, D]` at the start
    /// and after each inverted step, in the network's standardised units; always
    /// computed on the CPU.
    #[must_use]
    pub fn trace(&self, member: usize, noise: &[f32], context: &[f32]) -> Vec<Vec<f32>> {
        let host = HostFlow::new(&self.config);
        let row = &self.rows[member];
        let context = self.standardise(context);
        let mut scratch = Scratch::default();
        let steps = host.trace(
            &mut scratch,
            &row.parameters,
            &row.statistics,
            noise,
            &context,
        );
        std::iter::once(noise.to_vec()).chain(steps).collect()
    }

    fn standardise(&self, context: &[f32]) -> Vec<f32> {
        let d = self.config.features;
        let (shift, factor) = (&self.scaling.shift[d..], &self.scaling.factor[d..]);
        let each = context.iter().enumerate();
        let count = self.config.context.max(1);
        each.map(|(i, c)| (c - shift[i % count]) * factor[i % count])
            .collect()
    }

    fn restore(&self, x: &mut [f32]) {
        for row in x.chunks_mut(self.config.features) {
            for (k, x) in row.iter_mut().enumerate() {
                *x = *x / self.scaling.factor[k] + self.scaling.shift[k];
            }
        }
    }
}

/// Inverse of each linear step's matrix, `[E, D, D]` in f32, computed in f64 by
/// solving with its triangles.
fn inverses(compute: &Compute, flow: &Flow, rows: &[Row]) -> Vec<Tensor<3>> {
    let config = flow.config();
    let d = config.features;
    let find = |layout: &crate::stack::Layout, name: &str| {
        let mut list = layout.iter();
        let found = list.find(|(spec, _)| spec.name == name);
        found.expect("the layout has the step's parameters").1
    };
    let steps = config.steps.iter().enumerate();
    steps
        .filter(|(_, step)| **step == FlowStep::Linear)
        .map(|(number, _)| {
            let place = |part: &str| find(flow.parameters(), &format!("step.{number}.{part}"));
            let order = find(flow.statistics(), &format!("step.{number}.permutation"));
            let (lower, upper) = (place("lower"), place("upper"));
            let diagonal = place("diagonal");
            let mut flat = Vec::with_capacity(rows.len() * d * d);
            for row in rows {
                let p = &row.parameters;
                flat.extend(inverse(
                    [&p[lower.clone()], &p[upper.clone()], &p[diagonal.clone()]],
                    &row.statistics[order.clone()],
                ));
            }
            let data = TensorData::new(flat, [rows.len(), d, d]);
            Tensor::from_data(data, compute.device())
        })
        .collect()
}

/// Inverse, row-major, of the matrix that acts on rows from the right.
fn inverse([lower, upper, diagonal]: [&[f32]; 3], permutation: &[f32]) -> Vec<f32> {
    let d = diagonal.len();
    let diagonal: Vec<f64> = diagonal
        .iter()
        .map(|u| {
            let u = f64::from(*u);
            u.max(0.0) + (-u.abs()).exp().ln_1p() + DIAGONAL_MINIMUM
        })
        .collect();
    let mut result = vec![0.0; d * d];
    for unit in 0..d {
        // y = unit vector: solve L v = y, then U u = v, then undo the order
        let mut v = vec![0.0; d];
        v[unit] = 1.0;
        for row in 0..d {
            let first = row * row.saturating_sub(1) / 2;
            let sum: f64 = (0..row).map(|k| f64::from(lower[first + k]) * v[k]).sum();
            v[row] -= sum;
        }
        for row in (0..d).rev() {
            // entries of row r of the strict upper triangle begin after those above
            let first = row * (2 * d - row - 1) / 2;
            let sum: f64 = (row + 1..d)
                .map(|k| f64::from(upper[first + k - row - 1]) * v[k])
                .sum();
            v[row] = (v[row] - sum) / diagonal[row];
        }
        for (k, value) in v.into_iter().enumerate() {
            result[unit * d + permutation[k] as usize] = value as f32;
        }
    }
    result
}
