//! Events whose halves are known: mixed with themselves they are new draws of the same law.

use crate::support::{Columns, Numbers, Workplace, integers, is_full, number};
use arrow::array::{ArrayRef, BooleanArray, Float64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use std::f64::consts::PI;
use std::sync::Arc;

/// How the halves of an event are drawn.
#[derive(Clone, Copy, PartialEq)]
enum Halves {
    /// Each by itself.
    Independent,
    /// With 80 % of their pT in common.
    Alike,
    /// As those that are alike, put together at random.
    Shuffled,
}

/// Four tagged jets, two on each side.
fn toys(seed: u64, first: i64, events: usize, halves: Halves) -> Columns {
    let mut numbers = Numbers::new(seed);
    let mut jets: [Vec<f64>; 4] = Default::default();
    for _ in 0..events {
        // the transverse momenta of a side add up along the axis, which therefore is that of the
        // event: else both halves would have to agree on it
        let axis = 2.0 * PI * numbers.uniform();
        let mut drawn = Vec::new();
        let exponential = |numbers: &mut Numbers| -(1.0 - numbers.uniform()).ln();
        let common = exponential(&mut numbers);
        for side in [0.0, PI] {
            let centre = 0.9 * numbers.normal();
            let other = match halves {
                Halves::Alike => common,
                Halves::Independent | Halves::Shuffled => exponential(&mut numbers),
            };
            let own = exponential(&mut numbers);
            let total = match halves {
                Halves::Independent => own,
                Halves::Alike | Halves::Shuffled => 0.8 * other + 0.2 * own,
            };
            let first = 0.35 + 0.3 * numbers.uniform();
            let pt = [first, 1.0 - first].map(|share| share * (90.0 + 90.0 * total));
            let across = (0.4 * numbers.normal()).clamp(-0.9, 0.9) * pt[0].min(pt[1]);
            for (pt, across) in pt.into_iter().zip([across, -across]) {
                let eta = (centre + 0.7 * numbers.normal()).clamp(-2.49, 2.49);
                let phi = axis + side + (across / pt).asin();
                let phi = (phi + PI).rem_euclid(2.0 * PI) - PI;
                drawn.push([pt, eta, phi, pt * (0.08 + 0.12 * numbers.uniform())]);
            }
        }
        drawn.sort_by(|a, b| b[0].total_cmp(&a[0]));
        for jet in drawn {
            jets.iter_mut().zip(jet).for_each(|(list, x)| list.push(x));
        }
    }
    let list = |values: ArrayRef| -> ArrayRef {
        let field = Field::new_list_field(values.data_type().clone(), false);
        let lengths = OffsetBuffer::from_lengths(vec![4; events]);
        Arc::new(ListArray::new(Arc::new(field), lengths, values, None))
    };
    let ids = integers((first..).take(events));
    let mut columns = Columns::default().with("event_id", ids);
    for (name, values) in ["jet_pt", "jet_eta", "jet_phi", "jet_m"].iter().zip(jets) {
        columns.set(name, list(Arc::new(Float64Array::from(values))));
    }
    let tags = BooleanArray::from(vec![true; 4 * events]);
    columns.with("jet_tag", list(Arc::new(tags)))
}

const INPUTS: &str = "[data.jets]
candidates = \"min_dr\"

[features]
inputs = [
    \"log_pt2\", \"log_pt4\", \"log_dr1\", \"log_dr2\", \"avg_abs_eta\", \"log_pt_hh\", \"dr_hh\", \"dphi_h1\",
    \"dphi_h2\", \"log(m_hh)\", \"log(jet_pt[0] / jet_pt[1])\", \"log(jet_pt[2] / jet_pt[3])\",
]
";

/// Whether a fresh classifier tells two files of events apart: its AUC on all but a tenth of them.
fn auc(place: &Workplace, source: &str, ids: &str) -> f64 {
    let config = format!(
        "[experiment]
name = \"apart\"
method = \"ratio\"
[data.source]
path = \"{source}\"
id = {ids}
[data.target]
path = \"truth.parquet\"
id = [\"event_id\"]
[regions.few]
selection = \"event_id % 10 == 0\"
[regions.most]
selection = \"event_id % 10 != 0\"
{INPUTS}
[model]
hidden = [4]
[training]
region = \"few\"
epochs = 1
batch = 64
[ensemble]
members = 1
[report]
classifier_members = 5
"
    );
    place.write("config.toml", config);
    place.remove("apart");
    place.run_quietly("apart", &[]).exits(0);
    let metrics = place.json("apart/metrics.json");
    number(&metrics["regions"]["most"]["auc"]["before"]["value"])
}

/// The AUC of events mixed with themselves against an independent sample.
fn self_mixed(place: &Workplace) -> f64 {
    let config = format!(
        "[experiment]
name = \"toys\"
method = \"mix\"
[data.source]
path = \"events.parquet\"
id = [\"event_id\"]
[data.target]
path = \"events.parquet\"
id = [\"event_id\"]
[regions.most]
selection = \"m_hh > 0\"
[regions.other]
selection = \"m_hh > 1\"
{INPUTS}
[training]
region = \"most\"
split = \"folds\"
[mixing]
queries = \"target\"
sets = 3
pairs = 5
pool_minimum = 50
errors = \"independent\"
[mixing.uncertainties.mass]
region = \"other\"
observable = \"m_hh\"
bins = [0.0, 300.0, 400.0, 500.0, 3000.0]
max_order = 1
"
    );
    place.write("config.toml", config);
    place.remove("out");
    let mix = ["mix", "config.toml", "--out", "out", "--quiet"];
    place.sideband(&mix).exits(0);
    let mixed = "out/mixing/set_00.parquet";
    let events = place.events(mixed);
    let [plus, minus] =
        ["mix_plus_event_id", "mix_minus_event_id"].map(|name| events.numbers(name));
    assert!(plus.iter().zip(&minus).all(|(plus, minus)| plus != minus));
    auc(place, mixed, "[\"event_id\", \"mix_k\"]")
}

/// The whole study's sample, and what its AUC may be above 0.5: of independent hemispheres, and of
/// those with 80 % of their pT in common.
const WHOLE: usize = 20_000;
const ABOVE: [f64; 2] = [0.02, 0.04];

/// What the AUC may be above 0.5 with so many events. Neighbours in four dimensions are farther
/// away by the fourth root of how many fewer there are, and what a classifier sees of them is at
/// most so much more; three statistical errors of an AUC near 0.5 of two classes,
/// sqrt(1 / (6 n)), where the whole sample has none to spare. Nine tenths of the events are
/// looked at.
fn allowed(above: f64, events: usize) -> f64 {
    if events == WHOLE {
        return above;
    }
    let fewer = WHOLE as f64 / events as f64;
    let statistics = (1.0 / (6.0 * 0.9 * events as f64)).sqrt();
    above * fewer.powf(0.25) + 3.0 * statistics
}

/// Figures of the whole study are of 20 000 events.
#[test]
fn events_mixed_with_themselves_are_new_ones() {
    let events = if is_full() { WHOLE } else { 5000 };
    let place = Workplace::with_configuration("");
    let [independent, alike] = [Halves::Independent, Halves::Alike].map(|halves| {
        place.put("events.parquet", &toys(1, 0, events, halves));
        place.put("truth.parquet", &toys(2, 1 << 32, events, halves));
        self_mixed(&place)
    });
    place.put(
        "shuffled.parquet",
        &toys(3, 1 << 40, events, Halves::Shuffled),
    );
    let shuffled = auc(&place, "shuffled.parquet", "[\"event_id\"]");
    println!("AUC: {independent} independent, {alike} alike, {shuffled} at random");
    let [first, second] = ABOVE.map(|above| 0.5 + allowed(above, events));
    assert!(independent <= first, "{independent} of {first}");
    assert!(alike <= second, "{alike} of {second}");
    // what the same classifier sees where hemispheres are put together at random
    assert!(shuffled >= 0.8, "{shuffled}");
}
