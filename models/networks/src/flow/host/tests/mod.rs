//! Tests of the flow on the host, and the random members they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod functions;
mod golden;
mod gradient;
mod rows;
mod spline;

use super::reference::Reference;
use super::{HostFlow, Scratch};
use crate::flow::{Flow, FlowConfig, FlowStep};
use pulp::Arch;
use sideband_numerics::random::{Key, Stream};

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

/// A standard normal number (Box and Muller).
fn normal(stream: &mut Stream) -> f32 {
    let radius = (-2.0 * (1.0 - stream.uniform()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * stream.uniform()).cos()) as f32
}

fn normals(key: Key, n: usize) -> Vec<f32> {
    let mut stream = key.stream();
    (0..n).map(|_| normal(&mut stream)).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// A flow, a member with random parameters and a batch.
struct Case {
    config: FlowConfig,
    flow: HostFlow,
    parameters: Vec<f32>,
    statistics: Vec<f32>,
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
        let places = Flow::new(config.clone());
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
        let cells = if dropout > 0.0 {
            couplings * blocks * events * hidden
        } else {
            0
        };
        let mut stream = key.with(2).stream();
        let kept = (1.0 - dropout).recip() as f32;
        let mut cell = || {
            if stream.uniform() < dropout {
                0.0
            } else {
                kept
            }
        };
        let masks = (0..cells).map(|_| cell()).collect();
        let mut stream = key.with(3).stream();
        // one weight in ten is negative
        let coefficients = (0..events).map(|_| (stream.uniform() - 0.1) as f32 / events as f32);
        Self {
            x: normals(key.with(4), events * (features + context)),
            coefficients: coefficients.collect(),
            config,
            flow,
            parameters,
            statistics,
            masks,
        }
    }

    /// Loss, gradient and new statistics.
    fn gradient(&self) -> (f32, Vec<f32>, Vec<f32>) {
        let mut gradient = vec![f32::NAN; self.parameters.len()];
        let mut statistics = self.statistics.clone();
        let loss = self.flow.gradient(
            &mut Scratch::default(),
            &self.parameters,
            &mut statistics,
            &self.x,
            &self.coefficients,
            &self.masks,
            &mut gradient,
        );
        (loss, gradient, statistics)
    }

    /// The same member and batch in f64.
    fn reference(&self, training: bool) -> Reference<'_> {
        let row = self.config.features + self.config.context;
        Reference {
            config: &self.config,
            parameters: wide(&self.parameters),
            statistics: wide(&self.statistics),
            x: self.x.chunks_exact(row).map(wide).collect(),
            masks: &self.masks,
            training,
        }
    }

    fn log_prob(&self, x: &[f32]) -> Vec<f32> {
        let row = self.config.features + self.config.context;
        let mut out = vec![f32::NAN; x.len() / row];
        let mut scratch = Scratch::default();
        self.flow.log_prob(
            &mut scratch,
            &self.parameters,
            &self.statistics,
            x,
            &mut out,
        );
        out
    }

    fn sample(&self, z: &[f32], context: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; z.len()];
        self.flow.sample(
            &mut Scratch::default(),
            &self.parameters,
            &self.statistics,
            z,
            context,
            &mut out,
        );
        out
    }
}

/// Two rounds of all steps.
const TWICE: [FlowStep; 6] = [
    FlowStep::BatchNorm,
    FlowStep::Linear,
    FlowStep::Coupling,
    FlowStep::BatchNorm,
    FlowStep::Linear,
    FlowStep::Coupling,
];
