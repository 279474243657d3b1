//! Trained members applied to events.

use super::evaluate::EVALUATION_CHUNK;
use super::table::{DeviceScaling, InputScaling};
use super::tensors::download;
use super::training::Row;
use crate::device::Compute;
use crate::host::{HostNetwork, Scratch};
use crate::network::{DeviceNetwork, Network};
use burn::tensor::{Tensor, TensorData};

/// Trained members on a device.
#[derive(Clone, Debug)]
pub struct Predictor {
    columns: usize,
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    Host(HostMembers),
    Tensors(Box<DeviceMembers>),
}

impl Predictor {
    /// Copies the members, which standardise their inputs alike, to the device.
    #[must_use]
    pub fn new(compute: &Compute, network: &Network, scaling: &InputScaling, rows: &[Row]) -> Self {
        let engine = if compute.has_host_kernels() {
            Engine::Host(HostMembers {
                network: HostNetwork::new(network),
                scaling: scaling.clone(),
                rows: rows.to_vec(),
            })
        } else {
            Engine::Tensors(Box::new(DeviceMembers::new(
                compute, network, scaling, rows,
            )))
        };
        Self {
            columns: network.config().columns(),
            engine,
        }
    }

    /// Number of members, `E`.
    #[must_use]
    pub fn members(&self) -> usize {
        match &self.engine {
            Engine::Host(members) => members.rows.len(),
            Engine::Tensors(members) => members.members,
        }
    }

    /// The output of every member, log r(x) or, of a flow, log p(x|c) of the
    /// standardised features: rows `[n, D]`, row-major and as they were read, give
    /// `[E, n]`, member after member.
    #[must_use]
    pub fn output(&self, features: &[f32]) -> Vec<f32> {
        let columns = self.columns;
        let n = features.len() / columns;
        let mut result = vec![0.0; self.members() * n];
        let mut scratch = Scratch::default();
        for start in (0..n).step_by(EVALUATION_CHUNK) {
            let rows = EVALUATION_CHUNK.min(n - start);
            let chunk = &features[start * columns..(start + rows) * columns];
            let mut each = result
                .chunks_mut(n.max(1))
                .map(|member| &mut member[start..start + rows]);
            match &self.engine {
                Engine::Host(members) => members.output(&mut scratch, chunk, columns, &mut each),
                Engine::Tensors(members) => members.output(chunk, columns, &mut each),
            }
        }
        result
    }
}

/// Trained members in the host's memory.
#[derive(Clone, Debug)]
struct HostMembers {
    network: HostNetwork,
    scaling: InputScaling,
    rows: Vec<Row>,
}

impl HostMembers {
    fn output(
        &self,
        scratch: &mut Scratch,
        features: &[f32],
        columns: usize,
        results: &mut dyn Iterator<Item = &mut [f32]>,
    ) {
        let stride = self.network.row();
        let mut x = vec![0.0; features.len() / columns * stride];
        for (row, x) in features.chunks(columns).zip(x.chunks_mut(stride)) {
            self.scaling.apply(row, x);
        }
        for (member, result) in self.rows.iter().zip(results) {
            let Row {
                parameters,
                statistics,
            } = member;
            self.network
                .output(scratch, parameters, statistics, &x, result);
        }
    }
}

/// Trained members on a device that computes by tensor operations.
#[derive(Clone, Debug)]
struct DeviceMembers {
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

impl DeviceMembers {
    fn new(compute: &Compute, network: &Network, scaling: &InputScaling, rows: &[Row]) -> Self {
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

    /// Rows are padded to whole chunks, so that a row's result does not depend on
    /// how many there are.
    fn output(
        &self,
        features: &[f32],
        columns: usize,
        results: &mut dyn Iterator<Item = &mut [f32]>,
    ) {
        let mut chunk = features.to_vec();
        chunk.resize(EVALUATION_CHUNK * columns, 0.0);
        let data = TensorData::new(chunk, [1, EVALUATION_CHUNK, columns]);
        let x = Tensor::<3>::from_data(data, self.compute.device());
        let x = self.scaling.apply(x);
        for group in &self.groups {
            let output = self
                .network
                .evaluate(&group.parameters, &group.statistics, x.clone());
            let values = download(output);
            let members = values.chunks(EVALUATION_CHUNK).take(group.members);
            for (values, result) in members.zip(&mut *results) {
                result.copy_from_slice(&values[..result.len()]);
            }
        }
    }
}
