//! Trained members applied to events.

use super::data::{DeviceScaling, EVALUATION_CHUNK, InputScaling};
use super::tensors::download;
use crate::device::Compute;
use crate::kind::{DeviceNetwork, HostNetwork, Scratch, Unpacked};
use crate::layout::Row;
use crate::network::Network;
use std::sync::Arc;

/// Trained members on a device.
pub struct Predictor {
    columns: usize,
    members: usize,
    engine: Engine,
}

#[allow(clippy::large_enum_variant, reason = "one a predictor")]
enum Engine {
    Host {
        network: Arc<dyn HostNetwork>,
        scaling: InputScaling,
        rows: Vec<Row>,
    },
    Tensors {
        compute: Compute,
        network: Arc<dyn DeviceNetwork>,
        scaling: DeviceScaling,
        /// Members evaluated in one pass: one on a CPU, where a larger stack falls out
        /// of cache; all of them elsewhere.
        groups: Vec<Unpacked>,
    },
}

impl Predictor {
    /// Copies the members, which standardise their inputs alike, to the device.
    pub fn new(compute: &Compute, network: &Network, scaling: &InputScaling, rows: &[Row]) -> Self {
        let engine = if compute.has_host_kernels() {
            Engine::Host {
                network: network.on_host(),
                scaling: scaling.clone(),
                rows: rows.to_vec(),
            }
        } else {
            let size = if compute.is_cpu() {
                1
            } else {
                rows.len().max(1)
            };
            let groups = rows.chunks(size);
            Engine::Tensors {
                compute: compute.clone(),
                network: network.on_device(compute),
                scaling: DeviceScaling::new(compute, std::slice::from_ref(scaling)),
                groups: groups.map(|rows| network.unpacked(compute, rows)).collect(),
            }
        };
        Self {
            columns: network.config().columns(),
            members: rows.len(),
            engine,
        }
    }

    /// Number of members, `E`.
    pub fn members(&self) -> usize {
        self.members
    }

    /// The output of every member, log r(x) or, of a flow, log p(x|c) of the
    /// standardised features: rows `[n, D]`, row-major and as they were read, give
    /// `[E, n]`, member after member.
    pub fn output(&self, features: &[f32]) -> Vec<f32> {
        let columns = self.columns;
        let n = features.len() / columns;
        let mut result = vec![0.0; self.members * n];
        let mut scratch = Scratch::default();
        for start in (0..n).step_by(EVALUATION_CHUNK) {
            let rows = EVALUATION_CHUNK.min(n - start);
            let chunk = &features[start * columns..(start + rows) * columns];
            let members = result.chunks_mut(n.max(1));
            let mut each = members.map(|member| &mut member[start..start + rows]);
            self.chunk(&mut scratch, chunk, &mut each);
        }
        result
    }

    /// On a device rows are padded to whole chunks, so that a row's result does not
    /// depend on how many there are.
    fn chunk<'a>(
        &self,
        scratch: &mut Scratch,
        features: &[f32],
        results: &mut impl Iterator<Item = &'a mut [f32]>,
    ) {
        match &self.engine {
            Engine::Host {
                network,
                scaling,
                rows,
            } => {
                let stride = network.stride();
                let mut x = vec![0.0; features.len() / self.columns * stride];
                for (row, x) in features.chunks(self.columns).zip(x.chunks_mut(stride)) {
                    scaling.apply(row, x);
                }
                for (member, result) in rows.iter().zip(results) {
                    network.output(scratch, member, &x, result);
                }
            }
            Engine::Tensors {
                compute,
                network,
                scaling,
                groups,
            } => {
                let mut chunk = features.to_vec();
                chunk.resize(EVALUATION_CHUNK * self.columns, 0.0);
                let x = scaling.apply(compute.tensor(chunk, [1, EVALUATION_CHUNK, self.columns]));
                for group in groups {
                    let values = download(network.forward(group, x.clone(), None));
                    let members = values.chunks(EVALUATION_CHUNK);
                    for (values, result) in members.zip(&mut *results) {
                        result.copy_from_slice(&values[..result.len()]);
                    }
                }
            }
        }
    }
}
