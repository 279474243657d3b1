//! The sampled events of an interpolation, with the columns that they have, for whoever takes the
//! events of a run.
//!
//! Expressions of others mean what a sampled event has: its own columns and those that the run
//! derives for it, and not what its file has beside (`in_<region>`, `weight`).

use super::{
    ANYWHERE, CHUNK_NUMBERS, CHUNK_ROWS, FEW_ROWS, FinishedRun, PredictedEvent, RunColumns,
    TakesEvents,
};
use crate::error::{Context, Error, Kind, Result};
use crate::events::{
    Dataset, Hidden, IdSpec, LACKS, Loss, LossKind, OnMissing, PartOrder, Resolver, ScanReport,
    ScanRequest, StreamOptions,
};
use crate::settings::{InterpolationConfig, PredictedPart};
use crate::workflow::interpolation::{names, resolver};
use indexmap::IndexMap;
use sideband_numerics::expression::written;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Columns of the file behind the observables: weight, bin and both coordinates of the plane.
const NUMBERS: usize = 4;

impl FinishedRun {
    /// Whether its events are sampled.
    pub(crate) fn is_sampled(&self) -> bool {
        self.plane.is_some()
    }

    /// Values of the categories of sampled events; empty without categories.
    pub(crate) fn categories(&self) -> &[f64] {
        let interpolation = self.config.interpolation.as_ref();
        let category = interpolation.and_then(|i| i.category.as_ref());
        match category {
            Some(category) => &category.values,
            None => &[],
        }
    }

    fn interpolation(&self) -> Result<&InterpolationConfig> {
        let interpolation = self.config.interpolation.as_ref();
        interpolation.ok_or_else(|| Error::data(format!("{} is no interpolation", self.name)))
    }

    /// As [`FinishedRun::for_each`], of sampled events. Observed events that it has no region
    /// for are passed over: they tell what it does not predict.
    pub(super) fn for_each_sampled(
        &self,
        wanted: &RunColumns<'_>,
        regions: &[String],
        take: &mut dyn TakesEvents,
    ) -> Result<Vec<Loss>> {
        let interpolation = self.interpolation()?;
        let plane = self.plane.as_ref();
        let plane = plane.ok_or_else(|| Error::internal("an interpolation has no plane"))?;
        self.pass_over_observed(wanted, take)?;
        let predictions = Arc::new(self.predictions()?);
        let asked = Arc::new(self.sampled_columns(&predictions, wanted, regions)?);
        let order = PartOrder::files();
        let selections = (1_u64 << wanted.selections.len()) - 1;
        let values = self.categories();
        let first_region = wanted.observables.len() + NUMBERS + usize::from(!values.is_empty());
        let first_member = first_region + regions.len();
        let members = self.manifest.members.len();
        let mut replicas = vec![0.0; members];
        let mut report = ScanReport::default();
        let wrong = |what: &str| {
            let text = format!(
                "{} of {} is not as it was written",
                self.source(),
                self.name
            );
            Err(Error::data(format!("{text}: {what}")))
        };
        for table in predictions.stream(&asked, &order, options(&asked))? {
            let table = table?;
            report.merge(&table.report);
            for row in 0..table.len() {
                let number = |column: usize| table.columns[column].1[row];
                let own = |place: usize| number(wanted.observables.len() + place);
                let (weight, bin) = (own(0), own(1));
                let category = match values {
                    [] => Some(0),
                    values => values.iter().position(|value| *value == own(NUMBERS)),
                };
                let Some(category) = category else {
                    return wrong("an event has a category that is not listed");
                };
                // a place that is none is as large as can be
                let bin = if bin >= 0.0 { bin as usize } else { usize::MAX };
                if bin >= plane.bins || !weight.is_finite() {
                    return wrong("an event is in no bin of the plane, or weighs no number");
                }
                let is_own = |member: &usize| number(first_member + member) != 0.0;
                let mut owners = (0..members).filter(is_own);
                let (Some(member), None) = (owners.next(), owners.next()) else {
                    return wrong("an event is not one of a single member");
                };
                replicas[member] = weight;
                // as for data: what cannot be decided is in it
                let is_in = |region: usize| number(first_region + region) != 0.0;
                let inside = (0..regions.len()).filter(|region| is_in(*region));
                let is_whole = interpolation.predict == PredictedPart::Box;
                let mut holes = interpolation.plane.holes.iter();
                let share = weight / members as f64;
                take.predicted(&PredictedEvent {
                    nominal: share,
                    variance: weight * share,
                    replicas: &replicas,
                    selected: table.flags[row] & selections,
                    regions: inside.fold(0, |all, region| all | 1 << region),
                    // outside the holes are the events that it is fitted to
                    is_trained: is_whole && !holes.any(|hole| hole.contains(own(2), own(3))),
                    lacks: table.flags[row] & LACKS != 0,
                    key: table.ids.key(row),
                    cell: Some(plane.cell(category, bin)),
                    table: &table,
                    row,
                });
                replicas[member] = 0.0;
            }
        }
        let mut lost = report.losses;
        lost.retain(|loss| loss.kind == LossKind::Region);
        Ok(lost)
    }

    /// What is read of the sampled events: observables, the columns of [`NUMBERS`], category,
    /// regions and members.
    fn sampled_columns(
        &self,
        predictions: &Dataset,
        wanted: &RunColumns<'_>,
        regions: &[String],
    ) -> Result<ScanRequest> {
        let interpolation = self.interpolation()?;
        let theirs = self.words(predictions, &wanted.columns.define)?;
        let compile = |(key, text): &(String, String)| {
            let compiled = theirs.compile(text);
            let place = format!("{key} (in the sampled events of {})", self.name);
            Ok::<_, Error>((key.clone(), compiled.map_err(|e| e.at_key(place))?))
        };
        let all = Resolver::new(predictions.columns(), &BTreeMap::new())?;
        let column = |name: String| {
            let compiled = all.compile(&written(&name)).of(Kind::Data)?;
            Ok::<_, Error>((name, compiled))
        };
        let predicted = interpolation.predicted(&self.config);
        let own = names(interpolation);
        let definitions = self.config.data.define.iter().chain(&interpolation.derived);
        let of_run = resolver(&own, definitions)?;
        let region = |name: &String| {
            if predicted.contains(&name.as_str()) {
                return column(format!("in_{name}"));
            }
            let region = self.config.regions.get(name);
            let region = region.ok_or_else(|| self.no_region(name))?;
            Ok((name.clone(), of_run.compile(&region.selection)?))
        };
        let plane = &interpolation.plane;
        let numbers = ["weight", "plane_bin", plane.x.as_str(), plane.y.as_str()];
        let numbers = numbers.map(str::to_owned);
        let category = interpolation.category.iter().map(|c| c.column.clone());
        let members = self.manifest.members.iter();
        let members = members.map(|member| format!("member_{member:04}"));
        let mut columns: Vec<_> = wanted
            .observables
            .iter()
            .map(compile)
            .collect::<Result<_>>()?;
        for name in numbers.into_iter().chain(category) {
            columns.push(column(name)?);
        }
        for name in regions {
            columns.push(region(name)?);
        }
        for name in members {
            columns.push(column(name)?);
        }
        Ok(ScanRequest {
            columns,
            flags: wanted
                .selections
                .iter()
                .map(compile)
                .collect::<Result<_>>()?,
            id: IdSpec::FileRow,
            on_missing: OnMissing::Keep,
            needed: wanted.needed_flags(),
            ..ScanRequest::new(Hidden::nothing())
        })
    }

    /// What the words of another configuration mean for sampled events.
    fn words(&self, predictions: &Dataset, define: &IndexMap<String, String>) -> Result<Resolver> {
        let interpolation = self.interpolation()?;
        let own = names(interpolation);
        let columns = predictions.columns().iter();
        let columns: Vec<_> = columns.filter(|c| own.contains(&c.name)).cloned().collect();
        // where the run has a column for what it defines, so has whoever defines the same
        let of_run = &self.config.data.define;
        let defined = define.iter().filter(|(name, text)| {
            let is_same = of_run.get(*name).is_some_and(|known| known == *text);
            !(own.contains(name) && is_same)
        });
        let derived = interpolation.derived.iter();
        let derived =
            derived.filter(|(name, _)| !own.contains(name) && !define.contains_key(*name));
        let found = Resolver::new(&columns, defined.chain(derived));
        found.map_err(|e| {
            e.at_key(format!(
                "data.define (in the sampled events of {})",
                self.name
            ))
        })
    }

    /// Gives the flags of observed events that are in none of its predicted regions. They are
    /// counted and not looked at, so that it holds for blind regions too.
    fn pass_over_observed(
        &self,
        wanted: &RunColumns<'_>,
        take: &mut dyn TakesEvents,
    ) -> Result<()> {
        let (config, sample) = (&self.config, &self.config.data.target);
        let dataset = Arc::new(self.dataset(sample, &self.manifest.inputs.target)?);
        let resolver = config.data.resolver(dataset.columns())?;
        let mut request = ScanRequest {
            columns: Vec::new(),
            needed: Vec::new(),
            on_missing: OnMissing::Keep,
            ..self.request(sample, (&dataset, &resolver), wanted)?
        };
        let anywhere: u64 = 1 << request.flags.len();
        let any = resolver.compile(&self.predicted_text()?)?;
        request.flags.push((ANYWHERE.to_owned(), any));
        let request = Arc::new(request);
        for table in dataset.stream(&request, &PartOrder::files(), options(&request))? {
            for flags in table?.flags {
                if flags & anywhere == 0 {
                    take.passed_over(flags & (anywhere - 1), false);
                }
            }
        }
        Ok(())
    }
}

impl FinishedRun {
    /// Where it has sampled events, as an expression: in a predicted region, and in an open one
    /// not where a blind one was hidden.
    fn predicted_text(&self) -> Result<String> {
        let predicted = self.interpolation()?.predicted(&self.config);
        let regions = self.config.regions.iter();
        let any = |is_wanted: &dyn Fn(&str, bool) -> bool| {
            let own = regions
                .clone()
                .filter(|(name, r)| is_wanted(name.as_str(), r.blind));
            let own = own.map(|(_, region)| format!("({})", region.selection));
            match own.collect::<Vec<String>>().join(" || ") {
                none if none.is_empty() => "0".to_owned(),
                text => text,
            }
        };
        let is_predicted = |name: &str| predicted.contains(&name);
        if self.manifest.unblind {
            return Ok(any(&|name, _| is_predicted(name)));
        }
        let closed = any(&|name, blind| blind && is_predicted(name));
        let open = any(&|name, blind| !blind && is_predicted(name));
        let hidden = any(&|_, blind| blind);
        Ok(format!("({closed}) || (({open}) && !({hidden}))"))
    }
}

/// How a request is streamed.
fn options(request: &ScanRequest) -> StreamOptions {
    let numbers = request.columns.len().max(1);
    StreamOptions {
        chunk_rows: (CHUNK_NUMBERS / numbers).clamp(FEW_ROWS, CHUNK_ROWS),
        buffers: 2,
        threads: 1,
    }
}
