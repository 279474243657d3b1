//! Modifiers with their data checked against the sample.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{Place, WorkspaceError};
use super::schema;

/// The types that are known, for messages.
const KNOWN: &str = "histosys, lumi, normfactor, normsys, shapefactor, shapesys and staterror";

/// What a modifier does, with its data.
pub(super) enum Effect {
    NormFactor,
    Lumi,
    NormSys(schema::NormSys),
    HistoSys(schema::HistoSys),
    ShapeFactor,
    ShapeSys(Vec<f64>),
    StatError(Vec<f64>),
}

/// A checked modifier.
pub(super) struct Checked {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) effect: Effect,
}

impl Checked {
    /// Checks a modifier of a sample of `bins` bins.
    pub(super) fn new(
        channel: &str,
        sample: &schema::Sample,
        modifier: schema::Modifier,
    ) -> Result<Self, WorkspaceError> {
        let schema::Modifier { name, kind, data } = modifier;
        let place = Place {
            channel: channel.to_owned(),
            sample: sample.name.clone(),
            modifier: Some((name.clone(), kind.clone())),
        };
        let effect = effect(&place, &kind, data, sample.data.len())?;
        Ok(Self {
            name,
            place,
            effect,
        })
    }
}

fn effect(place: &Place, kind: &str, data: Value, bins: usize) -> Result<Effect, WorkspaceError> {
    match kind {
        "normfactor" => null(place, &data).map(|()| Effect::NormFactor),
        "lumi" => null(place, &data).map(|()| Effect::Lumi),
        "shapefactor" => null(place, &data).map(|()| Effect::ShapeFactor),
        "normsys" => {
            let data: schema::NormSys = typed(place, data, "an object of the numbers lo and hi")?;
            positive(place, "lo", data.lo)?;
            positive(place, "hi", data.hi)?;
            Ok(Effect::NormSys(data))
        }
        "histosys" => {
            let expected = "an object of the lists lo_data and hi_data";
            let data: schema::HistoSys = typed(place, data, expected)?;
            length(place, "lo_data", data.lo_data.len(), bins)?;
            length(place, "hi_data", data.hi_data.len(), bins)?;
            Ok(Effect::HistoSys(data))
        }
        "shapesys" => uncertainties(place, data, bins).map(Effect::ShapeSys),
        "staterror" => uncertainties(place, data, bins).map(Effect::StatError),
        _ => Err(WorkspaceError::UnknownModifier {
            place: Box::new(place.clone()),
            known: KNOWN,
        }),
    }
}

fn null(place: &Place, data: &Value) -> Result<(), WorkspaceError> {
    if data.is_null() {
        return Ok(());
    }
    Err(WorkspaceError::ModifierData {
        place: Box::new(place.clone()),
        expected: "null",
        problem: "there is something".to_owned(),
    })
}

fn typed<T: DeserializeOwned>(
    place: &Place,
    data: Value,
    expected: &'static str,
) -> Result<T, WorkspaceError> {
    serde_json::from_value(data).map_err(|error| WorkspaceError::ModifierData {
        place: Box::new(place.clone()),
        expected,
        problem: error.to_string(),
    })
}

fn uncertainties(place: &Place, data: Value, bins: usize) -> Result<Vec<f64>, WorkspaceError> {
    let data: Vec<f64> = typed(place, data, "a list of one uncertainty a bin")?;
    length(place, "data", data.len(), bins)?;
    match data.iter().position(|sigma| *sigma < 0.0) {
        None => Ok(data),
        Some(bin) => Err(WorkspaceError::Value {
            place: Box::new(place.clone()),
            what: "data",
            bin: Some(bin),
            value: data[bin],
            expected: "an uncertainty of zero or above",
        }),
    }
}

fn length(
    place: &Place,
    what: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), WorkspaceError> {
    if found == expected {
        return Ok(());
    }
    Err(WorkspaceError::Length {
        place: Box::new(place.clone()),
        what,
        found,
        expected,
    })
}

fn positive(place: &Place, what: &'static str, value: f64) -> Result<(), WorkspaceError> {
    if value > 0.0 {
        return Ok(());
    }
    Err(WorkspaceError::Value {
        place: Box::new(place.clone()),
        what,
        bin: None,
        value,
        expected: "a positive factor",
    })
}
