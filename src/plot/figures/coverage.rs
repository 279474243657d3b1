//! Coverage: how often intervals contain the true value, one panel a
//! confidence level, several methods side by side.

use super::*;

/// Part of the smallest distance between two values of the parameter over
/// which the methods are spread.
const SPREAD: f64 = 0.6;
/// Space beyond the outermost values of the parameter, in smallest distances.
const MARGIN: f64 = 0.6;
const RADIUS: f64 = 4.0;
const NOMINAL: Stroke<'_> = Stroke::solid(GREY, 1.4).dashed("6 4"); // the nominal level

pub(crate) struct Coverage {
    pub title: String,
    /// The true value of the parameter.
    pub x_label: String,
    /// Nominal confidence levels, one panel each from the top.
    pub levels: Vec<f64>,
    pub methods: Vec<CoverageMethod>,
}

#[derive(Clone)]
pub(crate) struct CoverageMethod {
    pub label: String,
    pub points: Vec<Vec<CoveragePoint>>,
}

/// Coverage at one true value.
#[derive(Clone)]
pub(crate) struct CoveragePoint {
    pub parameter: f64,
    /// Part of the toys whose interval contains it, between 0 and 1.
    pub coverage: f64,
    pub errors: (f64, f64),
}

impl CoverageMethod {
    fn finite(&self, level: usize) -> impl Iterator<Item = &CoveragePoint> {
        let is_finite = |p: &&CoveragePoint| p.parameter.is_finite() && p.coverage.is_finite();
        self.points[level].iter().filter(is_finite)
    }
}

impl Coverage {
    /// Draws the figure; an error if there is no level or no finite point, or a list has the wrong
    /// length.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let count = self.levels.len();
        for method in &self.methods {
            let what = format!("levels of \"{}\"", method.label);
            check::length(&what, method.points.len(), count)?;
        }
        let parameters = self.parameters();
        let what = format!("coverage against {}", self.x_label);
        check::drawable(!parameters.is_empty(), &what, "level with a finite point")?;
        let (step, (low, high)) = (step(&parameters), ends(parameters));
        let methods = self.methods.iter().enumerate();
        let method = |(n, m): (usize, &CoverageMethod)| {
            Entry::new(&m.label, Key::Point(Marker::of_method(n, RADIUS)))
        };
        let nominal = Entry::new("nominal", Key::Line(NOMINAL));
        let entries = methods.map(method).chain([nominal]);
        let head = Head::new(&self.title, entries.collect());
        let x = Axis::linear(low - MARGIN * step, high + MARGIN * step);
        let mut chart = Chart::labelled(head, &vec![210.0; count], 18.0).x(&self.x_label, x);
        for level in 0..count {
            let (y, marks) = self.panel(level, step);
            chart = chart.row("Coverage [%]", y, marks);
        }
        Ok(chart.draw())
    }

    /// Values of the parameter that have a point, in rising order.
    fn parameters(&self) -> Vec<f64> {
        let levels = 0..self.levels.len();
        let points =
            levels.flat_map(|level| self.methods.iter().flat_map(move |m| m.finite(level)));
        let mut values: Vec<f64> = points.map(|point| point.parameter).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    }

    /// Shift of a method's points along x, so that errors stand side by side.
    fn shift(&self, method: usize, step: f64) -> f64 {
        let count = self.methods.len() as f64;
        ((method as f64 + 0.5) / count - 0.5) * SPREAD * step
    }

    /// Axis and marks of a panel, in per cent.
    fn panel(&self, level: usize, step: f64) -> (Axis, Vec<Mark<'_>>) {
        let nominal = 100.0 * self.levels[level];
        let label = percent(self.levels[level]);
        let mut marks = vec![Mark::Level(nominal, NOMINAL, label)];
        let (mut low, mut high) = (nominal, nominal);
        for (index, method) in self.methods.iter().enumerate() {
            let dot = |p: &CoveragePoint| {
                let errors = (100.0 * size(p.errors.0), 100.0 * size(p.errors.1));
                let x = p.parameter + self.shift(index, step);
                Dot::at(x, 100.0 * p.coverage, errors)
            };
            let dots: Vec<Dot> = method.finite(level).map(dot).collect();
            for (below, above) in dots.iter().map(Dot::ends) {
                (low, high) = (low.min(below), high.max(above));
            }
            let marker = Marker::of_method(index, RADIUS);
            marks.push(Mark::Errors(dots, marker, 1.5));
        }
        let margin = (0.12 * (high - low)).max(0.5);
        (Axis::linear(low - margin, high + margin), marks)
    }
}

/// Smallest distance between two values of the parameter.
fn step(values: &[f64]) -> f64 {
    let steps = values.windows(2).map(|pair| pair[1] - pair[0]);
    let step = steps.fold(f64::INFINITY, f64::min);
    if step.is_finite() { step } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::examples;

    #[test]
    fn methods_stand_side_by_side_within_one_step() {
        let mut figure = examples::coverage(&[-1.0, 0.0, 0.5, 2.0], 0);
        figure.methods.push(figure.methods[0].clone());
        figure.methods[0].points[0][2].coverage = f64::NAN;
        figure.methods[1].points[0].remove(2);
        assert_eq!(figure.parameters(), [-1.0, 0.0, 2.0]);
        assert_eq!(step(&figure.parameters()), 1.0);
        assert_eq!(figure.shift(0, 1.0), -figure.shift(1, 1.0));
        assert!(figure.shift(1, 1.0) > 0.0 && figure.shift(1, 1.0) < 0.5);
    }

    #[test]
    fn the_axis_holds_points_and_the_nominal_level() {
        let mut figure = examples::coverage(&[0.0; 4], 0);
        figure.levels[0] = 0.6827;
        figure.methods[0].points[0][0].coverage = 0.9;
        figure.methods[0].points[0][0].errors = (0.01, 0.01);
        let (y, _) = figure.panel(0, 1.0);
        assert!(y.low < 68.27 && y.high > 91.0);
        assert!(figure.draw().expect("a point").svg.contains("68.27 %"));
    }
}
