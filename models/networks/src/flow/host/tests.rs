//! Tests of the flow on the host, and the random members they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod functions;
mod golden;
mod gradient;
mod spline;

use super::HostFlow;
use super::reference::Reference;
use crate::flow::{FlowConfig, FlowStep};
use crate::network::{Batch, HostNetwork, Network, Scratch};
use crate::objective::Objective;
use crate::stack::Row;
use pulp::Arch;
use sideband_numerics::random::Key;

/// The instruction sets of this machine.
fn architectures() -> Vec<Arch> {
    let mut found = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        found.extend(pulp::x86::V3::try_new().map(Arch::V3));
        found.extend(pulp::x86::V4::try_new().map(Arch::V4));
    }
    found
}

fn normals(key: Key, n: usize) -> Vec<f32> {
    let mut stream = key.stream();
    (0..n).map(|_| stream.normal() as f32).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// A flow, a member with random parameters and a batch.
struct Case {
    config: FlowConfig,
    flow: HostFlow,
    member: Row,
    x: Vec<f32>,
    coefficients: Vec<f32>,
    masks: Vec<f32>,
}

impl Case {
    /// `sizes`: D, C, K, H, blocks.
    fn new(sizes: [usize; 5], steps: &[FlowStep], events: usize, dropout: f64) -> Self {
        let [features, context, bins, hidden, blocks] = sizes;
        let config = FlowConfig {
            features,
            context,
            steps: steps.to_vec(),
            bins,
            bound: 2.5,
            hidden,
            blocks,
            dropout,
        };
        let flow = HostFlow::new(&config);
        let places = Network::new(config.clone());
        let key = Key::from_seed(17);
        let spread = (hidden as f32).sqrt().recip();
        let parameters = normals(key.with(0), places.parameters().len());
        let parameters = parameters.iter().map(|v| v * spread).collect();
        let mut statistics = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            let key = key.with(1).with(i as u64);
            match step {
                FlowStep::BatchNorm => {
                    statistics.extend(normals(key, features));
                    let squares = normals(key.with(1), features).into_iter();
                    statistics.extend(squares.map(|v| 0.3 + v * v));
                }
                FlowStep::Linear => {
                    let order = key.permutation(features as u32);
                    statistics.extend(order.iter().map(|v| *v as f32));
                }
                FlowStep::Coupling => {}
            }
        }
        assert_eq!(statistics.len(), places.statistics().len());
        let couplings = steps.iter().filter(|s| **s == FlowStep::Coupling).count();
        let cells = couplings * blocks * events * hidden * usize::from(dropout > 0.0);
        let mut stream = key.with(2).stream();
        let kept = (1.0 - dropout).recip() as f32;
        let mut is_dropped = || stream.uniform() < dropout;
        let cell = |_| if is_dropped() { 0.0 } else { kept };
        let masks = (0..cells).map(cell).collect();
        let mut stream = key.with(3).stream();
        // one weight in ten is negative
        let coefficients = (0..events).map(|_| (stream.uniform() - 0.1) as f32 / events as f32);
        Self {
            x: normals(key.with(4), events * (features + context)),
            coefficients: coefficients.collect(),
            config,
            flow,
            member: Row {
                parameters,
                statistics,
            },
            masks,
        }
    }

    fn gradient(&self) -> (f32, Vec<f32>, Vec<f32>) {
        self.gradient_with(&mut Scratch::default())
    }

    fn gradient_with(&self, scratch: &mut Scratch) -> (f32, Vec<f32>, Vec<f32>) {
        let mut gradient = vec![f32::NAN; self.member.parameters.len()];
        let mut member = self.member.clone();
        let batch = batch(&self.x, &self.coefficients, &self.masks);
        let loss = (self.flow).gradient(scratch, &mut member, &batch, &mut gradient);
        (loss, gradient, member.statistics)
    }

    /// The same member and batch in f64.
    fn reference(&self, training: bool) -> Reference<'_> {
        let row = self.config.features + self.config.context;
        Reference {
            config: &self.config,
            parameters: wide(&self.member.parameters),
            statistics: wide(&self.member.statistics),
            x: self.x.chunks_exact(row).map(wide).collect(),
            masks: &self.masks,
            training,
        }
    }

    fn log_prob(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; x.len() / self.flow.stride()];
        let mut scratch = Scratch::default();
        self.flow.output(&mut scratch, &self.member, x, &mut out);
        out
    }

    fn sample(&self, z: &[f32], context: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; z.len()];
        let mut scratch = Scratch::default().flow;
        (self.flow).sample(&mut scratch, &self.member, z, context, &mut out);
        out
    }
}

fn batch<'a>(x: &'a [f32], coefficients: &'a [f32], masks: &'a [f32]) -> Batch<'a> {
    Batch {
        x,
        coefficients,
        masks,
        objective: Objective::Likelihood,
    }
}

/// Two rounds of all steps.
const TWICE: [FlowStep; 6] = {
    use FlowStep::{BatchNorm, Coupling, Linear};
    [BatchNorm, Linear, Coupling, BatchNorm, Linear, Coupling]
};
