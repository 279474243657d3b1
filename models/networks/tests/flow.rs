//! Flows on every backend that is compiled in: against nflows, hand-written against
//! tensor operations, in a stack and alone, there and back.

use super::nflows;
use serde_json::Value;
use sideband_networks::{
    Batches, Compute, DeviceError, EvaluationRows, FlowConfig, FlowSampler, FlowStep, InputScaling,
    Kernels, MemberState, Network, Objective, Predictor, Row, Stack, StackConfig, Table,
};
use sideband_numerics::random::Key;

/// nflows 0.14: two steps of batch norm, permutation and LU, spline coupling.
const GOLDEN: &str = include_str!("data/golden/flow_small.json");
const WEIGHTS: &[u8] = include_bytes!("data/golden/flow_small.safetensors");

fn devices() -> Vec<Compute> {
    let open = |name| match Compute::open(name) {
        Err(DeviceError::NotCompiled { .. }) => None,
        opened => Some(opened.unwrap()),
    };
    let names = ["cpu", "ndarray", "wgpu", "cuda"];
    let mut list: Vec<Compute> = names.into_iter().filter_map(open).collect();
    // the other implementation where there are two
    let both = list.iter().filter(|d| matches!(d.name(), "cpu" | "wgpu"));
    let plain = both.map(|device| device.clone().with_kernels(Kernels::Plain));
    let plain: Vec<Compute> = plain.collect();
    list.extend(plain);
    list
}

fn name(compute: &Compute) -> String {
    format!("{} {:?}", compute.name(), compute.kernels())
}

/// Numbers of nested lists, one after the other.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

#[test]
fn log_densities_are_those_of_nflows() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let config: FlowConfig = serde_json::from_str(nflows::CONFIG).unwrap();
    let [x, context, expected] = ["x", "context", "log_prob"].map(|k| numbers(&golden["eval"][k]));
    let (d, c) = (config.features, config.context);
    let rows = x.chunks(d).zip(context.chunks(c));
    let rows = rows.flat_map(|(x, c)| x.iter().chain(c)).map(|v| *v as f32);
    let rows: Vec<f32> = rows.collect();
    let columns = d + c;
    let network = Network::new(config);
    let (parameters, statistics) = nflows::rows(&nflows::state(WEIGHTS));
    let row = Row {
        parameters,
        statistics,
    };
    for compute in devices() {
        let scaling = InputScaling::identity(columns);
        let predictor = Predictor::new(&compute, &network, &scaling, std::slice::from_ref(&row));
        let found = predictor.output(&rows);
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            // far in the tails log p is some thousands, of which f32 has 1e-7
            let allowed = 1e-4 * (1.0 + 1e-2 * expected.abs());
            let is_close = (f64::from(*found) - expected).abs() < allowed;
            assert!(is_close, "{} row {i}: {found} {expected}", name(&compute));
        }
    }
}

fn config(features: usize, context: usize, bins: usize) -> FlowConfig {
    use FlowStep::{BatchNorm, Coupling, Linear};
    FlowConfig {
        features,
        context,
        steps: [BatchNorm, Linear, Coupling].repeat(3),
        bins,
        bound: 3.0,
        hidden: 12,
        blocks: 1,
        dropout: 0.2,
    }
}

const ROWS: usize = 300;
const BATCH: usize = 48;

fn events(columns: usize) -> Vec<f32> {
    let mut stream = Key::from_seed(9).stream();
    let mut value = || (4.0 * stream.uniform() - 2.0 + stream.uniform().powi(3)) as f32;
    (0..ROWS * columns).map(|_| value()).collect()
}

/// Trains the given members for some steps; their rows.
fn train(compute: &Compute, flow: &FlowConfig, members: &[u64], steps: usize) -> Vec<Row> {
    let columns = flow.features + flow.context;
    let table = Table::new(compute, events(columns), columns);
    let network = Network::new(flow.clone());
    let start = |m: &u64| MemberState::start(network.initial(Key::from_seed(5).with(*m)));
    let states: Vec<MemberState> = members.iter().map(start).collect();
    let scalings = vec![InputScaling::identity(columns); members.len()];
    let config = StackConfig {
        l2: 1e-4,
        ..StackConfig::new(flow.clone(), Objective::Likelihood)
    };
    let mut stack = Stack::new(compute, config, &states, &scalings);
    let mut rows = Vec::new();
    for step in 0..steps {
        for member in members {
            let key = Key::from_seed(*member).with(step as u64);
            let order = key.permutation(ROWS as u32);
            rows.extend(order.into_iter().take(BATCH).map(|r| r as i32));
        }
    }
    let batches = Batches {
        steps,
        coefficients: vec![1.0 / BATCH as f32; rows.len()],
        rows,
        learning_rates: vec![2e-3; members.len()],
        dropout_keys: members.iter().map(|m| Key::from_seed(70 + m)).collect(),
        first_steps: vec![0; members.len()],
    };
    stack.train(&table, &batches);
    let evaluation: Vec<(u32, f32, f32)> = (0..100).map(|r| (r, 0.01, 1.0)).collect();
    let evaluation = EvaluationRows::new(compute, &table, &[evaluation], &scalings[..1]);
    let all: Vec<usize> = (0..members.len()).collect();
    let losses = stack.evaluate(&all, &table, &evaluation);
    assert!(losses.iter().all(|l| l.is_finite()), "{losses:?}");
    (0..members.len()).map(|m| stack.state(m).row).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// One step moves every parameter by the learning rate times the sign of its
/// gradient, so ten of them tell implementations apart by their gradients.
#[test]
fn training_is_the_same_by_hand_and_by_autodiff() {
    for flow in [config(6, 5, 4), config(3, 0, 8), config(2, 1, 2)] {
        let reference = Compute::open("cpu").unwrap().with_kernels(Kernels::Plain);
        let expected = train(&reference, &flow, &[0, 1], 10);
        for compute in devices() {
            let found = train(&compute, &flow, &[0, 1], 10);
            for (found, expected) in found.iter().zip(&expected) {
                let p = largest_difference(&found.parameters, &expected.parameters);
                let s = largest_difference(&found.statistics, &expected.statistics);
                let pairs = found.parameters.iter().zip(&expected.parameters);
                let far = pairs.filter(|(a, b)| (**a - **b).abs() > 4e-3).count();
                // Adam makes whole steps of a gradient that is rounding alone: on a
                // GPU, which rounds otherwise, a few parameters may go their own way
                let allowed = match compute.is_cpu() {
                    true => 0,
                    false => found.parameters.len() / 50,
                };
                let is_close = far <= allowed && p < 4.1e-2 && s < 1e-2;
                let name = name(&compute);
                assert!(is_close, "{name}, {flow:?}: {far} parameters, {p} {s}");
            }
        }
    }
}

#[test]
fn a_member_does_not_know_its_neighbours() {
    let flow = config(4, 2, 4);
    for compute in devices().into_iter().filter(Compute::is_cpu) {
        let together = &train(&compute, &flow, &[3, 4, 5], 6)[1];
        let alone = &train(&compute, &flow, &[4], 6)[0];
        if compute.name() == "ndarray" {
            // its sums along an axis are divided by the place in memory
            let p = largest_difference(&together.parameters, &alone.parameters);
            let s = largest_difference(&together.statistics, &alone.statistics);
            assert!(p < 1e-5 && s < 1e-5, "ndarray: {p} {s}");
        } else {
            assert_eq!(together, alone, "{}", compute.name());
        }
    }
}

/// z -> x -> z, by the sampler and by the log-density of what came out.
#[test]
fn samples_have_the_density_that_they_were_drawn_from() {
    let flow = config(4, 2, 4);
    let columns = 6;
    let cpu = Compute::open("cpu").unwrap();
    let rows = train(&cpu, &flow, &[1, 2], 30);
    let n = 700;
    let mut stream = Key::from_seed(4).stream();
    let noise: Vec<f32> = (0..n * 4).map(|_| stream.normal() as f32).collect();
    let mut context = || (2.0 * stream.uniform() - 1.0) as f32;
    let context: Vec<f32> = (0..n * 2).map(|_| context()).collect();
    let scaling = InputScaling {
        shift: vec![0.5, -1.0, 0.0, 2.0, 0.1, 0.2],
        factor: vec![2.0, 0.5, 1.0, 4.0, 1.5, 0.7],
    };
    let network = Network::new(flow.clone());
    let mut reference: Option<(Vec<f32>, Vec<f32>)> = None;
    for compute in devices() {
        let sampler = FlowSampler::new(&compute, &flow, &scaling, &rows);
        let x = sampler.sample(&noise, &context);
        assert_eq!(x.len(), 2 * n * 4);
        // rows of the first member with their context
        let pairs = x[..n * 4].chunks(4).zip(context.chunks(2));
        let table: Vec<f32> = pairs.flat_map(|(x, c)| [x, c].concat()).collect();
        assert_eq!(table.len(), n * columns);
        let predictor = Predictor::new(&compute, &network, &scaling, &rows[..1]);
        let log_p = predictor.output(&table);
        let (x0, l0) = reference.get_or_insert((x.clone(), log_p.clone()));
        let far = |a: &[f32], b: &[f32], allowed: f32| {
            let is_far = |(a, b): &(&f32, &f32)| (*a - *b).abs() > allowed * (1.0 + a.abs());
            a.iter().zip(b).filter(is_far).count()
        };
        // a bin edge within rounding may send a point to either side
        let (far_x, far_l) = (far(x0, &x, 2e-3), far(l0, &log_p, 5e-3));
        let name = name(&compute);
        assert!(far_x + far_l <= n / 100, "{name}: {far_x} {far_l}");
        // the way back: noise from the trace's other end
        let trace = sampler.trace(0, &noise, &context);
        assert_eq!(trace.len(), flow.steps.len() + 1);
        assert_eq!(trace[0], noise);
    }
}
