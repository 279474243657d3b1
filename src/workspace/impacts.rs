//! What nuisance parameters do to the parameter of interest, or to its expected upper limit:
//! `sideband impacts`.

use super::fit::{FitRequest, Fitted};
use super::groups::{Grouping, groups, nuisances};
use super::head::{DataKind, Head};
use super::limit::widened_in_words;
use super::opened::Opened;
use crate::error::{Context, Error, Kind, Result};
use serde::Serialize;
use sideband_likelihood::asymptotic::{ImpactKind, LimitImpactSettings, limit_impacts};
use sideband_likelihood::fit::{Group, Impact, ImpactSettings, State, impacts};

/// The row of all groups together.
const ALL: &str = "all nuisance parameters";

/// What an impact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ImpactsKind {
    /// The parameters fixed to their best fit, all others free.
    Frozen,
    /// The parameters out of the model: at their nominal values, without auxiliary measurement.
    Removed,
    /// The auxiliary measurements moved by one standard deviation.
    Shifted,
}

/// What is asked for.
pub(crate) struct ImpactsRequest {
    pub(crate) grouping: Grouping,
    pub(crate) kind: ImpactsKind,
    /// On the expected upper limit, in place of the parameter of interest: its confidence level.
    pub(crate) limit: Option<f64>,
    /// Single parameters by fits with each of them moved.
    pub(crate) has_refits: bool,
    pub(crate) asimov: Option<f64>,
}

/// The impact of a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct GroupRow {
    pub(crate) name: String,
    /// Number of its parameters.
    pub(crate) parameters: usize,
    /// In units of the parameter of interest; null where it cannot be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) impact: Option<f64>,
    /// The expected limit with the group frozen or removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<f64>,
    /// One less that limit over the expected one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) relative: Option<f64>,
    /// Why there is no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

/// The impact of one parameter on the parameter of interest, in units of that.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RankedParameter {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) error: Option<f64>,
    pub(crate) pull: Option<f64>,
    pub(crate) pull_error: Option<f64>,
    /// For its error after the fit.
    pub(crate) post_fit: Option<f64>,
    /// For its error before the fit.
    pub(crate) pre_fit: Option<f64>,
    /// For its error after the fit, up and down, by fits with it moved.
    pub(crate) refit: [Option<f64>; 2],
    /// For a shift of its auxiliary measurement by one standard deviation.
    pub(crate) shifted: Option<f64>,
}

/// `impacts.json`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ImpactsRecord {
    #[serde(flatten)]
    pub(crate) head: Head,
    /// Why this is no result; null if it is one.
    pub(crate) failure: Option<String>,
    pub(crate) kind: ImpactsKind,
    /// How parameters are grouped.
    pub(crate) by: String,
    /// Parameter of interest at the best fit, where impacts are on it.
    pub(crate) value: Option<f64>,
    /// Its error.
    pub(crate) error: Option<f64>,
    /// Its error with all nuisance parameters at the best fit; for `shifted`, what is left of it
    /// without the shifts by all auxiliary measurements.
    pub(crate) statistical: Option<f64>,
    /// The expected upper limit, where impacts are on that.
    pub(crate) expected_limit: Option<f64>,
    /// The upper bound of the parameter of interest that the limits needed in place of its own.
    pub(crate) bound_widened: Option<f64>,
    pub(crate) confidence_level: Option<f64>,
    pub(crate) groups: Vec<GroupRow>,
    /// Single parameters, largest impact first.
    pub(crate) ranking: Vec<RankedParameter>,
}

impl ImpactsRequest {
    /// Refuses what cannot be asked for.
    pub(crate) fn check(&self) -> Result<()> {
        match (self.kind, self.limit) {
            (ImpactsKind::Removed, None) => Err(Error::usage(
                "--kind removed is one of upper limits; add --limit",
            )),
            (ImpactsKind::Shifted, Some(_)) => Err(Error::usage(
                "--kind shifted is one of the parameter of interest, not of limits; leave --limit out",
            )),
            (_, Some(level)) if !(level > 0.5 && level < 1.0) => Err(Error::usage(format!(
                "--level {level}: a confidence level is between 0.5 and 1"
            ))),
            (_, Some(_)) if self.asimov.is_some_and(|mu| mu != 0.0) => Err(Error::usage(
                "--asimov: expected limits are of data without signal, --asimov 0",
            )),
            _ => Ok(()),
        }
    }
}

impl Opened {
    /// Impacts of groups and of single parameters.
    pub(crate) fn impacts(&self, asked: &ImpactsRequest) -> Result<ImpactsRecord> {
        let interest = self.interest()?;
        let mut groups = groups(self, interest, &asked.grouping)?;
        if groups.is_empty() {
            return Err(Error::data(format!(
                "{}: no nuisance parameter is fitted",
                self.name
            )));
        }
        // groups of a file may leave some out
        let all = nuisances(self, interest);
        if groups.len() > 1 || groups[0].parameters != all {
            groups.push(Group {
                name: ALL.to_owned(),
                parameters: all,
            });
        }
        match asked.limit {
            Some(level) => self.impacts_on_limit(asked, level, (interest, groups)),
            None => self.impacts_on_poi(asked, interest, groups),
        }
    }

    fn record(&self, asked: &ImpactsRequest, data: DataKind) -> ImpactsRecord {
        ImpactsRecord {
            head: Head::new("impacts", self, data),
            failure: None,
            kind: asked.kind,
            by: asked.grouping.word().to_owned(),
            value: None,
            error: None,
            statistical: None,
            expected_limit: None,
            bound_widened: None,
            confidence_level: None,
            groups: Vec::new(),
            ranking: Vec::new(),
        }
    }

    fn impacts_on_limit(
        &self,
        asked: &ImpactsRequest,
        level: f64,
        (interest, groups): (usize, Vec<Group>),
    ) -> Result<ImpactsRecord> {
        let (model, data) = self.data(asked.asimov)?;
        let mut record = self.record(asked, data);
        record.confidence_level = Some(level);
        let sizes: Vec<usize> = groups.iter().map(|g| g.parameters.len()).collect();
        let settings = LimitImpactSettings {
            level,
            kind: match asked.kind {
                ImpactsKind::Removed => ImpactKind::Removed,
                ImpactsKind::Frozen | ImpactsKind::Shifted => ImpactKind::Frozen,
            },
            groups,
        };
        let found = match limit_impacts(&model, interest, &self.settings, &settings) {
            Ok(found) => found,
            Err(error) => {
                record.failure = Some(error.to_string());
                return Ok(record);
            }
        };
        record.expected_limit = Some(found.expected);
        record.bound_widened = found.bound_widened;
        let parameter = &model.parameters[interest];
        let note = found
            .bound_widened
            .map(|bound| widened_in_words(parameter, bound));
        record.head.notes.extend(note);
        let rows = found.groups.into_iter().zip(sizes);
        let rows = rows.map(|(group, parameters)| GroupRow {
            name: group.name,
            parameters,
            impact: None,
            relative: group.relative,
            failure: group.limit.as_ref().err().map(ToString::to_string),
            limit: group.limit.ok(),
        });
        record.groups = rows.collect();
        let failed = record.groups.iter().find_map(|g| {
            let failure = g.failure.as_ref()?;
            Some(format!("{}: {failure}", g.name))
        });
        record.failure = failed;
        Ok(record)
    }

    fn impacts_on_poi(
        &self,
        asked: &ImpactsRequest,
        interest: usize,
        groups: Vec<Group>,
    ) -> Result<ImpactsRecord> {
        let fit = FitRequest {
            asimov: asked.asimov,
            ..FitRequest::default()
        };
        let fitted = self.fit(&fit)?;
        let mut record = self.record(asked, fitted.record.head.data);
        if let Some(failure) = &fitted.record.failure {
            record.failure = Some(failure.clone());
            return Ok(record);
        }
        let is_shifted = asked.kind == ImpactsKind::Shifted;
        let sizes: Vec<usize> = groups.iter().map(|g| g.parameters.len()).collect();
        let is_at_bound = fitted.best.states[interest] != State::Free;
        let settings = ImpactSettings {
            interest: vec![interest],
            groups,
            refit: asked.has_refits || is_at_bound,
        };
        let likelihood = fitted.model.likelihood();
        let found = impacts(&likelihood, &self.settings, &fitted.best, &settings);
        let found = found.at(Kind::Data, &self.name)?;
        let Some(found) = found.into_iter().next() else {
            return Ok(record);
        };
        record.value = Some(fitted.best.point[interest]);
        record.error = found.error;
        record.statistical = if is_shifted {
            found.from_data
        } else {
            found.statistical
        };
        let rows = found.groups.into_iter().zip(sizes);
        let rows = rows.map(|(group, parameters)| GroupRow {
            name: group.name,
            parameters,
            impact: if is_shifted {
                group.shifted
            } else {
                group.impact
            },
            limit: None,
            relative: None,
            failure: None,
        });
        record.groups = rows.collect();
        record.ranking = found.ranking.iter().map(|i| ranked(i, &fitted)).collect();
        if is_shifted {
            let size = |p: &RankedParameter| p.shifted.map_or(-1.0, f64::abs);
            record.ranking.sort_by(|a, b| size(b).total_cmp(&size(a)));
        }
        if is_at_bound {
            record.head.notes.push(format!(
                "{} is at a bound: it has no error, and groups have no impact on it; --limit gives \
                 those on its expected upper limit",
                self.parameters()[interest].name
            ));
        }
        Ok(record)
    }
}

fn ranked(impact: &Impact, fitted: &Fitted) -> RankedParameter {
    let name = &fitted.model.parameters[impact.parameter].name;
    let fit = &fitted.record.parameters[name];
    RankedParameter {
        name: name.clone(),
        value: fit.value,
        error: fit.error,
        pull: fit.pull,
        pull_error: fit.pull_error,
        post_fit: impact.post_fit,
        pre_fit: impact.pre_fit,
        refit: impact.refit,
        shifted: impact.shifted,
    }
}
