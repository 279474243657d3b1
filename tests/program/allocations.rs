//! What an evaluation of the unbinned likelihood takes from the allocator; see
//! `models/networks/tests/allocations.rs` for why, and for training steps. Allocations
//! are counted by thread: tests beside this one do not matter.

use sideband_likelihood::{
    Coefficient, Events, Interpolation, Parameter, Process, ProcessEvents, Rate, RateResponse,
    ResponseEvents, Sample, Storage, Term, UnbinnedChannel,
};
use sideband_numerics::random::Key;

const EVENTS: usize = 20_000;
const NUISANCES: usize = 10;

fn channel() -> UnbinnedChannel {
    let mut stream = Key::from_seed(7).stream();
    let mut column = |low: f64, high: f64| -> Vec<f64> {
        (0..EVENTS)
            .map(|_| low + (high - low) * stream.uniform())
            .collect()
    };
    let ratios = [column(0.5, 1.5), column(0.5, 1.5)];
    let ends: Vec<_> = (0..2 * NUISANCES)
        .map(|_| (column(0.95, 1.0), column(1.0, 1.06)))
        .collect();
    let mut parameters = vec![Parameter::interest("mu", 1.0, (0.0, 10.0))];
    parameters.extend((0..NUISANCES).map(|k| Parameter::nuisance(&format!("alpha_{k}"))));
    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let interpolation = Interpolation::Code4;
    let processes = ["mu", "1"].iter().map(|coefficient| {
        let responses = (0..NUISANCES).map(|k| RateResponse {
            parameter: k + 1,
            low: 0.97,
            high: 1.04,
            interpolation,
        });
        let coefficient = Coefficient::parse(coefficient, &names).unwrap();
        Process {
            name: format!("{coefficient:?}"),
            rate: Rate::new(coefficient, EVENTS as f64, responses.collect()).unwrap(),
        }
    });
    let events = Events {
        weights: &[1.0; EVENTS],
        processes: (0..2)
            .map(|process| ProcessEvents {
                ratios: &ratios[process],
                responses: (0..NUISANCES)
                    .map(|k| {
                        let (low, high) = &ends[process * NUISANCES + k];
                        ResponseEvents {
                            parameter: k + 1,
                            low,
                            high,
                            interpolation,
                        }
                    })
                    .collect(),
            })
            .collect(),
    };
    let sample = Sample::new(&events, Storage::default()).unwrap();
    UnbinnedChannel::new(processes.collect(), sample, &parameters).unwrap()
}

#[test]
fn an_evaluation_of_the_unbinned_likelihood() {
    const LIMIT: (f64, f64) = (42.0, 62_256.0);
    let channel = channel();
    let at = [vec![1.0], vec![0.1; NUISANCES]].concat();
    let mut gradient = vec![0.0; at.len()];
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let (count, bytes) = pool.install(|| {
        let mut evaluate = || channel.gradient(&at, &mut gradient);
        evaluate();
        let info = allocation_counter::measure(|| {
            for _ in 0..10 {
                assert!(evaluate().is_finite());
            }
        });
        (
            info.count_total as f64 / 10.0,
            info.bytes_total as f64 / 10.0,
        )
    });
    println!("{count:.1} allocations, {bytes:.0} bytes an evaluation");
    assert!(
        count <= 1.1 * LIMIT.0 && bytes <= 1.1 * LIMIT.1,
        "{count:.1} allocations and {bytes:.0} bytes, more than 10 % above {LIMIT:?}"
    );
}
