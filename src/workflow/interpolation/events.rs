//! Drawn points of the plane and features, rebuilt into events with the columns
//! that regions and distributions are made of.

use super::plan::InterpolationPlan;
use crate::error::Result;
use crate::events::{ColumnChunk, ColumnInfo, Compiled, Resolver};
use crate::settings::{Blinding, CandidatesConfig, Config, InterpolationConfig, REBUILT};

/// Columns of a rebuilt event and the expressions over them.
#[derive(Clone, Debug)]
pub(super) struct EventColumns {
    /// Names, in the order of the values: plane, category, features, rebuilt.
    pub names: Vec<String>,
    /// Selection of each predicted region, with its number.
    pub regions: Vec<(usize, Compiled)>,
    /// Each plotted variable.
    pub variables: Vec<Compiled>,
    /// Selections of blind regions whose observed events are hidden, where other regions
    /// are predicted too.
    pub hidden: Vec<Compiled>,
    /// Predicted regions that are not blind, a bit each in the order of `regions`.
    pub open: u64,
}

impl EventColumns {
    /// # Errors
    /// The key and what does not fit: an expression over columns that no sample
    /// has.
    pub(super) fn new(
        config: &Config,
        interpolation: &InterpolationConfig,
        blinding: &Blinding,
        variables: &[(String, String)],
    ) -> Result<Self> {
        let names = names(interpolation);
        let columns: Vec<ColumnInfo> = names
            .iter()
            .map(|name| ColumnInfo {
                name: name.clone(),
                type_name: "Float64".to_owned(),
                numeric: true,
            })
            .collect();
        let definitions = config.data.define.iter().chain(&interpolation.derived);
        let definitions = definitions.filter(|(name, _)| !names.contains(name));
        let resolver = Resolver::new(&columns, definitions);
        let resolver = resolver.map_err(|e| e.at_key("interpolation.derived"))?;
        let compile = |key: String, text: &str| {
            resolver
                .compile(text)
                .map_err(|e| e.at_key(format!("{key} (in the sampled events)")))
        };
        let mut regions = Vec::new();
        for name in interpolation.predicted(config) {
            if let Some((index, _, region)) = config.regions.get_full(name) {
                let key = format!("regions.{name}.selection");
                regions.push((index, compile(key, &region.selection)?));
            }
        }
        let variables = variables
            .iter()
            .map(|(name, text)| compile(format!("report, {name}"), text))
            .collect::<Result<_, _>>()?;
        let bits = regions.iter().enumerate();
        let open = bits
            .filter(|(_, (index, _))| blinding.shows(*index))
            .fold(0, |mask, (bit, _)| mask | 1 << bit);
        let mut hidden = Vec::new();
        for name in blinding.hidden_regions().filter(|_| open != 0) {
            let key = format!("regions.{name}.selection");
            hidden.push(compile(key, &config.regions[name].selection)?);
        }
        Ok(Self {
            names,
            regions,
            variables,
            hidden,
            open,
        })
    }

    /// Takes samples out of the regions that are not blind where the observed events of
    /// those would be hidden: what is compared is of the same events. `flags`: a bit a
    /// predicted region.
    pub(super) fn hide(&self, chunk: &ColumnChunk, flags: &mut [u64]) -> Result<()> {
        for selection in &self.hidden {
            let values = selection.eval_chunk(chunk)?;
            // as for data: what cannot be decided is hidden
            let hidden = flags
                .iter_mut()
                .zip(values.iter())
                .filter(|(_, x)| **x != 0.0);
            hidden.for_each(|(flags, _)| *flags &= !self.open);
        }
        Ok(())
    }
}

/// Names of the columns that a sampled event has.
fn names(interpolation: &InterpolationConfig) -> Vec<String> {
    let mut names = vec![interpolation.plane.x.clone(), interpolation.plane.y.clone()];
    if let Some(category) = &interpolation.category {
        names.push(category.column.clone());
    }
    names.extend(interpolation.variables.iter().map(|v| v.name.clone()));
    if interpolation.candidates.is_some() {
        let new = REBUILT.iter().filter(|name| !names_contain(&names, name));
        let new: Vec<String> = new.map(|name| (*name).to_owned()).collect();
        names.extend(new);
    }
    names
}

fn names_contain(names: &[String], name: &str) -> bool {
    names.iter().any(|n| n == name)
}

/// The same events as columns, `[rows]` each.
pub(super) struct Rebuilt {
    pub chunk: ColumnChunk,
    /// In the order of [`EventColumns::names`].
    pub columns: Vec<Vec<f64>>,
}

/// Rebuilds events: plane points and categories, and standardised features
/// `[n, D]` as a flow gives them.
pub(super) fn rebuild(
    plan: &InterpolationPlan,
    points: &[super::Point],
    features: &[f32],
) -> Result<Rebuilt> {
    let interpolation = plan.interpolation();
    let d = interpolation.variables.len();
    let mut columns: Vec<Vec<f64>> = vec![
        points.iter().map(|p| p.masses[0]).collect(),
        points.iter().map(|p| p.masses[1]).collect(),
    ];
    if interpolation.category.is_some() {
        let values = interpolation.categories();
        columns.push(points.iter().map(|p| values[p.category]).collect());
    }
    for (k, variable) in interpolation.variables.iter().enumerate() {
        let of = |row: &[f32]| variable.transform.inverse(f64::from(row[k]));
        columns.push(features.chunks(d).map(of).collect());
    }
    let names = &plan.columns.names;
    if let Some(candidates) = &interpolation.candidates {
        let rebuilt = four_vectors(candidates, names, &columns);
        let missing = &names[columns.len()..];
        for (name, values) in REBUILT.iter().zip(rebuilt) {
            if names_contain(missing, name) {
                columns.push(values);
            }
        }
    }
    let mut chunk = ColumnChunk::new(points.len());
    for (name, values) in names.iter().zip(&columns) {
        chunk.insert(name.clone(), values.clone())?;
    }
    Ok(Rebuilt { chunk, columns })
}

/// Columns of the candidates, by name.
pub(super) fn candidate_columns(candidates: &CandidatesConfig) -> Vec<(&'static str, &String)> {
    let pairs = [
        ("pt", &candidates.pt),
        ("eta", &candidates.eta),
        ("mass", &candidates.mass),
    ];
    let mut list: Vec<(&'static str, &String)> = pairs
        .into_iter()
        .flat_map(|(key, names)| names.iter().map(move |name| (key, name)))
        .collect();
    list.push(("dphi", &candidates.dphi));
    list
}

/// Whether all columns of the candidates are among those of a sampled event; the
/// first that is not.
pub(super) fn missing_candidate(interpolation: &InterpolationConfig) -> Option<(&str, String)> {
    let names = names(interpolation);
    let candidates = interpolation.candidates.as_ref()?;
    let mut columns = candidate_columns(candidates).into_iter();
    let (key, name) = columns.find(|(_, name)| !names.contains(name))?;
    Some((key, name.clone()))
}

fn four_vectors(
    candidates: &CandidatesConfig,
    names: &[String],
    columns: &[Vec<f64>],
) -> [Vec<f64>; 7] {
    let find = |name: &String| {
        let place = names.iter().position(|n| n == name);
        &columns[place.expect("the plan was checked to have the candidates' columns")]
    };
    let [pt, eta, mass] = [&candidates.pt, &candidates.eta, &candidates.mass]
        .map(|pair| [find(&pair[0]), find(&pair[1])]);
    let dphi = find(&candidates.dphi);
    let mut result: [Vec<f64>; 7] = Default::default();
    for row in 0..dphi.len() {
        let vector = |k: usize, phi: f64| {
            let (pt, eta, m) = (pt[k][row], eta[k][row], mass[k][row]);
            let [x, y, z] = [pt * phi.cos(), pt * phi.sin(), pt * eta.sinh()];
            [(x * x + y * y + z * z + m * m).sqrt(), x, y, z]
        };
        let (a, b) = (vector(0, 0.0), vector(1, dphi[row]));
        let [e, x, y, z] = [0, 1, 2, 3].map(|i| a[i] + b[i]);
        let squared = e * e - x * x - y * y - z * z;
        // rounding must not make a mass of nothing imaginary; NaN stays NaN
        let m_hh = if squared < 0.0 { 0.0 } else { squared.sqrt() };
        let pt_hh = x.hypot(y);
        let deta = (eta[0][row] - eta[1][row]).abs();
        let values = [
            m_hh,
            pt_hh,
            pt_hh.ln(),
            deta,
            deta.hypot(dphi[row]),
            0.0,
            dphi[row],
        ];
        for (column, value) in result.iter_mut().zip(values) {
            column.push(value);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two back-to-back candidates of equal mass and momentum: m_HH = 2 E.
    #[test]
    fn four_vectors_add_up() {
        let candidates = CandidatesConfig {
            pt: ["pt1", "pt2"].map(ToOwned::to_owned),
            eta: ["eta1", "eta2"].map(ToOwned::to_owned),
            mass: ["m1", "m2"].map(ToOwned::to_owned),
            dphi: "dphi".to_owned(),
        };
        let names: Vec<String> = ["m1", "m2", "pt1", "pt2", "eta1", "eta2", "dphi"]
            .map(ToOwned::to_owned)
            .to_vec();
        let pi = std::f64::consts::PI;
        let columns = [125.0, 125.0, 300.0, 300.0, 0.0, 0.0, pi].map(|v| vec![v]);
        let rebuilt = four_vectors(&candidates, &names, &columns);
        assert!((rebuilt[0][0] - 2.0 * 300f64.hypot(125.0)).abs() < 1e-9);
        assert!(rebuilt[1][0] < 1e-9);
        assert!((rebuilt[4][0] - pi).abs() < 1e-12);
        // a boost along the beam does not change the mass
        let columns = [125.0, 125.0, 300.0, 300.0, 1.3, 1.3, pi].map(|v| vec![v]);
        let boosted = four_vectors(&candidates, &names, &columns);
        let along =
            2.0 * (300f64.powi(2) + 125f64.powi(2) + (300.0 * 1.3f64.sinh()).powi(2)).sqrt();
        let z = 2.0 * 300.0 * 1.3f64.sinh();
        assert!((boosted[0][0] - (along * along - z * z).sqrt()).abs() < 1e-9);
    }
}
