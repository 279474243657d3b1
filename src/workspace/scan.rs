//! Profile likelihoods of a workspace: `sideband scan`.

use super::fit::{FitRequest, Fitted};
use super::head::Head;
use super::opened::{Opened, places};
use crate::error::{Error, Result};
use serde::Serialize;
use sideband_likelihood::fit::{
    ConfidenceSet, End, Fit, FitSettings, Scan, ScanSettings, State, confidence_set, contour,
    reach, scan,
};
use sideband_likelihood::{Error as NoScan, Likelihood as _, Model};
use sideband_numerics::evenly;

/// Confidence levels, and t at the ends of an interval of one parameter.
const INTERVALS: [(f64, f64); 2] = [(0.6827, 1.0), (0.9545, 4.0)];
/// t that a range exceeds at its ends, unless a bound comes before, and how far the first step of
/// the search for them goes, in errors: of one parameter, and of two.
const ALONE: (f64, f64) = (9.0, 4.0);
const TOGETHER: (f64, f64) = (7.5, 3.4);
/// Scans that are made again because a search between their points found a deeper minimum.
const REDONE: usize = 3;

/// What is asked for.
pub(crate) struct ScanRequest {
    /// The parameter of interest, if none is named.
    pub(crate) parameter: Option<String>,
    pub(crate) second: Option<String>,
    /// Ranges of both.
    pub(crate) ranges: [Option<[f64; 2]>; 2],
    /// Points of each.
    pub(crate) points: usize,
    pub(crate) asimov: Option<f64>,
}

/// A point of a profile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CurvePoint {
    pub(crate) value: f64,
    /// -2 log L less that of the best fit; null where the fit failed.
    pub(crate) t: Option<f64>,
}

/// The values of a parameter at a confidence level.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct IntervalSet {
    pub(crate) level: f64,
    pub(crate) t: f64,
    /// Lower and upper ends; null where one was not found. More than one interval where the
    /// profile has several minima.
    pub(crate) intervals: Vec<[Option<f64>; 2]>,
    /// Whether an end is a bound of the parameter, below which t stays.
    pub(crate) ends_at_bound: bool,
}

/// A confidence region of two parameters: where t is below that of its border.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct RegionLevel {
    pub(crate) level: f64,
    pub(crate) t: f64,
}

/// `scan.json`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ScanRecord {
    #[serde(flatten)]
    pub(crate) head: Head,
    /// Why this is no result; null if it is one.
    pub(crate) failure: Option<String>,
    /// One or two.
    pub(crate) parameters: Vec<String>,
    /// Their values at the best fit.
    pub(crate) best_fit: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) curve: Option<Vec<CurvePoint>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) intervals: Option<Vec<IntervalSet>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plane: Option<PlaneScan>,
}

/// t over two parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PlaneScan {
    /// Values of both, rising.
    pub(crate) values: [Vec<f64>; 2],
    /// `[first][second]`; null where the fit failed.
    pub(crate) t: Vec<Vec<Option<f64>>>,
    /// Confidence levels, and t at the borders of their regions.
    pub(crate) levels: Vec<RegionLevel>,
}

impl ScanRequest {
    /// Refuses what cannot be asked for.
    pub(crate) fn check(&self) -> Result<()> {
        let most = if self.second.is_some() { 200 } else { 10_000 };
        if !(2..=most).contains(&self.points) {
            return Err(Error::usage(format!(
                "--points {}: 2 to {most} are possible",
                self.points
            )));
        }
        if self.ranges[1].is_some() && self.second.is_none() {
            return Err(Error::usage(
                "--second-range is that of a second parameter; name it with --second",
            ));
        }
        Ok(())
    }
}

impl Opened {
    /// A profile over one parameter or two.
    pub(crate) fn scan(&self, asked: &ScanRequest) -> Result<ScanRecord> {
        let fit = FitRequest {
            asimov: asked.asimov,
            ..FitRequest::default()
        };
        let fitted = self.fit(&fit)?;
        let first = match &asked.parameter {
            Some(name) => self.scanned(name)?,
            None => self.interest()?,
        };
        let second = asked.second.as_ref().map(|name| self.scanned(name));
        let second = second.transpose()?;
        if second == Some(first) {
            return Err(Error::usage("--second: it is the first parameter, too"));
        }
        let places: Vec<usize> = std::iter::once(first).chain(second).collect();
        let cut = self.check_ranges(&places, &asked.ranges)?;
        let name = |place: &usize| self.parameters()[*place].name.clone();
        let mut record = ScanRecord {
            head: Head {
                method: "scan".to_owned(),
                ..fitted.record.head.clone()
            },
            failure: fitted.record.failure.clone(),
            parameters: places.iter().map(name).collect(),
            best_fit: places.iter().map(|k| fitted.best.point[*k]).collect(),
            curve: None,
            intervals: None,
            plane: None,
        };
        record.head.notes.extend(cut);
        if record.failure.is_some() {
            return Ok(record);
        }
        for place in &places {
            if fitted.best.states[*place] == State::Fixed {
                return Err(Error::data(format!(
                    "{}: {} is fixed; free it in the measurement, or scan another parameter",
                    self.name,
                    name(place)
                )));
            }
        }
        let profiled = Profiled {
            likelihood: fitted.model.likelihood(),
            settings: &self.settings,
            fitted: &fitted,
        };
        let done = match second {
            Some(second) => profiled.plane(&mut record, [first, second], asked),
            None => profiled.curve(&mut record, first, asked),
        };
        // what is wrong with a fit is in the record, which has what there is
        record.failure = done.err().map(|error| error.to_string());
        Ok(record)
    }

    /// Refuses ranges beyond the bounds of their parameters; says which are cut by them.
    fn check_ranges(
        &self,
        places: &[usize],
        ranges: &[Option<[f64; 2]>; 2],
    ) -> Result<Vec<String>> {
        let mut cut = Vec::new();
        let pairs = places.iter().zip(ranges).zip(["--range", "--second-range"]);
        for ((place, given), option) in pairs {
            let Some([first, last]) = *given else {
                continue;
            };
            let parameter = &self.parameters()[*place];
            let (name, (low, high)) = (&parameter.name, parameter.bounds);
            if first.max(low) >= last.min(high) {
                return Err(Error::data(format!(
                    "{option} {first}:{last}: {name} is bounded by {low} and {high}"
                )));
            }
            if first < low || last > high {
                cut.push(format!(
                    "the range {first} to {last} of {name} is cut by its bounds {low} and {high}"
                ));
            }
        }
        Ok(cut)
    }

    /// Place of a parameter that is one, and no vector.
    fn scanned(&self, name: &str) -> Result<usize> {
        match places(self.parameters(), name)?[..] {
            [place] => Ok(place),
            ref all => Err(Error::data(format!(
                "{}: `{name}` are {} parameters; name one of them: `{name}[0]`",
                self.name,
                all.len()
            ))),
        }
    }
}

/// A likelihood at its best fit.
struct Profiled<'a> {
    likelihood: Model,
    settings: &'a FitSettings,
    fitted: &'a Fitted,
}

impl Profiled<'_> {
    /// The range that is given, within the bounds, or what is of interest.
    fn range(
        &self,
        best: &Fit,
        place: usize,
        given: Option<[f64; 2]>,
        wanted: (f64, f64),
    ) -> Result<[f64; 2], NoScan> {
        match given {
            Some(given) => {
                let (low, high) = self.likelihood.parameters()[place].bounds;
                Ok(given.map(|x| x.clamp(low, high)))
            }
            None => reach(&self.likelihood, self.settings, best, place, wanted),
        }
    }

    fn curve(
        &self,
        record: &mut ScanRecord,
        place: usize,
        asked: &ScanRequest,
    ) -> Result<(), NoScan> {
        let range = self.range(&self.fitted.best, place, asked.ranges[0], ALONE)?;
        let mut settings = ScanSettings {
            parameter: place,
            grid: values(range, asked.points),
        };
        let mut found = scan(
            &self.likelihood,
            self.settings,
            &self.fitted.best,
            &settings,
        )?;
        let mut deeper = found.deeper_at.clone();
        let mut sets = self.sets(&found)?;
        for _ in 0..REDONE {
            let Some(at) = sets.iter().find_map(|set| set.deeper_at) else {
                break;
            };
            // a minimum that was found between the points becomes one of them
            deeper.push(at);
            settings.grid.push(at);
            found = scan(&self.likelihood, self.settings, &found.best, &settings)?;
            sets = self.sets(&found)?;
        }
        let name = &self.likelihood.parameters()[place].name;
        record.head.notes.extend(deeper.iter().map(|at| {
            format!(
                "the fit at {name} = {at:.4} was deeper than the best fit, which was made again \
                 from there"
            )
        }));
        record.best_fit = vec![found.best.point[place]];
        let points = found.curve.iter().map(|p| (p.value, Some(p.t)));
        let failed = found.failed.iter().map(|p| (p.value, None));
        let mut points: Vec<(f64, Option<f64>)> = points.chain(failed).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let points = points.into_iter().map(|(value, t)| CurvePoint { value, t });
        record.curve = Some(points.collect());
        record.head.notes.extend(found.failed.first().map(|first| {
            format!(
                "{} of the points have no fit, first at {:.4}: {}",
                found.failed.len(),
                first.value,
                first.failure
            )
        }));
        let sets = INTERVALS.iter().zip(sets);
        let sets = sets.map(|((level, t), set)| IntervalSet {
            level: *level,
            t: *t,
            ends_at_bound: set
                .intervals
                .iter()
                .flatten()
                .any(|end| matches!(end, End::Bound(_))),
            intervals: set
                .intervals
                .iter()
                .map(|ends| ends.each_ref().map(End::value))
                .collect(),
        });
        record.intervals = Some(sets.collect());
        Ok(())
    }

    fn sets(&self, found: &Scan) -> Result<Vec<ConfidenceSet>, NoScan> {
        let set = |(_, t): &(f64, f64)| confidence_set(&self.likelihood, self.settings, found, *t);
        INTERVALS.iter().map(set).collect()
    }

    fn plane(
        &self,
        record: &mut ScanRecord,
        places: [usize; 2],
        asked: &ScanRequest,
    ) -> Result<(), NoScan> {
        let best = &self.fitted.best;
        let range = |k: usize| self.range(best, places[k], asked.ranges[k], TOGETHER);
        let grids = [range(0)?, range(1)?].map(|range| values(range, asked.points));
        let found = contour(
            &self.likelihood,
            self.settings,
            best,
            places,
            [&grids[0], &grids[1]],
        )?;
        record.best_fit = places.iter().map(|k| found.best.point[*k]).collect();
        record.head.notes.extend(found.deeper_at.map(|[a, b]| {
            format!(
                "the fit at ({a:.4}, {b:.4}) was deeper than the best fit, which was made again from \
                 there"
            )
        }));
        let rows = found.points.chunks(grids[1].len());
        let t: Vec<Vec<Option<f64>>> = rows
            .map(|row| row.iter().map(|p| p.t.as_ref().ok().copied()).collect())
            .collect();
        let levels = INTERVALS.iter().map(|(level, _)| RegionLevel {
            level: *level,
            t: -2.0 * (-level).ln_1p(),
        });
        record.plane = Some(PlaneScan {
            values: grids,
            t,
            levels: levels.collect(),
        });
        Ok(())
    }
}

/// Values of a range, each once.
fn values(range: [f64; 2], points: usize) -> Vec<f64> {
    let mut values: Vec<f64> = evenly(range, points).collect();
    values.dedup();
    values
}
