//! The sample with all jets of an event, by expressions over lists alone.

use crate::support::root;
use sideband::events::{Dataset, Hidden, Resolver, ScanRequest};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn candidates_are_made_of_the_jets_that_are_written() {
    let mut define = BTreeMap::new();
    for (name, place) in [("a", "h1_jets[0]"), ("b", "h1_jets[1]")] {
        for variable in ["pt", "eta", "phi", "m"] {
            define.insert(
                format!("{name}_{variable}"),
                format!("jet_{variable}[{place}]"),
            );
        }
        let energy = format!("sqrt(({name}_pt * cosh({name}_eta))^2 + {name}_m^2)");
        define.insert(format!("{name}_e"), energy);
    }
    let product = "a_pt * b_pt * (cos(a_phi - b_phi) + sinh(a_eta) * sinh(b_eta))";
    let mass = format!("sqrt(a_m^2 + b_m^2 + 2 * (a_e * b_e - {product}))");
    let none = [
        "sum(jet_tag) - n_btag".to_owned(),
        "count(jet_pt > 40) - n_jets".to_owned(),
        "max(jet_pt) - jet_pt[0]".to_owned(),
        "count(jet_tag && jet_pt <= 40)".to_owned(),
        "min(jet_pt) <= 25".to_owned(),
        format!("abs({mass} / m_h1 - 1) > 1e-5"),
    ];
    for (file, tags) in [("jets_3b", "n_btag == 3"), ("jets_4b", "n_btag >= 4")] {
        let path = root().join(format!("tests/data/jets/{file}.parquet"));
        let dataset = Dataset::open(&[path.display().to_string()], Path::new("")).unwrap();
        let resolver = Resolver::new(dataset.columns(), &define).unwrap();
        let columns = none
            .iter()
            .map(|text| (text.clone(), resolver.compile(text).unwrap()));
        let request = ScanRequest {
            selection: Some(resolver.compile(tags).unwrap()),
            columns: columns.collect(),
            ..ScanRequest::new(Hidden::nothing())
        };
        let table = dataset.scan(&request, None).unwrap();
        assert_eq!(table.len(), 7600, "{file}");
        for (text, values) in &table.columns {
            assert!(values.iter().all(|value| *value == 0.0), "{file}: {text}");
        }
    }
}
