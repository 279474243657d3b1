//! Trained members applied to events.

use super::evaluate::EVALUATION_CHUNK;
use super::table::{DeviceScaling, InputScaling};
use super::train::{Row, download};
use crate::device::Compute;
use crate::network::{DeviceNetwork, Network};
use burn::tensor::{Tensor, TensorData};

/// Trained members on a device.
#[derive(Clone, Debug)]
pub struct Predictor {
    compute: Compute,
    network: DeviceNetwork,
    scaling: DeviceScaling,
    members: usize,
    groups: Vec<Group>,
}

/// Members evaluated in one pass: one on a CPU, where a larger stack falls out
/// of cache; all of them elsewhere.
#[derive(Clone, Debug)]
struct Group {
    members: usize,
    parameters: Vec<Tensor<3>>,
    statistics: Vec<Tensor<3>>,
}

impl Predictor {
    /// Copies the members, which standardise their inputs alike, to the device.
    #[must_use]
    pub fn new(compute: &Compute, network: &Network, scaling: &InputScaling, rows: &[Row]) -> Self {
        let size = if compute.is_cpu() {
            1
        } else {
            rows.len().max(1)
        };
        let groups = rows
            .chunks(size)
            .map(|rows| {
                let packed = |pick: fn(&Row) -> &[f32], width: usize| {
                    let flat: Vec<f32> = rows.iter().flat_map(pick).copied().collect();
                    Tensor::<2>::from_data(
                        TensorData::new(flat, [rows.len(), width]),
                        compute.device(),
                    )
                };
                let parameters = packed(|r| &r.parameters, network.parameters().len());
                let statistics = (!network.statistics().is_empty())
                    .then(|| packed(|r| &r.statistics, network.statistics().len()));
                Group {
                    members: rows.len(),
                    parameters: network.parameters().unpack(&parameters),
                    statistics: statistics
                        .map(|s| network.statistics().unpack(&s))
                        .unwrap_or_default(),
                }
            })
            .collect();
        Self {
            compute: compute.clone(),
            network: DeviceNetwork::new(compute, network),
            scaling: DeviceScaling::new(compute, std::slice::from_ref(scaling)),
            members: rows.len(),
            groups,
        }
    }

    /// Number of members, `E`.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members
    }

    /// The output of every member, log r(x) or, of a flow, log p(x|c) of the
    /// standardised features: rows `[n, D]`, row-major and as they were read, give
    /// `[E, n]`, member after member.
    #[must_use]
    pub fn output(&self, features: &[f32]) -> Vec<f32> {
        let columns = self.network.network().config().columns();
        let n = features.len() / columns;
        let mut result = vec![0.0; self.members * n];
        for start in (0..n).step_by(EVALUATION_CHUNK) {
            let rows = EVALUATION_CHUNK.min(n - start);
            let mut chunk = features[start * columns..(start + rows) * columns].to_vec();
            chunk.resize(EVALUATION_CHUNK * columns, 0.0);
            let x = Tensor::<3>::from_data(
                TensorData::new(chunk, [1, EVALUATION_CHUNK, columns]),
                self.compute.device(),
            );
            let x = self.scaling.apply(x);
            let mut member = 0;
            for group in &self.groups {
                let output = self
                    .network
                    .evaluate(&group.parameters, &group.statistics, x.clone());
                let values = download(output);
                for values in values.chunks(EVALUATION_CHUNK).take(group.members) {
                    result[member * n + start..member * n + start + rows]
                        .copy_from_slice(&values[..rows]);
                    member += 1;
                }
            }
        }
        result
    }
}
