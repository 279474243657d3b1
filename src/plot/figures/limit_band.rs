//! Upper limits against a parameter of the signal, such as a mass: observed, and as expected without
//! signal with the bands of one and two standard deviations.
//!
//! Where a limit is missing, its line breaks.

use super::cls_scan::{BANDS, EXPECTED, OBSERVED};
use super::*;

const WANTED: Stroke<'_> = Stroke::solid(RED, 1.4);
/// The y axis is logarithmic where the limits span more than this factor.
const DECADES: f64 = 12.0;

pub(crate) struct LimitBand {
    pub title: String,
    /// The parameter, with its unit.
    pub x_label: String,
    /// What is limited, with its unit.
    pub y_label: String,
    /// Rising in the parameter.
    pub points: Vec<LimitBandPoint>,
    /// A value of what is limited that is marked, where the signal is nominal: 1 of a signal strength.
    pub wanted: Option<f64>,
}

/// Upper limits at one value of the parameter; not finite where there is none.
#[derive(Clone)]
pub(crate) struct LimitBandPoint {
    pub parameter: f64,
    /// None where the data are hidden.
    pub observed: Option<f64>,
    /// Expected, for data that fluctuate by -2, -1, 0, 1 and 2 standard deviations.
    pub expected: [f64; 5],
}

impl LimitBand {
    /// Draws the figure; an error if fewer than two medians are finite and above zero.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let is_usable = |x: f64| x.is_finite() && x > 0.0;
        let is_drawn = |p: &&LimitBandPoint| p.parameter.is_finite() && is_usable(p.expected[2]);
        let points: Vec<&LimitBandPoint> = self.points.iter().filter(is_drawn).collect();
        let what = format!("upper limits against {}", self.x_label);
        check::drawable(points.len() > 1, &what, "pair of finite limits")?;
        let usable = |x: f64| if is_usable(x) { x } else { f64::NAN };
        let band = |(_, fill, k): (_, Fill<'static>, usize)| {
            let ends = |p: &&LimitBandPoint| {
                let [low, high] = [p.expected[k], p.expected[4 - k]].map(usable);
                (p.parameter, low, high)
            };
            Mark::Band(points.iter().map(ends).collect(), fill)
        };
        let expected: Vec<(f64, f64)> = points
            .iter()
            .map(|p| (p.parameter, p.expected[2]))
            .collect();
        let observed: Vec<(f64, f64)> = points
            .iter()
            .filter_map(|p| Some((p.parameter, usable(p.observed?))))
            .collect();
        let all = points
            .iter()
            .flat_map(|p| p.expected.into_iter().chain(p.observed));
        let (low, high) = ends(all.filter(|x| is_usable(*x)).chain(self.wanted));
        let y = match high / low > DECADES {
            true => Axis::new(Scale::Log, 0.6 * low, 1.8 * high, (0.0, 1.0)),
            false => Axis::linear(0.0, 1.12 * high),
        };
        let mut marks: Vec<Mark<'_>> = BANDS.map(band).into();
        marks.push(Mark::Line(expected, EXPECTED));
        marks.push(Mark::Line(observed.clone(), OBSERVED));
        marks.push(Mark::Points(observed, Marker::dot(INK, 2.6)));
        marks.extend(self.wanted.map(|level| Mark::level(level, WANTED)));
        let is_observed = points.iter().any(|p| p.observed.is_some());
        let observed = is_observed.then(|| Entry::new("observed", Key::Line(OBSERVED)));
        let expected = Entry::new("expected without signal", Key::Line(EXPECTED));
        let bands = BANDS.iter().rev();
        let bands = bands.map(|(label, fill, _)| Entry::new(*label, Key::Area(*fill)));
        let wanted = self
            .wanted
            .map(|_| Entry::new("nominal signal", Key::Line(WANTED)));
        let entries = observed.into_iter().chain([expected]).chain(bands);
        let entries = entries.chain(wanted);
        let missing = self.points.len() - points.len();
        let head = Head::new(&self.title, entries.collect());
        let head = head.counted(missing, self.points.len(), "points");
        let (first, last) = (points[0].parameter, points[points.len() - 1].parameter);
        let chart = Chart::below(head, &[400.0], 0.0)
            .x(&self.x_label, Axis::linear(first, last))
            .row(&self.y_label, y, marks);
        Ok(chart.draw())
    }
}

#[cfg(test)]
mod tests {
    use crate::plot::examples;

    #[test]
    fn limits_that_are_missing_are_counted_and_two_are_needed() {
        assert!(examples::limit_band(&[1.0, f64::NAN], 0).draw().is_err());
        let svg = examples::limit_band(&[1.0, f64::NAN, 40.0], 0).draw();
        let svg = svg.expect("two points").svg;
        assert!(svg.contains("1 of 3 points without a fit"), "{svg}");
        assert!(svg.contains("observed"));
    }
}
