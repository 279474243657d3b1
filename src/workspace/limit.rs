//! CLs upper limits of a workspace: `sideband limit`.

use super::head::{DataKind, Head};
use super::opened::Opened;
use super::toy_limit::{ToyRecord, ToyRequest, limits_by_toys};
use crate::error::{Context, Error, Kind, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sideband_likelihood::Error as NoLimit;
use sideband_likelihood::Parameter;
use sideband_likelihood::asymptotic::{Asymptotics, LimitSettings, UpperStatistic};
use sideband_likelihood::histogram::HistogramModel;
use sideband_numerics::evenly;

/// Points of a curve whose ends alone are known.
const POINTS: usize = 31;
/// Where CLs is given if no value is asked for.
const TEST_POI: f64 = 1.0;
/// How far a curve reaches beyond the highest limit that is found.
const BEYOND: f64 = 1.3;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LimitRequest {
    pub(crate) level: f64,
    pub(crate) statistic: Statistic,
    /// Asimov data without signal in the place of the observed ones: expected limits alone.
    pub(crate) is_asimov: bool,
    /// Whether a limit above the upper bound is none.
    pub(crate) has_strict_bounds: bool,
    /// Where CLs is given beside the limits, which is no result without it; if none is asked for,
    /// at [`TEST_POI`], where it may be missing.
    pub(crate) test_poi: Option<f64>,
    pub(crate) curve: Curve,
    /// By pseudo-experiments, too.
    pub(crate) toys: Option<ToyRequest>,
}

/// A statistic, as pyhf names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Statistic {
    /// For a parameter that may be negative.
    Q,
    /// For one that ends at 0.
    Qtilde,
}

/// Values of the parameter of interest at which CLs is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Curve {
    None,
    /// From 0 to beyond the limits.
    Around,
    /// Between two values.
    Range([f64; 2]),
}

/// CLs at one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(non_snake_case, reason = "these are the names that pyhf gives them")]
pub(crate) struct ClsPoint {
    pub(crate) poi: f64,
    pub(crate) CLs_obs: Option<f64>,
    /// For data that fluctuate by -2, -1, 0, 1 and 2 standard deviations.
    pub(crate) CLs_exp: [f64; 5],
}

/// The upper limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct UpperLimit {
    pub(crate) observed: Option<f64>,
    /// For data that fluctuate by -2, -1, 0, 1 and 2 standard deviations.
    pub(crate) expected: [Option<f64>; 5],
}

/// The parameter of interest at the best fit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BestPoi {
    pub(crate) value: f64,
    pub(crate) error: Option<f64>,
}

/// `limit.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(non_snake_case, reason = "these are the names that pyhf gives them")]
pub(crate) struct LimitRecord {
    #[serde(flatten)]
    pub(crate) head: Head,
    /// Why this is no result, or which of the limits are none; null if all are there.
    pub(crate) failure: Option<String>,
    pub(crate) test_stat: Statistic,
    pub(crate) confidence_level: f64,
    /// Null without observed data.
    pub(crate) best_fit: Option<BestPoi>,
    /// Where `CLs_obs` and `CLs_exp` are.
    pub(crate) test_poi: f64,
    pub(crate) CLs_obs: Option<f64>,
    pub(crate) CLs_exp: Option<[f64; 5]>,
    pub(crate) upper_limit: UpperLimit,
    /// The upper bound of the parameter of interest that the limits needed in place of its own.
    pub(crate) bound_widened: Option<f64>,
    pub(crate) curve: Vec<ClsPoint>,
    /// The limits by pseudo-experiments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) toys: Option<ToyRecord>,
}

impl From<Statistic> for UpperStatistic {
    fn from(statistic: Statistic) -> Self {
        match statistic {
            Statistic::Q => Self::Q,
            Statistic::Qtilde => Self::QTilde,
        }
    }
}

impl Statistic {
    /// That of a name; `qtilde` unless it is `q`.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "q" => Self::Q,
            _ => Self::Qtilde,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Q => "q",
            Self::Qtilde => "qtilde",
        }
    }

    /// Why it is not the statistic of a parameter with this lower bound, as pyhf warns.
    fn misfit(self, name: &str, low: f64) -> Option<String> {
        let why = match self {
            Self::Q if low == 0.0 => {
                "q is the statistic of a parameter that may be negative; take --test-stat qtilde"
            }
            Self::Qtilde if low < 0.0 => {
                "qtilde is the statistic of a parameter that ends at 0; take --test-stat q"
            }
            Self::Q | Self::Qtilde => return None,
        };
        Some(format!("the lower bound of {name} is {low}, and {why}"))
    }
}

impl Opened {
    /// The limits. What cannot be had is said in the record's failure; the rest stands without it.
    /// `progress` gets numbers of toys as they are done.
    pub(crate) fn limit(
        &self,
        asked: &LimitRequest,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<LimitRecord> {
        let interest = self.interest()?;
        let (model, data) = self.data(asked.is_asimov.then_some(0.0))?;
        let mut record = LimitRecord {
            head: Head::new("limit", self, data),
            failure: None,
            test_stat: asked.statistic,
            confidence_level: asked.level,
            best_fit: None,
            test_poi: asked.tested(),
            CLs_obs: None,
            CLs_exp: None,
            upper_limit: UpperLimit::default(),
            bound_widened: None,
            curve: Vec::new(),
            toys: None,
        };
        match Asymptotics::new(&model, interest, 0.0, &self.settings) {
            Ok(tests) => {
                self.fill(&mut record, asked, &tests, (&model, interest))?;
                if let Some(toys) = &asked.toys {
                    self.throw(&mut record, toys, (&model, interest), progress);
                }
            }
            Err(error) => record.failure = Some(error.to_string()),
        }
        Ok(record)
    }

    fn fill(
        &self,
        record: &mut LimitRecord,
        asked: &LimitRequest,
        tests: &Asymptotics,
        (model, interest): (&HistogramModel, usize),
    ) -> Result<()> {
        let has_observed = record.head.data == DataKind::Observed;
        let statistic = asked.statistic.into();
        let settings = LimitSettings {
            level: asked.level,
            statistic,
            strict_bounds: asked.has_strict_bounds,
        };
        let best = tests.best();
        record.best_fit = has_observed.then(|| BestPoi {
            value: best.point[interest],
            error: best.error(interest),
        });
        let limits = tests.limits_with(&settings).at(Kind::Data, &self.name)?;
        let mut missing = Vec::new();
        let mut value = |found: std::result::Result<f64, NoLimit>| match found {
            Ok(value) => Some(value),
            Err(error) => {
                missing.push(error.to_string());
                None
            }
        };
        record.upper_limit = UpperLimit {
            observed: if has_observed {
                value(limits.observed)
            } else {
                None
            },
            expected: limits.expected.map(&mut value),
        };
        record.bound_widened = limits.bound_widened;
        let name = &model.parameters[interest].name;
        let notes = &mut record.head.notes;
        notes.extend(limits.deeper_at.iter().map(|mu| {
            format!(
                "the fit at {name} = {mu:.4} was deeper than the best fit, which was made again \
                 from there"
            )
        }));
        let (low, own) = model.parameters[interest].bounds;
        notes.extend(asked.statistic.misfit(name, low));
        let widened = |bound| widened_in_words(&model.parameters[interest], bound);
        notes.extend(limits.bound_widened.map(widened));
        let wide = limits.bound_widened.map(|bound| tests.widened(bound));
        let wide = wide.transpose().at(Kind::Data, &self.name)?;
        let tests = wide.as_ref().unwrap_or(tests);
        let point = |mu: f64| {
            let found = tests.cls(mu, statistic)?;
            Ok::<_, NoLimit>(ClsPoint {
                poi: mu,
                CLs_obs: has_observed.then_some(found.observed),
                CLs_exp: found.expected,
            })
        };
        match point(asked.tested()) {
            Ok(found) => (record.CLs_obs, record.CLs_exp) = (found.CLs_obs, Some(found.CLs_exp)),
            Err(error) => {
                let text = format!("CLs at {name} = {}: {error}", asked.tested());
                match asked.test_poi {
                    Some(_) => missing.push(text),
                    None => notes.push(text),
                }
            }
        }
        let bounds = (low, limits.bound_widened.unwrap_or(own));
        let values = curve(asked.curve, &record.upper_limit, bounds);
        if matches!(asked.curve, Curve::Range(_)) && values.len() < POINTS {
            notes.push(format!(
                "{} of the {POINTS} values of --range are beyond the bounds {low} and {} of {name}",
                POINTS - values.len(),
                bounds.1
            ));
        }
        let found: Vec<_> = values.par_iter().map(|mu| (mu, point(*mu))).collect();
        let mut lost = Vec::new();
        for (mu, found) in found {
            match found {
                Ok(point) => record.curve.push(point),
                Err(error) => lost.push(format!("{mu:.4}: {error}")),
            }
        }
        notes.extend(lost.first().map(|first| {
            format!(
                "CLs could not be found at {} of {} values of the curve, first at {first}",
                lost.len(),
                values.len()
            )
        }));
        missing.dedup();
        record.failure = (!missing.is_empty()).then(|| missing.join("; "));
        Ok(())
    }

    /// The limits by toys about the asymptotic ones. Without an observed one there is no result;
    /// an expected one that lies beyond the tested values is noted.
    fn throw(
        &self,
        record: &mut LimitRecord,
        asked: &ToyRequest,
        (model, interest): (&HistogramModel, usize),
        progress: &(dyn Fn(u64) + Sync),
    ) {
        let has_observed = record.head.data == DataKind::Observed;
        let mut model = model.clone();
        let bound = &mut model.parameters[interest].bounds.1;
        *bound = record.bound_widened.unwrap_or(*bound);
        let about = [record.upper_limit.observed, record.upper_limit.expected[2]];
        let Some(values) = asked.values(about, *bound) else {
            let note = "no toys were thrown: there is no limit about which they could be";
            record.head.notes.push(note.to_owned());
            return;
        };
        let found = limits_by_toys(
            (&model, interest, has_observed),
            (&values, record.confidence_level),
            &self.settings,
            asked,
            progress,
        );
        let mut failures = Vec::from_iter(record.failure.take());
        match found {
            Ok(toys) => {
                failures.extend(toys.lost);
                record.head.notes.extend(toys.noted);
                record.toys = Some(toys.record);
            }
            Err(error) => failures.push(format!("limits by toys: {error}")),
        }
        record.failure = (!failures.is_empty()).then(|| failures.join("; "));
    }
}

/// That limits lie above the upper bound of their parameter.
pub(super) fn widened_in_words(parameter: &Parameter, bound: f64) -> String {
    let (name, (_, own)) = (&parameter.name, parameter.bounds);
    format!("the limits lie above the upper bound {own} of {name}: it was taken as {bound}")
}

/// Values of a curve within the bounds.
fn curve(asked: Curve, limits: &UpperLimit, (low, high): (f64, f64)) -> Vec<f64> {
    let all = limits.expected.iter().chain([&limits.observed]).flatten();
    let highest = all.fold(0.0_f64, |most, limit| most.max(*limit));
    let range = match asked {
        Curve::None => return Vec::new(),
        Curve::Around if highest == 0.0 => return Vec::new(),
        Curve::Around => [0.0, BEYOND * highest],
        Curve::Range(ends) => ends,
    };
    let values = evenly(range, POINTS);
    values.filter(|mu| (low..=high).contains(mu)).collect()
}

impl LimitRequest {
    /// Where CLs is given.
    fn tested(&self) -> f64 {
        self.test_poi.unwrap_or(TEST_POI)
    }

    /// Refuses what cannot be asked for.
    pub(crate) fn check(&self) -> Result<()> {
        if !(self.level > 0.5 && self.level < 1.0) {
            return Err(Error::usage(format!(
                "--level {}: a confidence level is between 0.5 and 1",
                self.level
            )));
        }
        if !self.tested().is_finite() {
            return Err(Error::usage("--test-poi must be a finite number"));
        }
        self.toys.as_ref().map_or(Ok(()), ToyRequest::check)?;
        match self.curve {
            Curve::Range([a, b]) if !(a.is_finite() && b.is_finite() && a < b) => {
                Err(Error::usage(format!(
                    "--range {a}:{b}: two finite numbers are needed, the smaller one first"
                )))
            }
            _ => Ok(()),
        }
    }
}

impl LimitRecord {
    /// Whether this is what another request for the same workspace would find.
    pub(super) fn answers(&self, opened: &Opened, asked: &LimitRequest) -> bool {
        let data = match asked.is_asimov {
            true => DataKind::Asimov,
            false => DataKind::Observed,
        };
        let head = Head::new("limit", opened, data);
        let same = |head: &Head| Head {
            notes: Vec::new(),
            ..head.clone()
        };
        let values = opened.imported.interest.map_or_else(Vec::new, |place| {
            let (low, high) = opened.parameters()[place].bounds;
            let bounds = (low, self.bound_widened.unwrap_or(high));
            curve(asked.curve, &self.upper_limit, bounds)
        });
        self.failure.is_none()
            && same(&self.head) == same(&head)
            && self.test_stat == asked.statistic
            && self.confidence_level == asked.level
            && self.test_poi == asked.tested()
            && (asked.test_poi.is_none() || self.CLs_exp.is_some())
            && self.bound_widened.is_none_or(|_| !asked.has_strict_bounds)
            && self.curve.is_empty() == values.is_empty()
            && self.curve.iter().all(|point| values.contains(&point.poi))
            && self.toys.as_ref().map(|toys| &toys.asked) == asked.toys.as_ref()
    }
}
