//! Trained members applied to events.

use super::data::{DeviceScaling, EVALUATION_CHUNK, InputScaling};
use super::{Row, download};
use crate::device::Compute;
use crate::network::{DeviceNetwork, HostNetwork, Network, Scratch, Unpacked};
use std::sync::Arc;

/// Trained members on a device.
#[derive(Clone, Debug)]
pub struct Predictor {
    columns: usize,
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    Host(HostMembers),
    Tensors(DeviceMembers),
}

impl Predictor {
    /// Copies the members, which standardise their inputs alike, to the device.
    pub fn new(compute: &Compute, network: &Network, scaling: &InputScaling, rows: &[Row]) -> Self {
        let engine = if compute.has_host_kernels() {
            Engine::Host(HostMembers {
                network: network.on_host(),
                scaling: scaling.clone(),
                rows: rows.to_vec(),
            })
        } else {
            Engine::Tensors(DeviceMembers::new(compute, network, scaling, rows))
        };
        Self {
            columns: network.config().columns(),
            engine,
        }
    }

    /// Number of members, `E`.
    pub fn members(&self) -> usize {
        match &self.engine {
            Engine::Host(members) => members.rows.len(),
            Engine::Tensors(members) => members.members,
        }
    }

    /// The output of every member, log r(x) or, of a flow, log p(x|c) of the
    /// standardised features: rows `[n, D]`, row-major and as they were read, give
    /// `[E, n]`, member after member.
    pub fn output(&self, features: &[f32]) -> Vec<f32> {
        let columns = self.columns;
        let n = features.len() / columns;
        let mut result = vec![0.0; self.members() * n];
        let mut scratch = Scratch::default();
        for start in (0..n).step_by(EVALUATION_CHUNK) {
            let rows = EVALUATION_CHUNK.min(n - start);
            let chunk = &features[start * columns..(start + rows) * columns];
            let members = result.chunks_mut(n.max(1));
            let mut each = members.map(|member| &mut member[start..start + rows]);
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
    network: Arc<dyn HostNetwork>,
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
        let stride = self.network.stride();
        let mut x = vec![0.0; features.len() / columns * stride];
        for (row, x) in features.chunks(columns).zip(x.chunks_mut(stride)) {
            self.scaling.apply(row, x);
        }
        for (member, result) in self.rows.iter().zip(results) {
            self.network.output(scratch, member, &x, result);
        }
    }
}

/// Trained members on a device that computes by tensor operations.
#[derive(Clone, Debug)]
struct DeviceMembers {
    compute: Compute,
    network: Arc<dyn DeviceNetwork>,
    scaling: DeviceScaling,
    members: usize,
    /// Members evaluated in one pass: one on a CPU, where a larger stack falls out
    /// of cache; all of them elsewhere.
    groups: Vec<Unpacked>,
}

impl DeviceMembers {
    fn new(compute: &Compute, network: &Network, scaling: &InputScaling, rows: &[Row]) -> Self {
        let size = if compute.is_cpu() {
            1
        } else {
            rows.len().max(1)
        };
        let groups = rows.chunks(size);
        Self {
            compute: compute.clone(),
            network: network.on_device(compute),
            scaling: DeviceScaling::new(compute, std::slice::from_ref(scaling)),
            members: rows.len(),
            groups: groups
                .map(|rows| Unpacked::new(compute, network, rows))
                .collect(),
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
        let x = self.compute.tensor(chunk, [1, EVALUATION_CHUNK, columns]);
        let x = self.scaling.apply(x);
        for group in &self.groups {
            let output = self.network.forward(group, x.clone(), None);
            let members = output.dims()[0];
            let values = download(output);
            let members = values.chunks(EVALUATION_CHUNK).take(members);
            for (values, result) in members.zip(&mut *results) {
                result.copy_from_slice(&values[..result.len()]);
            }
        }
    }
}
