//! The mass plane of each category, and the points that are drawn from it.

use super::plane::hidden_bins;
use super::weights::{CategoryWeights, PlaneWeights};
use crate::error::{Error, Kind, Result};
use crate::results::{CategoryMetrics, HoleMetrics, PlaneFigure, PullMetrics};
use crate::training::Interrupt;
use crate::workflow::Workbench;
use crate::workflow::apply::in_threads;
use crate::workflow::plan::Plan;
use sideband_processes::{PlaneCounts, PlaneFit, ProcessError, PullSummary, Pulls};

pub(super) const DRAWING: &str = "drawing the samples";

/// Somebody asked to stop, or the time is over.
pub(super) fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted while samples were drawn")
}

/// A drawn point of the plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct DrawnPoint {
    /// Its category, by its place in the list.
    pub category: usize,
    /// Its number among the category's points.
    pub index: u64,
    /// Its bin of the plane.
    pub bin: usize,
    /// m1, m2.
    pub masses: [f64; 2],
}

/// Standard normal noise `[D]` of a point: the same for every member, so that
/// their spread is that of the networks and not of the sampling.
pub(super) fn noise(plan: &Plan, point: DrawnPoint) -> impl Iterator<Item = f32> {
    let key = plan.streams.noise(point.category as u64, point.index);
    let mut stream = key.stream();
    let features = plan.interpolation().variables.len();
    (0..features.div_ceil(2))
        .flat_map(move |_| stream.normal_pair().map(|z| z as f32))
        .take(features)
}

/// All points that are predicted, and what they weigh.
pub(super) struct DrawnPoints {
    /// In the predicted part, category after category.
    pub points: Vec<DrawnPoint>,
    pub categories: Vec<CategoryMetrics>,
    /// What they weigh.
    pub weights: PlaneWeights,
}

impl DrawnPoints {
    /// Weight of a category's samples.
    pub(super) fn weight(&self, category: usize) -> f64 {
        self.weights.categories[category].weight
    }
}

/// One category.
struct DrawnCategory {
    weights: CategoryWeights,
    metrics: CategoryMetrics,
}

/// Fits every category's plane and draws its points.
pub(super) fn draw(plan: &Plan, bench: Workbench<'_>) -> Result<DrawnPoints> {
    let mut drawn = DrawnPoints {
        points: Vec::new(),
        categories: Vec::new(),
        weights: PlaneWeights {
            bins: plan.plane().grid.bins(),
            categories: Vec::new(),
        },
    };
    let numbers: Vec<usize> = (0..plan.interpolation().categories().len()).collect();
    let stage = bench.stage("drawing points", numbers.len() as u64);
    let interrupt = bench.interrupt;
    for group in numbers.chunks(bench.threads.max(1)) {
        let work = |number: &usize| draw_category(plan, *number, interrupt);
        for (points, category) in in_threads(DRAWING, group, work)? {
            drawn.points.extend(points);
            drawn.categories.push(category.metrics);
            drawn.weights.categories.push(category.weights);
            stage.add(1);
        }
    }
    Ok(drawn)
}

fn draw_category(
    plan: &Plan,
    number: usize,
    interrupt: &Interrupt,
) -> Result<(Vec<DrawnPoint>, DrawnCategory)> {
    let (interpolation, grid) = (plan.interpolation(), &plan.plane().grid);
    let category = interpolation.category.as_ref();
    let value = category.map(|c| c.values[number]);
    let label = match category.zip(value) {
        Some((category, value)) => format!("{} = {value}", category.column),
        None => "all events".to_owned(),
    };
    let named = |e: ProcessError| {
        let text = format!("the Gaussian process of {label}: {e}");
        Error::new(Kind::NoResult, text)
    };
    let weights = &plan.target().table.weights;
    let event = |row: usize| {
        let [x, y] = plan.masses(row);
        [x, y, weights[row]]
    };
    let of_category = |row: &usize| plan.category(*row) == Some(number);
    let trained = plan.target().trained(plan.training_region());
    let rows: Vec<usize> = trained.filter(of_category).collect();
    let filled = grid.fill(rows.iter().map(|row| event(*row)));
    let filled = filled.map_err(named)?;
    let fit = PlaneFit::hiding(
        grid,
        &filled.counts,
        &filled.variances,
        hidden_bins(interpolation, grid),
        &interpolation.plane.fit,
    )
    .map_err(named)?;
    let sampler = fit.sampler().map_err(named)?;
    let key = plan.streams.points(number as u64);
    let mut points = Vec::new();
    // samples outside the holes, a plane bin each
    let mut outside = vec![0u64; grid.bins()];
    for index in 0..interpolation.samples as u64 {
        if index % (1 << 16) == 0 && interrupt.is_raised() {
            return Err(interrupted());
        }
        let drawn = sampler.sample(key, index);
        if !plan.cuts_out(drawn.masses) {
            outside[drawn.bin] += 1;
        }
        if plan.predicts(drawn.masses) {
            points.push(DrawnPoint {
                category: number,
                index,
                bin: drawn.bin,
                masses: drawn.masses,
            });
        }
    }
    let n_outside: u64 = outside.iter().sum();
    if n_outside == 0 {
        let text = format!(
            "none of the {} points of {label} lies outside the holes, where samples are scaled to \
             the events; raise interpolation.samples or shrink the holes",
            interpolation.samples
        );
        return Err(Error::new(Kind::NoSamples, text));
    }
    let observed: f64 = rows.iter().map(|row| weights[*row]).sum();
    let squares: f64 = rows.iter().map(|row| weights[*row].powi(2)).sum();
    let variation = |draw: u64| -> Vec<f64> {
        let ratios = fit.draw_weights(plan.streams.plane(number as u64), draw);
        let sum = ratios.iter().zip(&outside).map(|(r, n)| r * *n as f64);
        let sum: f64 = sum.sum();
        ratios.into_iter().map(|r| r * observed / sum).collect()
    };
    let variations = (0..interpolation.posterior_draws as u64).map(variation);
    // everything in the box, for the pulls, where nothing of the holes is blind
    let all = 0..plan.target().table.len();
    let all = all.filter(|row| plan.is_in_box(*row) && of_category(row));
    let everything = grid.fill(all.map(event)).map_err(named)?;
    let shown = !plan.blinding.is_closed();
    let hidden = &fit.hidden;
    // what is observed, bin by bin: whole bins where the holes may be looked at
    let compared = if shown { &everything } else { &filled };
    let pulls = fit.pulls(&compared.counts, &compared.variances);
    let pulls = pulls.map_err(named)?;
    let (fitted, integral) = (&fit.fitted, fit.hole());
    let in_holes = everything.counts.iter().zip(hidden);
    let in_holes = in_holes.filter(|(_, h)| **h).map(|(v, _)| v);
    let scales = fitted.kernel.length_scales();
    let metrics = CategoryMetrics {
        value,
        events: rows.len() as u64,
        observed,
        samples: [interpolation.samples as u64, n_outside],
        weight: observed / n_outside as f64,
        amplitude: fitted.kernel.amplitude(),
        length_scales: [scales[0], scales[1]],
        log_marginal_likelihood: fitted.log_marginal,
        starts: [fitted.starts, fitted.starts_converged],
        negative_bins: fit.clipped,
        empty_bins: empty_bins(&fit, &filled),
        hole: HoleMetrics {
            predicted: integral.value,
            error: integral.error,
            observed: shown.then(|| in_holes.sum()),
        },
        outside: pull_metrics(&pulls, hidden, false),
        inside: shown.then(|| pull_metrics(&pulls, hidden, true)),
        plane: figure(plan, &fit, &filled, &pulls),
    };
    let weights = CategoryWeights {
        weight: metrics.weight,
        relative_error: (squares / observed.powi(2) + 1.0 / n_outside.max(1) as f64).sqrt(),
        draws: variations.collect(),
    };
    let category = DrawnCategory { weights, metrics };
    Ok((points, category))
}

/// Events that the filled neighbours of an empty bin have on average, above which
/// its emptiness is no fluctuation.
const MANY: f64 = 20.0;

/// Bins of the fit without events whose neighbours have many: an edge of the events,
/// which a smooth density does not describe.
fn empty_bins(fit: &PlaneFit, filled: &PlaneCounts) -> usize {
    let [nx, ny] = fit.grid.axes().each_ref().map(|axis| axis.bins());
    let hidden = &fit.hidden;
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
    let (counting, full) = match inside {
        true => (pulls.counting_inside, pulls.full_inside),
        false => (pulls.counting_outside, pulls.full_outside),
    };
    let pair = |s: PullSummary| [s.mean, s.width];
    let bins = pulls.full.iter().zip(hidden);
    let bins = bins.filter(|(_, hidden)| **hidden == inside);
    PullMetrics {
        published: counting.map(pair),
        with_error: full.map(pair),
        values: bins.filter_map(|(pull, _)| *pull).collect(),
    }
}

/// What is drawn of the plane.
fn figure(plan: &Plan, fit: &PlaneFit, filled: &PlaneCounts, pulls: &Pulls) -> PlaneFigure {
    let plane = &plan.interpolation().plane;
    let [x, y] = fit.grid.axes();
    fn lines<T>(width: usize, bins: usize, of: impl Fn(usize) -> T) -> Vec<Vec<T>> {
        let line = |first| (first..first + width).map(&of).collect();
        (0..bins).step_by(width).map(line).collect()
    }
    let (bins, width, hidden) = (fit.grid.bins(), y.bins(), &fit.hidden);
    let is_shown = |b: usize| !plan.blinding.is_closed() || !hidden[b];
    let labels = plane.labels.clone();
    PlaneFigure {
        labels: labels.unwrap_or_else(|| [plane.x.clone(), plane.y.clone()]),
        x_edges: x.values().to_vec(),
        y_edges: y.values().to_vec(),
        input: lines(width, bins, |b| (!hidden[b]).then_some(filled.counts[b])),
        prediction: lines(width, bins, |b| fit.mean[b]),
        error: lines(width, bins, |b| fit.posterior.variance(b).max(0.0).sqrt()),
        pull: lines(width, bins, |b| pulls.full[b].filter(|_| is_shown(b))),
    }
}
