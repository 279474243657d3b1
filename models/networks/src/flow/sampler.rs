//! Trained flows that draw features for given contexts.

use super::device::FlowOnDevice;
use super::host::{HostFlow, Scratch};
use super::{FlowConfig, FlowStep};
use crate::device::Compute;
use crate::kind::Unpacked;
use crate::layout::Row;
use crate::network::Network;
use crate::stack::{EVALUATION_CHUNK, InputScaling, download};
use burn::tensor::Tensor;

/// Trained flows on a device.
pub struct FlowSampler {
    compute: Compute,
    config: FlowConfig,
    scaling: InputScaling,
    rows: Vec<Row>,
    /// All members on a device that takes a stack; none where they are computed
    /// one after the other by hand.
    stack: Option<DeviceFlows>,
}

struct DeviceFlows {
    flow: FlowOnDevice,
    members: Unpacked,
    /// Inverse of each linear step's matrix, `[E, D, D]`.
    inverses: Vec<Tensor<3>>,
}

impl FlowSampler {
    /// Copies the members, which standardise features and context alike, to the
    /// device.
    pub fn new(
        compute: &Compute,
        config: &FlowConfig,
        scaling: &InputScaling,
        rows: &[Row],
    ) -> Self {
        let stack = (!compute.has_host_kernels()).then(|| {
            let (host, d) = (HostFlow::new(config), config.features);
            let of_members: Vec<_> = rows.iter().map(|row| host.inverses(row)).collect();
            let of_step = |step| {
                let flat = of_members.iter().flat_map(|inverses| &inverses[step]);
                compute.tensor(flat.copied().collect(), [rows.len(), d, d])
            };
            let steps = config.steps.iter();
            let linears = steps.filter(|step| **step == FlowStep::Linear).count();
            DeviceFlows {
                flow: FlowOnDevice::new(compute, config),
                members: Network::new(config.clone()).unpacked(compute, rows),
                inverses: (0..linears).map(of_step).collect(),
            }
        });
        Self {
            compute: compute.clone(),
            config: config.clone(),
            scaling: scaling.clone(),
            rows: rows.to_vec(),
            stack,
        }
    }

    /// Number of members, `E`.
    pub fn members(&self) -> usize {
        self.rows.len()
    }

    /// Features of every member for given noise and context: standard normal
    /// `noise` `[n, D]` and `context` `[n, C]`, as it was read, give `[E, n, D]`,
    /// in the units of the inputs. All members get the same noise.
    pub fn sample(&self, noise: &[f32], context: &[f32]) -> Vec<f32> {
        let context = self.standardise(context);
        let mut x = vec![0.0; self.members() * noise.len()];
        match &self.stack {
            None => {
                let host = HostFlow::new(&self.config);
                let mut scratch = Scratch::default();
                for (row, out) in self.rows.iter().zip(x.chunks_mut(noise.len().max(1))) {
                    host.sample(&mut scratch, row, noise, &context, out);
                }
            }
            Some(stack) => self.sample_stack(stack, noise, &context, &mut x),
        }
        for row in x.chunks_mut(self.config.features) {
            for (k, x) in row.iter_mut().enumerate() {
                *x = *x / self.scaling.factor[k] + self.scaling.shift[k];
            }
        }
        x
    }

    /// In chunks of one size, whatever the number of rows.
    fn sample_stack(&self, stack: &DeviceFlows, noise: &[f32], context: &[f32], x: &mut [f32]) {
        let (d, c) = (self.config.features, self.config.context);
        let n = noise.len() / d;
        for start in (0..n).step_by(EVALUATION_CHUNK) {
            let rows = EVALUATION_CHUNK.min(n - start);
            let piece = |values: &[f32], width: usize| {
                let mut piece = values[start * width..(start + rows) * width].to_vec();
                piece.resize(EVALUATION_CHUNK * width, 0.0);
                self.compute.tensor(piece, [1, EVALUATION_CHUNK, width])
            };
            let context = (c > 0).then(|| piece(context, c));
            let (flow, members) = (&stack.flow, &stack.members);
            let drawn = flow.sample(members, &stack.inverses, piece(noise, d), context.as_ref());
            let drawn = download(drawn);
            for (member, drawn) in drawn.chunks(EVALUATION_CHUNK * d).enumerate() {
                let at = (member * n + start) * d;
                x[at..at + rows * d].copy_from_slice(&drawn[..rows * d]);
            }
        }
    }

    /// The way of given noise to features in one member: `[n, D]` at the start
    /// and after each inverted step, in the network's standardised units; always
    /// computed on the CPU.
    pub fn trace(&self, member: usize, noise: &[f32], context: &[f32]) -> Vec<Vec<f32>> {
        let host = HostFlow::new(&self.config);
        let context = self.standardise(context);
        let mut scratch = Scratch::default();
        host.trace(&mut scratch, &self.rows[member], noise, &context)
    }

    fn standardise(&self, context: &[f32]) -> Vec<f32> {
        let d = self.config.features;
        let (shift, factor) = (&self.scaling.shift[d..], &self.scaling.factor[d..]);
        let count = self.config.context.max(1);
        let each = context.iter().enumerate();
        let standardised = each.map(|(i, c)| (c - shift[i % count]) * factor[i % count]);
        standardised.collect()
    }
}
