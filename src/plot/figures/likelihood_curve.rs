//! The test statistic t = −2 Δ log L against a parameter, for several
//! likelihoods, with the levels at which intervals are read off.
//!
//! Between the points of a scan, and the best fit where t = 0, a curve is smooth. A point whose
//! fit failed has a value that is not finite: the line breaks there, and the number of such
//! points is written above the frame.

use super::*;

/// Levels of t for one parameter by Wilks' theorem, one and two standard deviations.
const LEVELS: [(f64, f64); 2] = [(1.0, 0.6827), (4.0, 0.9545)];
/// Upper end of the y axis; curves rise beyond it and are cut off by the frame.
const HIGHEST: f64 = 12.0;
const FOOT: f64 = 0.045; // space below t = 0 for the marks of best fits, in lengths of the axis
/// How far the lower axis reaches beyond the outermost number on it.
const REACH_BEYOND: f64 = 1.1;
const ZERO: Stroke<'_> = Stroke::solid(GREY, 0.8);
const LEVEL: Stroke<'_> = Stroke::solid(GREY, 1.2).dashed("5 4");

pub(crate) struct LikelihoodCurve {
    pub title: String,
    /// The parameter, with its unit.
    pub x_label: String,
    /// The curves, for example profiled, statistical only, exact, histogram.
    pub curves: Vec<ScanCurve>,
    /// Index of the curve that a lower panel subtracts from the others.
    pub reference: Option<usize>,
}

/// One likelihood scanned over the parameter.
pub(crate) struct ScanCurve {
    pub label: String,
    /// Parameter and t, in rising order of the parameter; t not finite where the fit failed.
    pub points: Vec<(f64, f64)>,
    pub best_fit: f64,
}

impl LikelihoodCurve {
    /// Draws the figure; an error if no curve has a finite point, an error if `reference` is no
    /// curve.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let what = format!("likelihood curve of {}", self.x_label);
        let is_drawable = self.finite().next().is_some();
        check::drawable(is_drawable, &what, "curve with a finite point")?;
        let count = self.curves.len();
        if let Some(index) = self.reference.filter(|index| *index >= count) {
            let what = format!("curves, of which number {index} is the reference");
            check::length(&what, count, index + 1)?;
        }
        let (low, high) = match ends(self.finite().map(|(x, _)| x)) {
            (low, high) if low == high => (low - 0.5, high + 0.5),
            range => range,
        };
        let (y, marks) = self.main_panel();
        let heights = &[370.0, 140.0][..1 + usize::from(self.reference.is_some())];
        let mut chart = Chart::labelled(self.head(), heights, GAP)
            .x(&self.x_label, Axis::linear(low, high))
            .row("t = −2 Δ log L", y, marks);
        if let Some(reference) = self.reference {
            let (y, marks) = self.lower_panel(reference);
            chart = chart.row("t − t_{ref}", y, marks);
        }
        Ok(chart.draw())
    }

    /// Points that can be placed.
    fn finite(&self) -> impl Iterator<Item = (f64, f64)> {
        let points = self.curves.iter().flat_map(|curve| curve.points.iter());
        points.copied().filter(is_finite)
    }

    fn main_panel(&self) -> (Axis, Vec<Mark<'_>>) {
        let mut marks = vec![Mark::level(0.0, ZERO)];
        marks.extend(LEVELS.map(|(t, level)| Mark::Level(t, LEVEL, percent(level))));
        for (index, curve) in self.curves.iter().enumerate().rev() {
            let points = curve.knots();
            let t = curve::at(&points, curve.best_fit);
            marks.push(Mark::Curve(points, look(index)));
            if curve.best_fit.is_finite() {
                let best = (curve.best_fit, if t.is_finite() { t } else { 0.0 });
                marks.push(Mark::Points(vec![best], marker(look(index).colour)));
            }
        }
        // A curve far below zero has another minimum; it must not flatten the others.
        let lowest = self.finite().fold(0.0f64, |low, (_, t)| low.min(t));
        let low = lowest.max(-0.5 * HIGHEST);
        let y = Axis::linear(low - FOOT * (HIGHEST - low), HIGHEST);
        (y, marks)
    }

    /// Differences to the reference, where the main panel shows the curve.
    fn lower_panel(&self, reference: usize) -> (Axis, Vec<Mark<'_>>) {
        let base = self.curves[reference].knots();
        let difference = |&(x, t): &(f64, f64)| match t <= HIGHEST {
            true => (x, t - curve::at(&base, x)),
            false => (x, f64::NAN),
        };
        let curves = self.curves.iter();
        let differences: Vec<Vec<(f64, f64)>> = curves
            .map(|curve| curve.points.iter().map(difference).collect())
            .collect();
        let sizes = differences.iter().flatten().map(|(_, d)| d.abs());
        let reach = sizes.filter(|d| d.is_finite()).fold(0.0, f64::max);
        let reach = REACH_BEYOND * round_up(reach);
        let mut marks = vec![Mark::level(0.0, look(reference))];
        for (index, points) in differences.into_iter().enumerate().rev() {
            if index != reference {
                marks.push(Mark::Curve(points, look(index)));
            }
        }
        (Axis::linear(-reach, reach), marks)
    }

    fn head(&self) -> Head<'_> {
        let mut entries = Vec::new();
        for (index, curve) in self.curves.iter().enumerate() {
            let label = match self.reference == Some(index) {
                true => format!("{} (ref)", curve.label),
                false => curve.label.clone(),
            };
            entries.push(Entry::new(label, Key::Line(look(index))));
        }
        entries.push(Entry::new("best fit", Key::Symbol(marker(INK))));
        let all: usize = self.curves.iter().map(|curve| curve.points.len()).sum();
        let missing = all - self.finite().count();
        Head::new(&self.title, entries).counted(missing, all, "points")
    }
}

fn look(curve: usize) -> Stroke<'static> {
    series_look(curve, 1.9)
}

const fn marker(colour: &str) -> Marker<'_> {
    Marker::dot(colour, 3.6)
}

fn is_finite((x, t): &(f64, f64)) -> bool {
    x.is_finite() && t.is_finite()
}

impl ScanCurve {
    /// The points, and the best fit between two of them that lie above it.
    fn knots(&self) -> Vec<(f64, f64)> {
        let mut knots = self.points.clone();
        let above = knots.iter().position(|(x, _)| *x >= self.best_fit);
        let is_above = |(x, t): (f64, f64)| x != self.best_fit && t >= 0.0 && t.is_finite();
        if let Some(above @ 1..) = above
            && knots.len() >= curve::FEWEST
            && is_above(knots[above - 1])
            && is_above(knots[above])
        {
            knots.insert(above, (self.best_fit, 0.0));
        }
        knots
    }
}

/// The next round number that a short axis about zero can be labelled for; 1 for zero.
fn round_up(size: f64) -> f64 {
    if size <= 0.0 {
        return 1.0;
    }
    let decade = 10f64.powf(size.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 10.0].map(|factor| factor * decade);
    steps.into_iter().find(|step| *step >= size).unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::examples;

    #[test]
    fn failed_points_break_the_line_and_are_counted() {
        let nan = f64::NAN;
        let mut figure = examples::likelihood_curve(&[4.0, nan, 1.0, nan, 1.0, 4.0], 0);
        figure.curves.truncate(1);
        let svg = figure.draw().expect("finite points").svg;
        assert!(svg.contains("2 of 6 points without a fit, left out"));
        // The point between two gaps is a dot.
        assert!(svg.contains("r=\"2.2\""));
        assert!(svg.contains("68.27 %") && svg.contains("95.45 %"));
    }

    #[test]
    fn the_axis_shows_both_levels() {
        let figure = examples::likelihood_curve(&[0.0, 900.0], 0);
        let (y, _) = figure.main_panel();
        assert!(y.low < 0.0 && y.high == HIGHEST);
    }

    #[test]
    fn the_best_fit_is_on_its_curve() {
        let parabola = |x: f64| 3.0 * (x - 0.3) * (x - 0.3);
        let points = (0..6).map(|i| f64::from(i) * 0.4 - 1.0);
        let mut curve = ScanCurve {
            label: String::new(),
            points: points.map(|x| (x, parabola(x))).collect(),
            best_fit: 0.3,
        };
        for x in [-1.0, -0.37, 0.25, 0.3, 1.0] {
            assert!(
                (curve::at(&curve.knots(), x) - parabola(x)).abs() < 1e-12,
                "{x}"
            );
        }
        // Beyond the points, on one of them, beside a failed one, above a deeper one: as it is.
        let on_one = curve.points[3].0;
        for (best, t) in [(1.2, 0.0), (on_one, 0.0), (0.3, f64::NAN), (0.3, -0.1)] {
            curve.best_fit = best;
            curve.points[4].1 = t;
            assert_eq!(curve.knots().len(), 6, "{best} {t}");
        }
    }

    #[test]
    fn round_numbers_are_not_below() {
        let sizes = [0.0, 0.1, 3.1, 0.06, 170.0];
        for (size, round) in sizes.into_iter().zip([1.0, 0.1, 5.0, 0.08, 200.0]) {
            assert!((round_up(size) / round - 1.0).abs() < 1e-12, "{size}");
        }
    }
}
