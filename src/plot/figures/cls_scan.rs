//! CLs against a parameter, observed and as expected without signal, with the level
//! below which a value is excluded.

use super::*;

/// Bands of two and one standard deviations.
pub(super) const BANDS: [(&str, Fill<'_>, usize); 2] = [
    ("expected ± 2 σ", Fill("#f7d038", 0.75), 0),
    ("expected ± 1 σ", Fill("#4caf50", 0.75), 1),
];
pub(super) const OBSERVED: Stroke<'_> = Stroke::solid(INK, 1.6);
pub(super) const EXPECTED: Stroke<'_> = Stroke::solid(INK, 1.4).dashed("7 4");

pub(crate) struct ClsScan {
    pub title: String,
    /// The parameter, with its unit.
    pub x_label: String,
    pub points: Vec<ClsScanPoint>,
    /// One minus the confidence level.
    pub alpha: f64,
}

/// CLs at one value of the parameter.
pub(crate) struct ClsScanPoint {
    pub parameter: f64,
    /// None where the data are hidden.
    pub observed: Option<f64>,
    /// Expected, for data that fluctuate by -2, -1, 0, 1 and 2 standard deviations.
    pub expected: [f64; 5],
}

impl ClsScan {
    /// Draws the figure; an error if fewer than two points are finite.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let is_finite = |p: &&ClsScanPoint| {
            let all = p.expected.iter().chain([&p.parameter]);
            all.chain(&p.observed).all(|x| x.is_finite())
        };
        let points: Vec<&ClsScanPoint> = self.points.iter().filter(is_finite).collect();
        let what = format!("CLs against {}", self.x_label);
        check::drawable(points.len() > 1, &what, "pair of finite points")?;
        let band = |(_, fill, k): (_, Fill<'static>, usize)| {
            let ends = |p: &&ClsScanPoint| (p.parameter, p.expected[4 - k], p.expected[k]);
            Mark::Band(points.iter().map(ends).collect(), fill)
        };
        let expected = points.iter().map(|p| (p.parameter, p.expected[2]));
        let observed = points
            .iter()
            .filter_map(|p| Some((p.parameter, p.observed?)));
        let observed: Vec<(f64, f64)> = observed.collect();
        let mut marks: Vec<Mark<'_>> = BANDS.map(band).into();
        marks.push(Mark::Line(expected.collect(), EXPECTED));
        marks.push(Mark::Line(observed.clone(), OBSERVED));
        marks.push(Mark::Points(observed, Marker::dot(INK, 2.0)));
        let label = format!("{:.2}", self.alpha);
        marks.push(Mark::Level(self.alpha, Stroke::solid(RED, 1.4), label));
        let is_observed = self.points.iter().any(|p| p.observed.is_some());
        let observed = is_observed.then(|| Entry::new("observed", Key::Line(OBSERVED)));
        let expected = Entry::new("expected without signal", Key::Line(EXPECTED));
        let bands = BANDS.iter().rev();
        let bands = bands.map(|(label, fill, _)| Entry::new(*label, Key::Area(*fill)));
        let entries = observed.into_iter().chain([expected]).chain(bands);
        let head = Head::new(&self.title, entries.collect());
        let (first, last) = (points[0].parameter, points[points.len() - 1].parameter);
        let chart = Chart::labelled(head, &[400.0], 0.0)
            .x(&self.x_label, Axis::linear(first, last))
            .row("CL_{s}", Axis::linear(0.0, 1.05), marks);
        Ok(chart.draw())
    }
}

#[cfg(test)]
mod tests {
    use crate::plot::examples;

    #[test]
    fn a_scan_without_two_finite_points_is_refused() {
        assert!(examples::cls_scan(&[1.0, f64::NAN], 0).draw().is_err());
        let svg = examples::cls_scan(&[1.0, f64::NAN, 0.03], 0).draw();
        let svg = svg.expect("two points").svg;
        assert!(svg.contains("observed") && svg.contains("0.05"));
    }
}
