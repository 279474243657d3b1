//! Ensembles that are trained in this process on made-up events, and flows among them as
//! what they are: densities and samplers in the units of the events.

use super::Numbers;
use rayon::prelude::*;
use sideband::settings::{Normalise, Schedule, Split};
use sideband::training::{
    ClassRows, FeatureScaling, Inputs, Ledger, List, Member, Observer, Resources, SplitSettings,
    Task, TrainingSample, TrainingSettings, train_local,
};
use sideband_networks::{
    Compute, EVALUATION_CHUNK, FlowConfig, FlowSampler, FlowStep, Kernels, Network, NetworkConfig,
    Objective, OptimizerConfig, Predictor, Row,
};
use std::sync::{Arc, Mutex};

/// Both implementations of a flow on the CPU.
pub const KERNELS: [Kernels; 2] = [Kernels::Fused, Kernels::Plain];

/// Events bent by the context and by each other, `[N, D + 2]`: x_0 moves with c_0,
/// x_k with x_(k-1), in widths that depend on c_1; c is uniform in [-1, 1]^2.
pub fn bent(features: usize, events: usize, seed: u64) -> Vec<f32> {
    let mut random = Numbers::new(seed);
    let mut rows = Vec::with_capacity(events * (features + 2));
    for _ in 0..events {
        let c = [0, 1].map(|_| 2.0 * random.uniform() - 1.0);
        let mut before: f64 = 0.8 * c[0];
        for _ in 0..features {
            let x = 0.5 * before * before - before + (0.4 * c[1]).exp() * random.normal();
            rows.push(x as f32);
            before = x.tanh();
        }
        rows.extend(c.map(|c| c as f32));
    }
    rows
}

pub fn cpu(kernels: Kernels) -> Compute {
    Compute::open("cpu").unwrap().with_kernels(kernels)
}

/// A flow of `repeat` times batch norm, linear map and coupling.
pub fn flow(features: usize, context: usize, repeat: usize) -> FlowConfig {
    use FlowStep::{BatchNorm, Coupling, Linear};
    FlowConfig {
        features,
        context,
        steps: [BatchNorm, Linear, Coupling].repeat(repeat),
        bins: 6,
        bound: 3.0,
        hidden: 16,
        blocks: 1,
        dropout: 0.0,
    }
}

/// A few epochs on a cosine to nothing, all events but those that validate.
pub fn settings(network: impl Into<NetworkConfig>, epochs: u32) -> TrainingSettings {
    TrainingSettings {
        network: network.into(),
        objective: Objective::Likelihood,
        normalise: Normalise::Class,
        optimizer: OptimizerConfig::default(),
        learning_rate: 1e-2,
        schedule: Schedule::Cosine {
            epochs,
            floor: 0.01,
        },
        gradient_clip: None,
        l2: 0.0,
        batch: 128,
        epochs,
        patience: epochs,
        retries: 0,
        bootstrap: false,
        split: SplitSettings {
            split: Split::Member,
            held_out: 0.0,
            validation: 0.1,
            folds: 2,
        },
    }
}

/// Shift and scale of each column to mean 0 and width 1.
pub fn standardised(rows: &[f32], columns: usize) -> FeatureScaling {
    let n = rows.len() as f64 / columns as f64;
    let column = |k: usize| rows.iter().skip(k).step_by(columns).map(|x| f64::from(*x));
    let mean: Vec<f64> = (0..columns).map(|k| column(k).sum::<f64>() / n).collect();
    let width = |k: usize| (column(k).map(|x| (x - mean[k]).powi(2)).sum::<f64>() / n).sqrt();
    FeatureScaling {
        expressions: (0..columns).map(|k| format!("x{k}")).collect(),
        definitions: Vec::new(),
        scale: (0..columns).map(width).collect(),
        mean,
    }
}

struct Quiet;

impl Observer for Quiet {
    fn interrupted(&self) -> bool {
        false
    }
    fn trained(&self, _: &str, _: u64) {}
    fn finished(&self, _: &Member) {}
}

/// Events of a sample, `[N, D + C]`, and how a density of theirs is learned.
pub struct Job {
    pub sample: TrainingSample,
    pub scaling: FeatureScaling,
    pub settings: TrainingSettings,
}

impl Job {
    pub fn new(rows: Vec<f32>, settings: TrainingSettings) -> Self {
        let columns = settings.network.columns();
        let scaling = standardised(&rows, columns);
        let inputs = Inputs::new(rows, columns);
        let keys: Vec<u64> = (0..inputs.len() as u64).collect();
        let events = ClassRows::consecutive(0, vec![1.0; keys.len()], keys);
        Self {
            sample: TrainingSample::of(Arc::new(inputs), vec![events]),
            scaling,
            settings,
        }
    }

    pub fn task(&self) -> Task<'_> {
        Task {
            sample: &self.sample,
            settings: &self.settings,
            seed: 1,
            ensemble: "density",
            features: &self.scaling,
            stream: None,
        }
    }

    /// Trains what the ledger has, by `threads` threads with stacks of `block`.
    pub fn train_from(
        &self,
        ledger: &dyn Ledger,
        observer: &dyn Observer,
        compute: &Compute,
        [threads, block]: [usize; 2],
    ) {
        let resources = Resources {
            devices: std::slice::from_ref(compute),
            threads,
            stack: block,
            device_memory: None,
        };
        train_local(&[self.task()], resources, ledger, observer).unwrap();
    }

    /// Members in the order of their numbers.
    pub fn train(
        &self,
        members: std::ops::Range<u32>,
        compute: &Compute,
        threads_and_block: [usize; 2],
    ) -> Vec<Member> {
        let finished = Mutex::new(Vec::new());
        let ledger = List::new(members.clone(), |member: &Member| {
            finished.lock().unwrap().push(member.clone());
            Ok(())
        });
        self.train_from(&ledger, &Quiet, compute, threads_and_block);
        let mut finished = finished.into_inner().unwrap();
        finished.sort_by_key(|member| member.about.member);
        let numbers = finished.iter().map(|member| member.about.member);
        assert!(numbers.eq(members), "every member once");
        finished
    }

    /// The first members, trained by the hand-written code on two threads.
    pub fn ensemble(&self, members: u32) -> Ensemble {
        let members = self.train(0..members, &cpu(Kernels::Fused), [2, 0]);
        for member in &members {
            let outcome = member.about.outcome;
            assert!(outcome.is_usable(), "{outcome:?}");
        }
        Ensemble { members }
    }
}

/// Trained flows.
pub struct Ensemble {
    pub members: Vec<Member>,
}

impl Ensemble {
    pub fn config(&self) -> &FlowConfig {
        match &self.members[0].about.network {
            NetworkConfig::Flow(flow) => flow,
            NetworkConfig::Mlp(_) => panic!("a density is a flow's"),
        }
    }

    fn rows(&self) -> Vec<Row> {
        self.members.iter().map(|m| m.row.clone()).collect()
    }

    /// log p(x|c) of every member, `[E][n]`; rows `[n, D + C]`.
    pub fn log_p(&self, kernels: Kernels, rows: &[f32]) -> Vec<Vec<f64>> {
        let config = self.config();
        let columns = config.features + config.context;
        let scaling = self.members[0].about.features.inputs();
        // density of the events and not of their standardised features
        let jacobian: f64 = scaling.factor[..config.features]
            .iter()
            .map(|factor| f64::from(*factor).ln())
            .sum();
        let network = Network::new(config.clone());
        let predictor = Predictor::new(&cpu(kernels), &network, &scaling, &self.rows());
        let pieces: Vec<Vec<f32>> = rows
            .par_chunks(EVALUATION_CHUNK * columns)
            .map(|piece| predictor.output(piece))
            .collect();
        let mut log_p = vec![Vec::with_capacity(rows.len() / columns); self.members.len()];
        for piece in pieces {
            let n = piece.len() / self.members.len();
            for (log_p, piece) in log_p.iter_mut().zip(piece.chunks(n)) {
                log_p.extend(piece.iter().map(|value| f64::from(*value) + jacobian));
            }
        }
        log_p
    }

    /// An event of every member for each context, `[E][n, D]`; context `[n, C]`.
    pub fn sample(&self, kernels: Kernels, context: &[f32], random: &mut Numbers) -> Vec<Vec<f32>> {
        let config = self.config();
        let (d, c) = (config.features, config.context);
        let scaling = self.members[0].about.features.inputs();
        let compute = cpu(kernels);
        let sampler = FlowSampler::new(&compute, config, &scaling, &self.rows());
        let n = context.len() / c;
        let noise: Vec<f32> = (0..n * d).map(|_| random.normal() as f32).collect();
        let pieces: Vec<Vec<f32>> = noise
            .par_chunks(EVALUATION_CHUNK * d)
            .zip(context.par_chunks(EVALUATION_CHUNK * c))
            .map(|(noise, context)| sampler.sample(noise, context))
            .collect();
        let mut events = vec![Vec::with_capacity(n * d); self.members.len()];
        for piece in pieces {
            let n = piece.len() / self.members.len();
            for (events, piece) in events.iter_mut().zip(piece.chunks(n)) {
                events.extend(piece);
            }
        }
        events
    }
}

/// Log of the mean of the members' densities, `[n]`.
pub fn log_mean(log_p: &[Vec<f64>]) -> Vec<f64> {
    let n = log_p[0].len();
    let of = |i: usize| {
        let largest = log_p.iter().map(|m| m[i]).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = log_p.iter().map(|m| (m[i] - largest).exp()).sum();
        largest + (sum / log_p.len() as f64).ln()
    };
    (0..n).map(of).collect()
}
