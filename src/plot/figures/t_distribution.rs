//! The test statistic of toys at one value of the parameter against the χ²
//! distribution of one degree of freedom that Wilks' theorem promises.

use super::*;
use statrs::function::erf::erfc;

/// End of the axis at least and at most; toys beyond count in the last bin.
const REACH: (f64, f64) = (9.0, 25.0);
const BINS: [usize; 2] = [18, 36]; // bins for few and for many toys
const MANY: usize = 2000; // toys from which the finer bins are used
const LOW: f64 = 0.4; // lower end of the y axis, below a single toy
const NEGATIVE: f64 = -1e-6; // values of t this far below zero are no rounding
/// Opacity of the error band of a quantile.
const BAND_OPACITY: f64 = 0.2;
const TOYS: Marker<'_> = Marker::dot(INK, 3.0);
const EXPECTED: Stroke<'_> = Stroke::solid(BLUE, 1.8);
const ASYMPTOTIC_DASH: &str = "4 4"; // dash of the quantiles of χ²

/// t of toys at one value of the parameter.
pub(crate) struct TDistribution {
    pub title: String,
    /// t of each toy; not finite where a fit failed.
    pub toys: Vec<f64>,
    pub quantiles: Vec<TQuantile>,
    pub notes: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct TQuantile {
    /// Probability below it, for example 0.6827.
    pub level: f64,
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
    /// Draws the figure; an error if no toy has a finite t.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let is_drawable = self.finite().next().is_some();
        let what = "distribution of t_{μ}";
        check::drawable(is_drawable, what, "toy with a finite value")?;
        let binned = self.binned();
        let centres = binned.edges.windows(2).map(|bin| 0.5 * (bin[0] + bin[1]));
        let bins = || centres.clone().zip(binned.counts.iter().copied());
        // A single toy's bar would reach down to zero, which a logarithm has not.
        let toys = bins().filter(|(_, n)| *n > 0.0).map(|(x, n)| {
            let low = (n - n.sqrt()).max(0.5 * LOW);
            Dot::at(x, n, (n - low, n.sqrt()))
        });
        let ratio = bins().zip(&binned.expected).map(|((x, n), expected)| {
            let error = n.sqrt() / expected;
            let ratio = if n > 0.0 { n / expected } else { f64::NAN };
            Dot::at(x, ratio, (error, error))
        });
        let ratios: Vec<Dot> = ratio.collect();
        let mut main = self.quantile_marks();
        main.push(Mark::Steps(
            &binned.edges,
            binned.expected.clone(),
            EXPECTED,
        ));
        main.push(Mark::Errors(toys.collect(), TOYS, 1.3));
        let lower_axis = layers::ratio_axis(&ratios, &[]);
        let mut lower = self.quantile_marks();
        lower.push(Mark::level(1.0, EXPECTED));
        lower.push(Mark::Ratios(ratios, TOYS, true));
        let (_, highest) = ends(binned.counts.iter().chain(&binned.expected).copied());
        let high = 2.5 * highest.max(1.0);
        let y = Axis::new(Scale::Log, LOW, high, (0.0, 1.0));
        let y_label = format!("Toys / {}", fixed(binned.edges[1], 2));
        let chart = Chart::below(self.head(&binned), &[340.0, 120.0], GAP)
            .x("t_{μ}", Axis::linear(0.0, binned.end()))
            .row(&y_label, y, main)
            .row("Toys / χ^{2}", lower_axis, lower);
        Ok(chart.draw())
    }

    fn finite(&self) -> impl Iterator<Item = f64> {
        self.toys.iter().copied().filter(|t| t.is_finite())
    }

    /// Toys and expectation in bins; the last one holds everything above.
    fn binned(&self) -> Binned {
        let toys = self.finite().count();
        let bins = BINS[usize::from(toys >= MANY)];
        let quantiles = self.quantiles.iter().flat_map(|q| [q.value, q.asymptotic]);
        let shown = self.finite().chain(quantiles);
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

    /// Lines at both kinds of quantiles, the toys' with its error.
    fn quantile_marks(&self) -> Vec<Mark<'static>> {
        let marks = |(index, q): (usize, &TQuantile)| {
            let look = quantile_look(index);
            [
                Mark::Column(
                    (q.value - q.error, q.value + q.error),
                    look.area(BAND_OPACITY),
                ),
                Mark::Upright(q.asymptotic, look.dashed(ASYMPTOTIC_DASH)),
                Mark::Upright(q.value, look),
            ]
        };
        self.quantiles.iter().enumerate().flat_map(marks).collect()
    }

    fn head(&self, binned: &Binned) -> Head<'_> {
        let toys = Key::Point(TOYS);
        let mut entries = vec![
            Entry::new(format!("{} toys", self.finite().count()), toys),
            Entry::new("χ^{2}, 1 d.o.f.", Key::Line(EXPECTED)),
        ];
        let quantiles = self.quantiles.iter().enumerate();
        for (index, quantile) in quantiles.filter(|(_, q)| q.value.is_finite()) {
            let look = quantile_look(index);
            let key = Key::LineOnArea(look, look.area(BAND_OPACITY));
            entries.push(Entry::new(quantile.label(), key));
        }
        if !self.quantiles.is_empty() {
            let key = Key::Line(quantile_look(0).dashed(ASYMPTOTIC_DASH));
            entries.push(Entry::new("χ^{2} quantile", key));
        }
        let notes = [self.notes.clone(), self.remarks(binned)];
        Head::new(&self.title, entries).noted(notes.concat())
    }

    /// What the histogram does not show.
    fn remarks(&self, binned: &Binned) -> Vec<String> {
        let end = binned.end();
        let failed = self.toys.len() - self.finite().count();
        let below = self.finite().filter(|t| *t < NEGATIVE).count();
        let above = self.finite().filter(|t| *t > end).count();
        let end = fixed(end, 0);
        let mut remarks = vec![format!(
            "the last bin holds all above, {above} toys beyond {end}"
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
    fn end(&self) -> f64 {
        self.edges[self.edges.len() - 1]
    }
}

impl TQuantile {
    fn label(&self) -> String {
        let decimals = decimals(self.error);
        let value = short(self.value, decimals);
        let level = percent(self.level);
        match self.error.is_finite() {
            true => format!("{level}: {value} ± {}", short(self.error, decimals)),
            false => format!("{level}: {value}"),
        }
    }
}

fn quantile_look(quantile: usize) -> Stroke<'static> {
    Stroke::solid([GREY, ORANGE][quantile % 2], 1.5)
}

/// Probability of χ² with one degree of freedom above `t`.
fn survival(t: f64) -> f64 {
    erfc((0.5 * t).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::examples;

    #[test]
    fn survival_is_that_of_chi2() {
        // The levels of one and two standard deviations of a normal.
        assert!((survival(1.0) - 0.317_310_507_862_914).abs() < 1e-9);
        assert!((survival(4.0) - 0.045_500_263_896_358).abs() < 1e-9);
        assert_eq!(survival(0.0), 1.0);
    }

    #[test]
    fn every_toy_is_counted_and_expected_once() {
        let (nan, infinite) = (f64::NAN, f64::INFINITY);
        let toys = [-0.5, -1e-9, 0.1, 1.0, 8.99, 9.0, 1e9, nan, infinite];
        let distribution = examples::t_distribution(&toys);
        let binned = distribution.binned();
        assert_eq!(binned.counts.iter().sum::<f64>(), 7.0);
        assert!((binned.expected.iter().sum::<f64>() - 7.0).abs() < 1e-12);
        assert_eq!(binned.end(), REACH.1);
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
