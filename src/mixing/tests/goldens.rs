//! Against an independent program: `tests/data/mixing`.

use super::super::hemispheres::{Thrust, halves, pseudo_tag, wrapped};
use super::super::library::{Library, MixEvent, PoolName, PoolSettings, Refusal};
use crate::events::{Dataset, Hidden, IdSpec, Jets, ListedJet, Resolver, ScanRequest};
use arrow::array::{Array, AsArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type, UInt64Type};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/mixing")
        .join(name)
}

fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(place(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn rows(name: &str) -> RecordBatch {
    let file = std::fs::File::open(place(name)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn numbers(array: &dyn Array) -> Vec<f64> {
    let numbers = cast(array, &DataType::Float64).unwrap();
    numbers.as_primitive::<Float64Type>().values().to_vec()
}

fn column(batch: &RecordBatch, name: &str) -> Vec<f64> {
    numbers(batch.column_by_name(name).unwrap())
}

fn keys(batch: &RecordBatch, name: &str) -> Vec<u64> {
    let keys = cast(batch.column_by_name(name).unwrap(), &DataType::UInt64).unwrap();
    keys.as_primitive::<UInt64Type>().values().to_vec()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let texts = cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
    let texts = texts.as_string::<i32>().iter();
    texts.map(|text| text.unwrap().to_owned()).collect()
}

fn events(name: &str) -> Vec<MixEvent> {
    let jets = Jets {
        pt: "jet_pt".into(),
        eta: "jet_eta".into(),
        phi: "jet_phi".into(),
        mass: "jet_m".into(),
        tagged: "jet_tag".into(),
        selected: Some("jet_sel".into()),
        most: 8,
    };
    let path = place(name).display().to_string();
    let dataset = Dataset::open(&[path], Path::new("")).unwrap();
    let resolver = Resolver::with_jets(dataset.columns(), Some(&jets), []).unwrap();
    let request = ScanRequest {
        id: IdSpec::Columns(vec!["event_id".into()]),
        ..ScanRequest::new(Hidden::nothing())
    };
    let table = dataset.scan(&request, None).unwrap();
    let places: Vec<u64> = (0..table.len()).map(|i| table.ids.place(i)).collect();
    let all = dataset.jets_of(&resolver, &places).unwrap();
    let all = all.iter().enumerate().map(|(i, jets)| MixEvent {
        key: table.ids.values(i).next().unwrap(),
        halves: halves(jets).unwrap(),
    });
    all.collect()
}

#[track_caller]
fn near(found: f64, golden: f64, relative: f64, what: &str) {
    let away = (found - golden).abs();
    assert!(
        away <= relative * golden.abs().max(1.0),
        "{what}: {found}, golden {golden}"
    );
}

#[test]
fn thrust_axes_are_the_largest_of_all_partitions() {
    let golden = json("thrust.json");
    let all = golden["events"].as_array().unwrap();
    assert_eq!(all.len(), 200);
    for event in all {
        let list = |key: &str| -> Vec<f64> { serde_json::from_value(event[key].clone()).unwrap() };
        let (pt, phi, sides) = (list("pt"), list("phi"), list("side"));
        let momenta: Vec<[f64; 2]> = pt
            .iter()
            .zip(&phi)
            .map(|(pt, phi)| [pt * phi.cos(), pt * phi.sin()])
            .collect();
        let thrust = Thrust::of(&momenta).unwrap();
        near(thrust.sum, event["sum"].as_f64().unwrap(), 1e-10, "sum");
        for (found, golden) in thrust.axis.iter().zip(list("axis")) {
            near(*found, golden, 1e-10, "axis");
        }
        let [nx, ny] = thrust.axis;
        for ([x, y], side) in momenta.iter().zip(sides) {
            assert_eq!((x * nx + y * ny).signum(), side);
        }
    }
    assert_eq!(Thrust::of(&[]), None);
}

/// Two equal partitions: the axis of the smaller angle.
#[test]
fn of_equal_axes_the_first_is_taken() {
    let square = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]];
    let thrust = Thrust::of(&square).unwrap();
    near(thrust.sum, 8_f64.sqrt(), 1e-12, "sum");
    near(thrust.angle(), -std::f64::consts::FRAC_PI_4, 1e-12, "angle");
}

#[test]
fn hemispheres_have_the_features_of_the_reference() {
    let golden = rows("hemispheres.parquet");
    let (samples, ids) = (texts(&golden, "sample"), keys(&golden, "event_id"));
    let names = [
        "side", "axis", "jets", "tags", "other", "sum_pz", "along", "across", "mass",
    ];
    let golden: Vec<Vec<f64>> = names.iter().map(|name| column(&golden, name)).collect();
    let mut row = 0;
    for (sample, file) in [("library", "library.parquet"), ("query", "queries.parquet")] {
        for event in events(file) {
            for (side, half) in event.halves.iter().enumerate() {
                assert_eq!((&*samples[row], ids[row]), (sample, event.key));
                let [jets, tags, other] = half.counts.map(|count| count as f64);
                let found = [
                    if side == 0 { 1.0 } else { -1.0 },
                    event.halves[0].theta,
                    jets,
                    tags,
                    other,
                    half.sum_pz,
                    half.along,
                    half.across,
                    half.mass,
                ];
                for ((found, golden), name) in found.iter().zip(&golden).zip(names) {
                    near(*found, golden[row], 1e-9, name);
                }
                row += 1;
            }
        }
    }
    assert_eq!(row, samples.len());
}

fn named((selected, tagged, other): PoolName) -> String {
    let other = other.map_or_else(String::new, |other| format!("_{other}"));
    format!("{selected}_{tagged}{other}")
}

#[test]
fn pools_neighbours_and_mixed_events_are_those_of_the_reference() {
    let (library, queries) = (events("library.parquet"), events("queries.parquet"));
    let categories = json("categories.json");
    let (near_by, mixed) = (rows("neighbours.parquet"), rows("mixed.parquet"));
    let (modes, pools) = (texts(&near_by, "mode"), texts(&near_by, "pool"));
    let (of_events, neighbours) = (keys(&near_by, "event_id"), keys(&near_by, "neighbour_id"));
    let [sides, their_sides, distances] =
        ["side", "neighbour_side", "distance"].map(|name| column(&near_by, name));
    let mixed_modes = texts(&mixed, "mode");
    let mixed_ids = keys(&mixed, "event_id");
    let parents = ["source_plus", "source_minus"].map(|name| keys(&mixed, name));
    let (mut row, mut mixed_row) = (0, 0);
    for (mode, flip_z, count) in [("z", true, 5), ("none", false, 1)] {
        let settings = PoolSettings {
            caps: [4, 4, 2],
            minimum: 20,
            flip_z,
        };
        let all: Vec<&MixEvent> = queries.iter().collect();
        let library = Library::new(library.iter().collect(), &all, settings);
        let golden = &categories["modes"][mode];
        let cells: BTreeMap<String, usize> = library
            .cells()
            .map(|([a, b, c], count)| (named((a, b, Some(c))), count))
            .collect();
        let expected: BTreeMap<String, usize> =
            serde_json::from_value(golden["library"].clone()).unwrap();
        assert_eq!(cells, expected, "{mode}");
        let expected = golden["pools"].as_object().unwrap();
        assert_eq!(library.pools().len(), expected.len(), "{mode}");
        for (name, pool) in library.pools() {
            let expected = &expected[&named(*name)];
            assert_eq!(
                pool.hemispheres as u64,
                expected["hemispheres"].as_u64().unwrap()
            );
            let scales: Vec<f64> = serde_json::from_value(expected["scale"].clone()).unwrap();
            for (found, golden) in pool.scales.iter().zip(scales) {
                near(*found, golden, 1e-10, "scale");
            }
        }
        let mut refused = Vec::new();
        for query in &queries {
            for (side, half) in query.halves.iter().enumerate() {
                if half.jets.is_empty() {
                    continue;
                }
                let Some(found) = library.neighbours(query.key, half, 5) else {
                    continue;
                };
                let name = named(library.name(half).unwrap());
                for (place, distance) in found {
                    let what = format!("{mode}, event {}, side {side}", query.key);
                    assert_eq!((&*modes[row], of_events[row]), (mode, query.key), "{what}");
                    assert_eq!(sides[row], if side == 0 { 1.0 } else { -1.0 }, "{what}");
                    assert_eq!(pools[row], name, "{what}");
                    let key = self::key(&library, place, &what, neighbours[row]);
                    let their = if place.side == 0 { 1.0 } else { -1.0 };
                    assert_eq!((key, their), (neighbours[row], their_sides[row]), "{what}");
                    near(distance, distances[row], 1e-9, &what);
                    row += 1;
                }
            }
            let pairs = match library.pairs(query, count) {
                Ok(pairs) => pairs,
                Err(reason) => {
                    refused.push((query.key, reason));
                    continue;
                }
            };
            for pair in &pairs {
                let what = format!("{mode}, mixed event {}", query.key);
                let found = (&*mixed_modes[mixed_row], mixed_ids[mixed_row]);
                assert_eq!(found, (mode, query.key), "{what}");
                for (place, parent) in pair.halves.iter().zip(&parents) {
                    self::key(&library, *place, &what, parent[mixed_row]);
                }
                check_jets(&library.mixed(query, pair), &mixed, mixed_row, &what);
                mixed_row += 1;
            }
        }
        let golden: Vec<u64> = serde_json::from_value(categories["refused"][mode].clone()).unwrap();
        let keys: Vec<u64> = refused.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, golden, "{mode}");
        for (key, reason) in refused {
            let expected = match key {
                5066 => Refusal::OneSided,
                _ => Refusal::NoPool,
            };
            assert_eq!(reason, expected, "{key}");
        }
        assert!(library.duplicates() >= 12, "{}", library.duplicates());
    }
    assert_eq!((row, mixed_row), (modes.len(), mixed_modes.len()));
}

/// The key of a hemisphere's event, which has to be this one.
#[track_caller]
fn key(
    library: &Library<'_>,
    place: super::super::library::Place,
    what: &str,
    expected: u64,
) -> u64 {
    let key = library.key(place);
    assert_eq!(key, expected, "{what}");
    key
}

#[track_caller]
fn check_jets(found: &[ListedJet], golden: &RecordBatch, row: usize, what: &str) {
    let list = |name: &str| {
        let lists = golden.column_by_name(name).unwrap().as_list::<i32>();
        numbers(&lists.value(row))
    };
    let [pt, eta, phi, mass, sel, tag] = [
        "jet_pt", "jet_eta", "jet_phi", "jet_m", "jet_sel", "jet_tag",
    ]
    .map(list);
    assert_eq!(found.len(), pt.len(), "{what}");
    for (k, jet) in found.iter().enumerate() {
        assert_eq!(
            (jet.pt, jet.eta, jet.mass),
            (pt[k], eta[k], mass[k]),
            "{what}"
        );
        let flags = [jet.is_selected, jet.is_tagged].map(|flag| f64::from(u8::from(flag)));
        assert_eq!(flags, [sel[k], tag[k]], "{what}");
        assert!(
            wrapped(jet.phi - phi[k]).abs() < 1e-9,
            "{what}: {}",
            jet.phi
        );
    }
}

#[test]
fn the_hardest_untagged_jets_are_pseudo_tags() {
    let jet = |pt: f64, is_selected: bool, is_tagged: bool| ListedJet {
        pt,
        is_selected,
        is_tagged,
        ..ListedJet::default()
    };
    let mut jets = [
        jet(50.0, true, true),
        jet(60.0, true, false),
        jet(200.0, false, false),
        jet(40.0, true, false),
        jet(70.0, true, false),
        jet(45.0, true, false),
    ];
    pseudo_tag(&mut jets, 4);
    let tags = jets.map(|jet| jet.is_tagged);
    assert_eq!(tags, [true, true, false, false, true, true]);
}
