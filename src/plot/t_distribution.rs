//! The test statistic of toys at one value of the parameter against the χ²
//! distribution of one degree of freedom that Wilks' theorem promises.

use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc;

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::legend::strip::Strip;
use super::legend::{Entry, Key};
use super::levels::percent;
use super::panel::Panel;
use super::pulls::short;
use super::ratio::{self, RatioPoint};
use super::shapes::{Marker, error_bar, steps};
use super::style::{BLUE, BOTTOM, GAP, GREY, INK, LEFT, ORANGE, RED, RIGHT, WIDTH};
use super::ticks::fixed;
use super::{Figure, PlotError};

/// Height of the main panel.
const MAIN_HEIGHT: f64 = 340.0;
/// Height of the ratio panel.
const LOWER_HEIGHT: f64 = 120.0;
/// End of the axis at least and at most; toys beyond count in the last bin.
const REACH: (f64, f64) = (9.0, 25.0);
/// Bins for few and for many toys.
const BINS: [usize; 2] = [18, 36];
/// Toys from which the finer bins are used.
const MANY: usize = 2000;
/// Lower end of the y axis, below a single toy.
const LOW: f64 = 0.4;
/// Values of t this far below zero are no rounding.
const NEGATIVE: f64 = -1e-6;
/// Opacity of the error band of a quantile.
const BAND_OPACITY: f64 = 0.2;

/// t of toys at one value of the parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TDistribution {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the x axis; empty means "t_{μ}".
    #[serde(default)]
    pub x_label: String,
    /// t of each toy; not finite where a fit failed.
    pub toys: Vec<f64>,
    /// Quantiles to mark.
    #[serde(default)]
    pub quantiles: Vec<TQuantile>,
    /// The observed value.
    #[serde(default)]
    pub observed: Option<f64>,
    /// Small lines below the title.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A quantile of t.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct TQuantile {
    /// Probability below it, for example 0.6827.
    pub level: f64,
    /// The quantile of the toys.
    pub value: f64,
    /// Its error (one standard deviation).
    pub error: f64,
    /// The quantile of χ² with one degree of freedom.
    pub asymptotic: f64,
}

/// A histogram of toys and what is expected in its bins.
struct Binned {
    edges: Vec<f64>,
    counts: Vec<f64>,
    expected: Vec<f64>,
}

impl TDistribution {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] if no toy has a finite t.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        if self.finite().next().is_none() {
            return Err(PlotError::Empty {
                what: format!("distribution of {}", self.x_label()),
                expected: "toy with a finite value".to_owned(),
            });
        }
        let binned = self.binned();
        let strip = self.strip(&binned);
        let ends = (LEFT, WIDTH - RIGHT);
        let top = strip.height(ends);
        let split = top + MAIN_HEIGHT;
        let bottom = split + GAP + LOWER_HEIGHT;
        let mut canvas = Canvas::new(WIDTH, bottom + BOTTOM);
        let end = binned.edges.last().copied().unwrap_or(REACH.0);
        let x = Axis::new(Scale::Linear, 0.0, end, ends);
        let highest = binned.counts.iter().chain(&binned.expected);
        let high = 2.5 * highest.copied().fold(1.0, f64::max);
        let panel = Panel {
            x,
            y: Axis::new(Scale::Log, LOW, high, (split, top)),
        };
        self.main_panel(&mut canvas, &panel, &binned);
        self.ratio_panel(&mut canvas, x, (bottom, split + GAP), &binned);
        strip.draw(&mut canvas, ends);
        Ok(canvas.finish())
    }

    fn x_label(&self) -> &str {
        match self.x_label.as_str() {
            "" => "t_{μ}",
            label => label,
        }
    }

    fn finite(&self) -> impl Iterator<Item = f64> {
        self.toys.iter().copied().filter(|t| t.is_finite())
    }

    /// Toys and expectation in bins; the last one holds everything above.
    fn binned(&self) -> Binned {
        let toys = self.finite().count();
        let bins = BINS[usize::from(toys >= MANY)];
        let quantiles = self.quantiles.iter().flat_map(|q| [q.value, q.asymptotic]);
        let shown = self.finite().chain(quantiles).chain(self.observed);
        let highest = shown.filter(|t| t.is_finite()).fold(0.0, f64::max);
        let width = highest.clamp(REACH.0, REACH.1).ceil() / bins as f64;
        let mut counts = vec![0.0; bins];
        for t in self.finite() {
            counts[((t / width).max(0.0) as usize).min(bins - 1)] += 1.0;
        }
        let edges: Vec<f64> = (0..=bins).map(|edge| edge as f64 * width).collect();
        let above = |bin: usize| {
            if bin < bins {
                survival(edges[bin])
            } else {
                0.0
            }
        };
        let expected = |bin: usize| toys as f64 * (above(bin) - above(bin + 1));
        Binned {
            counts,
            expected: (0..bins).map(expected).collect(),
            edges,
        }
    }

    fn main_panel(&self, canvas: &mut Canvas, panel: &Panel, binned: &Binned) {
        panel.clipped(canvas, |canvas| {
            for (index, quantile) in self.quantiles.iter().enumerate() {
                quantile.draw(canvas, panel, quantile_look(index));
            }
            if let Some(observed) = self.observed {
                vertical(canvas, panel, observed, OBSERVED);
            }
            steps(canvas, panel, &binned.edges, &binned.expected, EXPECTED);
            for (bin, count) in binned.counts.iter().enumerate().filter(|(_, n)| **n > 0.0) {
                let x = panel.x.at(binned.centre(bin));
                // A single toy's bar would reach down to zero, which a logarithm has not.
                let bar = ((count - count.sqrt()).max(0.5 * LOW), count + count.sqrt());
                error_bar(canvas, panel, x, bar, Stroke::solid(INK, 1.3));
                TOYS.draw(canvas, (x, panel.y.at(*count)));
            }
        });
        let width = binned.edges.get(1).copied().unwrap_or(1.0);
        let label = format!("Toys / {}", fixed(width, 2));
        panel.frame(canvas, None, &label);
    }

    fn ratio_panel(&self, canvas: &mut Canvas, x: Axis, pixels: (f64, f64), binned: &Binned) {
        let point = |(bin, (count, expected)): (usize, (&f64, &f64))| RatioPoint {
            x: x.at(binned.centre(bin)),
            value: if *count > 0.0 {
                count / expected
            } else {
                f64::NAN
            },
            error: count.sqrt() / expected,
        };
        let pairs = binned.counts.iter().zip(&binned.expected);
        let points: Vec<RatioPoint> = pairs.enumerate().map(point).collect();
        let panel = Panel {
            x,
            y: ratio::axis(ratio::range(&points, &[]), pixels),
        };
        panel.clipped(canvas, |canvas| {
            for (index, quantile) in self.quantiles.iter().enumerate() {
                quantile.draw(canvas, &panel, quantile_look(index));
            }
            panel.level(canvas, 1.0, EXPECTED);
            ratio::points(canvas, &panel, &points, TOYS, true);
        });
        panel.frame(canvas, Some(self.x_label()), "Toys / χ^{2}");
    }

    fn strip(&self, binned: &Binned) -> Strip<'static> {
        let entry = |label: String, key| Entry { label, key };
        let toys = self.finite().count();
        let mut entries = vec![
            entry(format!("{toys} toys"), Key::Point(TOYS)),
            entry("χ^{2}, 1 d.o.f.".to_owned(), Key::Line(EXPECTED)),
        ];
        if let Some(observed) = self.observed.filter(|t| t.is_finite()) {
            let label = format!("observed: {}", short(observed, 2));
            entries.push(entry(label, Key::Line(OBSERVED)));
        }
        let finite = |(_, quantile): &(usize, &TQuantile)| quantile.value.is_finite();
        for (index, quantile) in self.quantiles.iter().enumerate().filter(finite) {
            let stroke = quantile_look(index);
            let key = Key::LineOnArea(stroke, stroke.colour.to_owned(), BAND_OPACITY);
            entries.push(entry(quantile.label(), key));
        }
        if !self.quantiles.is_empty() {
            let key = Key::Line(quantile_look(0).dashed(ASYMPTOTIC_DASH));
            entries.push(entry("χ^{2} quantile".to_owned(), key));
        }
        Strip {
            title: self.title.clone(),
            notes: self
                .notes
                .iter()
                .cloned()
                .chain(self.remarks(binned))
                .collect(),
            entries,
        }
    }

    /// What the histogram does not show.
    fn remarks(&self, binned: &Binned) -> Vec<String> {
        let end = binned.edges.last().copied().unwrap_or(REACH.0);
        let failed = self.toys.len() - self.finite().count();
        let below = self.finite().filter(|t| *t < NEGATIVE).count();
        let above = self.finite().filter(|t| *t > end).count();
        let mut remarks = vec![format!(
            "the last bin holds all above, {above} toys beyond {}",
            fixed(end, 0)
        )];
        for (count, what) in [
            (failed, "toys without a fit, left out"),
            (below, "toys below zero, in the first bin"),
        ] {
            if count > 0 {
                remarks.push(format!("{what}: {count}"));
            }
        }
        remarks
    }
}

impl Binned {
    fn centre(&self, bin: usize) -> f64 {
        0.5 * (self.edges[bin] + self.edges[bin + 1])
    }
}

impl TQuantile {
    /// Lines at both quantiles, the toys' with its error.
    fn draw(&self, canvas: &mut Canvas, panel: &Panel, stroke: Stroke<'_>) {
        let (low, high) = (self.value - self.error, self.value + self.error);
        let corners = (
            (panel.x.at(low), panel.y.start),
            (panel.x.at(high), panel.y.end),
        );
        canvas.rect(corners.0, corners.1, stroke.colour, BAND_OPACITY);
        vertical(
            canvas,
            panel,
            self.asymptotic,
            stroke.dashed(ASYMPTOTIC_DASH),
        );
        vertical(canvas, panel, self.value, stroke);
    }

    fn label(&self) -> String {
        let decimals = if self.error < 0.0195 { 3 } else { 2 };
        let value = short(self.value, decimals);
        let level = percent(self.level);
        match self.error.is_finite() {
            true => format!("{level}: {value} ± {}", short(self.error, decimals)),
            false => format!("{level}: {value}"),
        }
    }
}

/// Look of toys.
const TOYS: Marker<'static> = Marker {
    colour: INK,
    filled: true,
    radius: 3.0,
};
/// Dash of the quantiles of χ².
const ASYMPTOTIC_DASH: &str = "4 4";
/// Look of the expectation.
const EXPECTED: Stroke<'static> = Stroke::solid(BLUE, 1.8);
/// Look of the observed value.
const OBSERVED: Stroke<'static> = Stroke::solid(RED, 2.2);

/// Look of the n-th quantile.
fn quantile_look(quantile: usize) -> Stroke<'static> {
    let colours = [GREY, ORANGE];
    Stroke::solid(colours[quantile % colours.len()], 1.5)
}

fn vertical(canvas: &mut Canvas, panel: &Panel, x: f64, stroke: Stroke<'_>) {
    if panel.x.shows(x) {
        let x = panel.x.at(x);
        canvas.line((x, panel.y.start), (x, panel.y.end), stroke);
    }
}

/// Probability of χ² with one degree of freedom above `t`.
fn survival(t: f64) -> f64 {
    erfc((0.5 * t).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(toys: &[f64]) -> TDistribution {
        TDistribution {
            title: String::new(),
            x_label: String::new(),
            toys: toys.to_vec(),
            quantiles: Vec::new(),
            observed: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn survival_is_that_of_chi2() {
        // The levels of one and two standard deviations of a normal.
        assert!((survival(1.0) - 0.317_310_507_862_914).abs() < 1e-9);
        assert!((survival(4.0) - 0.045_500_263_896_358).abs() < 1e-9);
        assert_eq!(survival(0.0), 1.0);
    }

    #[test]
    fn every_toy_is_counted_and_expected_once() {
        let toys = [
            -0.5,
            -1e-9,
            0.1,
            1.0,
            8.99,
            9.0,
            1e9,
            f64::NAN,
            f64::INFINITY,
        ];
        let distribution = distribution(&toys);
        let binned = distribution.binned();
        assert_eq!(binned.counts.iter().sum::<f64>(), 7.0);
        assert!((binned.expected.iter().sum::<f64>() - 7.0).abs() < 1e-12);
        assert_eq!(*binned.edges.last().expect("edges"), REACH.1);
        assert_eq!(
            distribution.remarks(&binned),
            [
                "the last bin holds all above, 1 toys beyond 25",
                "toys without a fit, left out: 2",
                "toys below zero, in the first bin: 1"
            ]
        );
    }

    #[test]
    fn no_toy_is_an_error() {
        let error = distribution(&[f64::NAN]).draw().expect_err("no toy");
        assert_eq!(
            error.to_string(),
            "distribution of t_{μ}: nothing to draw; give at least one toy with a finite value"
        );
    }

    #[test]
    fn quantiles_are_written_with_their_errors() {
        let quantile = TQuantile {
            level: 0.9545,
            value: 4.314,
            error: 0.126,
            asymptotic: 4.0,
        };
        assert_eq!(quantile.label(), "95.45 %: 4.31 ± 0.13");
    }
}
