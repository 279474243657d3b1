//! The mass plane of each category, and the points that are drawn from it.

use super::plan::InterpolationPlan;
use super::predict::InterpolationError;
use crate::results::{CategoryMetrics, HoleMetrics, PlaneFigure, PullMetrics};
use crate::settings::PredictedPart;
use crate::training::Interrupt;
use sideband_processes::{PlaneCounts, PlaneFit, ProcessError, PullSummary, Pulls};

/// A drawn point of the plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// Its category, by its place in the list.
    pub category: usize,
    /// Its number among the category's points.
    pub index: u64,
    /// Its bin of the plane.
    pub bin: usize,
    /// m1, m2.
    pub masses: [f64; 2],
}

/// All points that are predicted, and what they weigh.
#[derive(Debug)]
pub(super) struct Drawn {
    /// In the predicted part, category after category.
    pub points: Vec<Point>,
    pub categories: Vec<Category>,
    /// Bins of a plane.
    pub plane_bins: usize,
}

/// One category.
#[derive(Debug)]
pub(super) struct Category {
    /// Points drawn, and those of them outside the holes.
    pub samples: [u64; 2],
    /// Weight of a sample.
    pub weight: f64,
    /// The same in each draw from the posterior, `[draw][plane bin]`.
    pub variations: Vec<Vec<f64>>,
    /// Relative error of the counts that its weight stands on: of the observed events
    /// outside the holes, and of the samples there.
    pub relative_error: f64,
    pub metrics: CategoryMetrics,
}

/// Whether a point of the plane is predicted.
pub(super) fn is_predicted(plan: &InterpolationPlan, [x, y]: [f64; 2]) -> bool {
    plan.grid.find(x, y).is_some()
        && (plan.interpolation().predict == PredictedPart::Box || plan.in_hole([x, y]))
}

/// Fits every category's plane and draws its points.
pub(super) fn draw(
    plan: &InterpolationPlan,
    threads: usize,
    interrupt: &Interrupt,
) -> Result<Drawn, InterpolationError> {
    let count = plan.interpolation().categories().len();
    let numbers: Vec<usize> = (0..count).collect();
    let mut parts = Vec::with_capacity(count);
    for group in numbers.chunks(threads.max(1)) {
        let drawn = std::thread::scope(|scope| {
            let start = |number: &usize| {
                let number = *number;
                scope.spawn(move || category(plan, number, interrupt))
            };
            let handles: Vec<_> = group.iter().map(start).collect();
            let join = |handle: std::thread::ScopedJoinHandle<'_, _>| {
                let died = |_| InterpolationError::Thread("a thread panicked".to_owned());
                handle.join().map_err(died)?
            };
            handles
                .into_iter()
                .map(join)
                .collect::<Result<Vec<_>, InterpolationError>>()
        })?;
        parts.extend(drawn);
    }
    let (points, categories): (Vec<Vec<Point>>, Vec<Category>) = parts.into_iter().unzip();
    Ok(Drawn {
        points: points.concat(),
        categories,
        plane_bins: plan.grid.bins(),
    })
}

fn category(
    plan: &InterpolationPlan,
    number: usize,
    interrupt: &Interrupt,
) -> Result<(Vec<Point>, Category), InterpolationError> {
    let interpolation = plan.interpolation();
    let value = interpolation.category.as_ref().map(|c| c.values[number]);
    let label = match (&interpolation.category, value) {
        (Some(category), Some(value)) => format!("{} = {value}", category.column),
        _ => "all events".to_owned(),
    };
    let named = |source: ProcessError| InterpolationError::Plane {
        category: label.clone(),
        source,
    };
    let weights = &plan.target.table.weights;
    let event = |row: usize| {
        let [x, y] = plan.masses(row);
        [x, y, weights[row]]
    };
    let rows: Vec<usize> = plan
        .target
        .trained(plan.training_region())
        .filter(|row| plan.category(*row) == Some(number))
        .collect();
    let filled = plan
        .grid
        .fill(rows.iter().map(|row| event(*row)))
        .map_err(named)?;
    let hidden = hidden(plan);
    let settings = &interpolation.plane.fit;
    let fit = PlaneFit::hiding(
        &plan.grid,
        &filled.counts,
        &filled.variances,
        hidden.clone(),
        settings,
    )
    .map_err(named)?;
    let sampler = fit.sampler().map_err(named)?;
    let key = plan.streams.points(number as u64);
    let mut points = Vec::new();
    // samples outside the holes, a plane bin each
    let mut outside = vec![0u64; plan.grid.bins()];
    for index in 0..interpolation.samples as u64 {
        if index % (1 << 16) == 0 && interrupt.is_raised() {
            return Err(InterpolationError::Interrupted);
        }
        let drawn = sampler.sample(key, index);
        if !plan.in_hole(drawn.masses) {
            outside[drawn.bin] += 1;
        }
        if is_predicted(plan, drawn.masses) {
            points.push(Point {
                category: number,
                index,
                bin: drawn.bin,
                masses: drawn.masses,
            });
        }
    }
    let n_outside: u64 = outside.iter().sum();
    let observed: f64 = rows.iter().map(|row| weights[*row]).sum();
    let squares: f64 = rows.iter().map(|row| weights[*row].powi(2)).sum();
    if n_outside == 0 {
        return Err(InterpolationError::NothingOutside {
            category: label,
            drawn: interpolation.samples as u64,
        });
    }
    let weight = observed / n_outside as f64;
    let variations = (0..interpolation.posterior_draws as u64)
        .map(|draw| {
            let ratios = fit.draw_weights(plan.streams.plane(number as u64), draw);
            let sum: f64 = ratios
                .iter()
                .zip(&outside)
                .map(|(r, n)| r * *n as f64)
                .sum();
            ratios.into_iter().map(|r| r * observed / sum).collect()
        })
        .collect();
    // everything in the box, for the pulls, where nothing of the holes is blind
    let box_rows = || {
        let all = 0..plan.target.table.len();
        all.filter(|row| plan.in_box(*row) && plan.category(*row) == Some(number))
    };
    let everything = plan.grid.fill(box_rows().map(event)).map_err(named)?;
    let shown = plan.shows_holes();
    let metrics = CategoryMetrics {
        value,
        events: rows.len() as u64,
        observed,
        samples: [interpolation.samples as u64, n_outside],
        weight,
        ..summary(plan, &fit, &filled, &everything, shown).map_err(named)?
    };
    let category = Category {
        samples: metrics.samples,
        weight,
        variations,
        relative_error: (squares / observed.powi(2) + 1.0 / n_outside.max(1) as f64).sqrt(),
        metrics,
    };
    Ok((points, category))
}

/// Bins that overlap a hole.
fn hidden(plan: &InterpolationPlan) -> Vec<bool> {
    let holes = &plan.interpolation().plane.holes;
    (0..plan.grid.bins())
        .map(|bin| {
            let rectangle = plan.grid.rectangle(bin);
            holes.iter().any(|hole| hole.overlaps(&rectangle))
        })
        .collect()
}

/// The fit in numbers, as far as they are its own.
fn summary(
    plan: &InterpolationPlan,
    fit: &PlaneFit,
    filled: &PlaneCounts,
    everything: &PlaneCounts,
    shown: bool,
) -> Result<CategoryMetrics, ProcessError> {
    let fitted = &fit.fitted;
    let hidden = &fit.hidden;
    // what is observed, bin by bin: whole bins where the holes may be looked at
    let observed = if shown { everything } else { filled };
    let pulls = fit.pulls(&observed.counts, &observed.variances)?;
    let integral = fit.hole();
    let in_holes = |values: &[f64]| -> f64 {
        let bins = values.iter().zip(hidden);
        bins.filter(|(_, h)| **h).map(|(v, _)| v).sum()
    };
    let scales = fitted.kernel.length_scales();
    Ok(CategoryMetrics {
        value: None,
        events: 0,
        observed: 0.0,
        samples: [0; 2],
        weight: 0.0,
        amplitude: fitted.kernel.amplitude(),
        length_scales: [scales[0], scales[1]],
        log_marginal_likelihood: fitted.log_marginal,
        starts: [fitted.starts, fitted.starts_converged],
        negative_bins: fit.clipped,
        empty_bins: empty_bins(plan, filled, hidden),
        hole: HoleMetrics {
            predicted: integral.value,
            error: integral.error,
            observed: shown.then(|| in_holes(&everything.counts)),
        },
        outside: pull_metrics(&pulls, hidden, false),
        inside: shown.then(|| pull_metrics(&pulls, hidden, true)),
        plane: figure(plan, fit, filled, &pulls, shown),
    })
}

/// Events that the filled neighbours of an empty bin have on average, above which
/// its emptiness is no fluctuation.
const MANY: f64 = 20.0;

/// Bins of the fit without events whose neighbours have many: an edge of the events,
/// which a smooth density does not describe.
fn empty_bins(plan: &InterpolationPlan, filled: &PlaneCounts, hidden: &[bool]) -> usize {
    let [nx, ny] = plan.grid.axes().each_ref().map(|axis| axis.bins());
    // effective numbers: weights may be anything
    let effective = |bin: usize| match filled.variances[bin] {
        v if v > 0.0 => filled.counts[bin].powi(2) / v,
        _ => 0.0,
    };
    let around = |i: usize, n: usize| i.saturating_sub(1)..(i + 2).min(n);
    let is_remarkable = |bin: &usize| {
        let neighbours = around(bin / ny, nx)
            .flat_map(|x| around(bin % ny, ny).map(move |y| x * ny + y))
            .filter(|b| !hidden[*b])
            .map(effective)
            .filter(|n| *n > 0.0);
        let (count, sum) = neighbours.fold((0, 0.0), |(k, s), n| (k + 1, s + n));
        !hidden[*bin] && filled.variances[*bin] == 0.0 && count > 1 && sum > MANY * f64::from(count)
    };
    (0..nx * ny).filter(is_remarkable).count()
}

fn pull_metrics(pulls: &Pulls, hidden: &[bool], inside: bool) -> PullMetrics {
    let (counting, full) = if inside {
        (pulls.counting_inside, pulls.full_inside)
    } else {
        (pulls.counting_outside, pulls.full_outside)
    };
    let pair = |s: Option<PullSummary>| s.map(|s| [s.mean, s.width]);
    let bins = pulls.full.iter().zip(hidden);
    PullMetrics {
        published: pair(counting),
        with_error: pair(full),
        values: bins
            .filter(|(_, hidden)| **hidden == inside)
            .filter_map(|(pull, _)| *pull)
            .collect(),
    }
}

fn figure(
    plan: &InterpolationPlan,
    fit: &PlaneFit,
    filled: &PlaneCounts,
    pulls: &Pulls,
    shown: bool,
) -> PlaneFigure {
    let plane = &plan.interpolation().plane;
    let [x, y] = plan.grid.axes();
    let bins = plan.grid.bins();
    fn lines<T: Clone>(flat: &[T], width: usize) -> Vec<Vec<T>> {
        flat.chunks(width).map(<[T]>::to_vec).collect()
    }
    let hidden = &fit.hidden;
    let input: Vec<Option<f64>> = (0..bins)
        .map(|b| (!hidden[b]).then_some(filled.counts[b]))
        .collect();
    let error: Vec<f64> = (0..bins)
        .map(|b| fit.posterior.variance(b).max(0.0).sqrt())
        .collect();
    let pull: Vec<Option<f64>> = (0..bins)
        .map(|b| pulls.full[b].filter(|_| shown || !hidden[b]))
        .collect();
    let labels = plane.labels.clone();
    PlaneFigure {
        labels: labels.unwrap_or_else(|| [plane.x.clone(), plane.y.clone()]),
        x_edges: x.values().to_vec(),
        y_edges: y.values().to_vec(),
        input: lines(&input, y.bins()),
        prediction: lines(&fit.mean, y.bins()),
        error: lines(&error, y.bins()),
        pull: lines(&pull, y.bins()),
    }
}
