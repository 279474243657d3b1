//! What other runs tell of the error of a background: one learned in another control region, and
//! one whose target is known.

use super::{Added, Background, Growing};
use crate::backgrounds::{FEW_OBSERVED, Known, RunHistograms, deviations};
use crate::error::{Error, Result, counted};
use crate::settings::{CHANNEL_REGION, moved};
use crate::workflow::FinishedRun;
use indexmap::IndexMap;

impl Growing<'_> {
    /// Parameters for the choice of the control region: the difference of another run, a quadrant
    /// each.
    pub(super) fn add_control_region(
        &mut self,
        of: &mut Background<'_>,
        quadrants: &[String],
    ) -> Result<()> {
        let Some(config) = &of.config.control_region else {
            return Ok(());
        };
        let place = format!("{}.control_region", of.place());
        let point = match &config.run {
            Some(_) => moved(&IndexMap::new(), &config.point),
            None => moved(&of.config.point, &config.point),
        };
        let run = config.run.as_ref().or(of.config.run.as_ref());
        let other = self.open(&place, run, &point)?;
        if other.is_sampled() {
            let text = format!(
                "{} is an interpolation, whose events are not those of the sample: their \
                 difference would be chance, too; take a run of weighted events",
                other.name()
            );
            return Err(Error::config_at(place, text));
        }
        let mut varied = RunHistograms::of(&other, &of.axes, quadrants, &of.place())?;
        varied.multiply(&of.factors);
        let files = other.files().map_err(|e| e.at_key(&place))?;
        self.plan.files.insert(format!("{place}.run"), files);
        let differences = differences(&of.found, &varied);
        if differences.iter().flatten().all(|d| *d == 0.0) {
            let text = format!(
                "{} predicts the same in every bin: is it the same ensemble?",
                other.name()
            );
            return Err(Error::data_at(place, text));
        }
        let name = config.parameter.clone();
        let name = name.unwrap_or_else(|| format!("{}_control_region", of.name));
        let group = config.group.clone();
        let group = group.unwrap_or_else(|| "Choice of CR".to_owned());
        for (k, difference) in differences.iter().enumerate() {
            if difference.iter().all(|d| *d == 0.0) {
                let quadrant = quadrants.get(k).map_or("", String::as_str);
                let text = format!("no event is in {quadrant}, which has no parameter");
                self.note(of, &text);
                continue;
            }
            let (parameter, label) = match quadrants.get(k) {
                Some(quadrant) => (
                    format!("{name}_{quadrant}"),
                    format!("{}, choice of CR, {quadrant}", of.label()),
                ),
                None => (name.clone(), format!("{}, choice of CR", of.label())),
            };
            let added = Added {
                parameter,
                group: group.clone(),
                label,
            };
            self.push_shift(of, added, difference)?;
        }
        Ok(())
    }

    /// A parameter for what a run leaves whose target is known.
    pub(super) fn add_nonclosure(
        &mut self,
        of: &mut Background<'_>,
        run: &FinishedRun,
        quadrants: &[String],
    ) -> Result<()> {
        let Some(config) = of.config.nonclosure.as_ref() else {
            return Ok(());
        };
        let place = format!("{}.nonclosure", of.place());
        let at = |point: &IndexMap<_, _>| match &config.run {
            Some(_) => moved(&IndexMap::new(), point),
            None => moved(&of.config.point, point),
        };
        let name = config.run.as_ref().or(of.config.run.as_ref());
        let other = self.open(&place, name, &at(&config.point))?;
        if other.is_sampled() != run.is_sampled() {
            let text = format!(
                "one of {} and {} is an interpolation: what another method leaves is no error of \
                 this one; take a run of the same method",
                run.name(),
                other.name()
            );
            return Err(Error::config_at(place, text));
        }
        if other.is_sampled() && !config.variation.is_empty() {
            let text = "nothing of an interpolation is learned in another control region: leave \
                        it out";
            return Err(Error::config_at(format!("{place}.variation"), text));
        }
        if !self.plan.hidden.is_empty() && other.has_target_of(run) {
            let text = format!(
                "the target events of {} are those that the background is of, and channels are \
                 blind: take a run of another target, or open them with --unblind",
                other.name()
            );
            return Err(Error::config_at(place, text));
        }
        let varied = match config.variation.is_empty() {
            true => None,
            false => Some(self.open(&place, name, &at(&config.variation))?),
        };
        let runs = (&other, varied.as_ref());
        let relative = self.deviations(of, runs, (config.smooth, quadrants), &place)?;
        if relative.iter().all(|e| *e == 0.0) {
            self.note(
                of,
                "its non-closure is no more than its errors explain: no parameter",
            );
            return Ok(());
        }
        let bins = of.found.nominal.iter().zip(&relative);
        let shift: Vec<f64> = bins.map(|(h, e)| h * e).collect();
        let name = config.parameter.clone();
        let group = config.group.clone();
        let added = Added {
            parameter: name.unwrap_or_else(|| format!("{}_nonclosure", of.name)),
            group: group.unwrap_or_else(|| "Non-closure".to_owned()),
            label: format!("{}, non-closure", of.label()),
        };
        self.push_shift(of, added, &shift)
    }

    /// Relative deviations of a run beyond all errors, `[bins]`. `varied`: it in another control
    /// region.
    fn deviations(
        &mut self,
        of: &Background<'_>,
        (other, varied): (&FinishedRun, Option<&FinishedRun>),
        (smooth, quadrants): (usize, &[String]),
        place: &str,
    ) -> Result<Vec<f64>> {
        let files = other.files().map_err(|e| e.at_key(place))?;
        self.plan.files.insert(format!("{place}.run"), files);
        let found = RunHistograms::of(other, &of.axes, quadrants, &of.place())?;
        if found.blind > 0 {
            let text = format!(
                "events of the channels are in a blind region of {}, whose target events are \
                 hidden: nothing tells how well it closes there",
                other.name()
            );
            return Err(Error::config_at(place, text));
        }
        let bins = found.nominal.len();
        let mut variances = found.own_variances();
        if let Some(varied) = varied {
            let files = varied.files().map_err(|e| e.at_key(place))?;
            self.plan.files.insert(format!("{place}.variation"), files);
            let varied = RunHistograms::of(varied, &of.axes, quadrants, &of.place())?;
            for difference in differences(&found, &varied) {
                let pairs = variances.iter_mut().zip(&difference);
                pairs.for_each(|(variance, d)| *variance += d * d);
            }
        }
        let [observed, observed_variances] = RunHistograms::observed(other, &of.axes)?;
        let known = |b: usize| Known {
            observed: observed[b],
            observed_variance: observed_variances[b],
            predicted: found.nominal[b],
            predicted_variance: variances[b],
        };
        let mut all = Vec::with_capacity(bins);
        for (range, axis) in of.ranges.iter().zip(&of.axes.axes) {
            let own: Vec<Known> = range.clone().map(known).collect();
            let channel = axis.key.trim_start_matches(CHANNEL_REGION);
            let empty = own.iter().filter(|bin| bin.predicted <= 0.0).count();
            if empty > 0 {
                let bins = counted(empty, "bin");
                let text = format!(
                    "its non-closure is taken as 0 in {bins} of {channel}, where \
                                    nothing is predicted"
                );
                self.note(of, &text);
            }
            match deviations(&own, smooth) {
                Some(found) => all.extend(found),
                None => {
                    all.resize(all.len() + range.len(), 0.0);
                    let text = format!(
                        "its non-closure is taken as 0 in {channel}, where fewer than \
                         {FEW_OBSERVED} target events of {} are",
                        other.name()
                    );
                    self.note(of, &text);
                }
            }
        }
        Ok(all)
    }
}

/// What another run predicts more than one in all bins, for each of their common regions, or in
/// all without any.
fn differences(one: &RunHistograms, other: &RunHistograms) -> Vec<Vec<f64>> {
    let less = |one: &[f64], other: &[f64]| -> Vec<f64> {
        other.iter().zip(one).map(|(new, old)| new - old).collect()
    };
    if one.regions.is_empty() {
        return vec![less(&one.nominal, &other.nominal)];
    }
    let pairs = one.regions.iter().zip(&other.regions);
    pairs.map(|(one, other)| less(one, other)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadrants_share_the_difference_among_them() {
        let of = |nominal: [f64; 2], regions: Vec<Vec<f64>>| RunHistograms {
            nominal: nominal.to_vec(),
            regions,
            ..RunHistograms::default()
        };
        let [one, other] = [[4.0, 6.0], [5.0, 4.0]].map(|nominal| of(nominal, Vec::new()));
        assert_eq!(differences(&one, &other), [[1.0, -2.0]]);
        let one = of([4.0, 6.0], vec![vec![4.0, 1.0], vec![0.0, 5.0]]);
        let other = of([5.0, 4.0], vec![vec![5.0, 0.5], vec![0.0, 3.5]]);
        assert_eq!(differences(&one, &other), [[1.0, -0.5], [0.0, -1.5]]);
    }
}
