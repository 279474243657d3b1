//! Upper limits against a parameter of the signal, such as a mass: observed, and as expected without
//! signal with the bands of one and two standard deviations; with the theory's curve, where what is
//! limited has one.
//!
//! Where a limit is missing, its line breaks.

use super::cls_scan::{BANDS, EXPECTED, OBSERVED};
use super::*;

const WANTED: Stroke<'_> = Stroke::solid(RED, 1.4);
const THEORY: Stroke<'_> = Stroke::solid(RED, 1.8);
const THEORY_BAND: Fill<'_> = THEORY.area(0.3);
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
    /// What the theory says of it, rising in the parameter; empty without one.
    pub theory: Vec<TheoryPoint>,
}

/// What is limited at one value of the parameter, by a theory.
#[derive(Clone, Copy)]
pub(crate) struct TheoryPoint {
    pub parameter: f64,
    pub value: f64,
    /// The ends of its uncertainty.
    pub range: Option<[f64; 2]>,
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
                (p.parameter, high, low)
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
        let theory = self.theory.iter();
        let theories = theory.flat_map(|p| p.range.into_iter().flatten().chain([p.value]));
        let all = all.chain(theories).filter(|x| is_usable(*x));
        let (low, high) = ends(all.chain(self.wanted));
        let y = match high / low > DECADES {
            true => Axis::new(Scale::Log, 0.6 * low, 1.8 * high, (0.0, 1.0)),
            false => Axis::linear(0.0, 1.12 * high),
        };
        let mut marks: Vec<Mark<'_>> = BANDS.map(band).into();
        let has_range = self.theory.iter().any(|p| p.range.is_some());
        if has_range {
            let range = |p: &TheoryPoint| {
                let [low, high] = p.range.unwrap_or([f64::NAN; 2]).map(usable);
                (p.parameter, high, low)
            };
            let ranges = self.theory.iter().map(range);
            marks.push(Mark::Band(ranges.collect(), THEORY_BAND));
        }
        if !self.theory.is_empty() {
            let values = self.theory.iter().map(|p| (p.parameter, usable(p.value)));
            marks.push(Mark::Line(values.collect(), THEORY));
        }
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
        let theory = (!self.theory.is_empty()).then(|| match has_range {
            true => Entry::new("theory", Key::LineOnArea(THEORY, THEORY_BAND)),
            false => Entry::new("theory", Key::Line(THEORY)),
        });
        let entries = entries.chain(wanted).chain(theory);
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
    use super::TheoryPoint;
    use crate::plot::examples;

    #[test]
    fn limits_that_are_missing_are_counted_and_two_are_needed() {
        assert!(examples::limit_band(&[1.0, f64::NAN], 0).draw().is_err());
        let svg = examples::limit_band(&[1.0, f64::NAN, 40.0], 0).draw();
        let svg = svg.expect("two points").svg;
        assert!(svg.contains("1 of 3 points without a fit"), "{svg}");
        assert!(svg.contains("observed"));
    }

    #[test]
    fn the_theory_is_drawn_and_named_and_the_axis_reaches_it() {
        let draw = |values: &[f64], range: Option<[f64; 2]>| {
            let mut figure = examples::limit_band(&[1.0, 2.0, 3.0], 1);
            let points = values.iter().enumerate();
            let point = |(x, value): (usize, &f64)| TheoryPoint {
                parameter: x as f64,
                value: *value,
                range,
            };
            figure.theory = points.map(point).collect();
            figure.draw().expect("limits to draw")
        };
        let drawn = draw(&[50.0, 60.0, 70.0], None);
        assert!(drawn.svg.contains("theory"));
        let numbers: serde_json::Value = serde_json::from_str(&drawn.numbers).expect("JSON");
        let all = numbers["panels"][0]["drawn"].as_array().expect("a list");
        let theory: Vec<_> = all.iter().filter(|l| l["label"] == "theory").collect();
        assert_eq!(theory.len(), 1);
        assert_eq!(theory[0]["y"], serde_json::json!([50.0, 60.0, 70.0]));
        // its uncertainty is a band of the same name
        let drawn = draw(&[50.0, 60.0, 70.0], Some([40.0, 90.0]));
        let numbers: serde_json::Value = serde_json::from_str(&drawn.numbers).expect("JSON");
        let all = numbers["panels"][0]["drawn"].as_array().expect("a list");
        assert_eq!(all.iter().filter(|l| l["label"] == "theory").count(), 2);
        let without = examples::limit_band(&[1.0, 2.0, 3.0], 1).draw();
        assert!(!without.expect("limits").svg.contains("theory"));
        for odd in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, 5e-324] {
            let svg = draw(&[odd, 1.0, odd], Some([odd, 2.0])).svg;
            assert!(
                !svg.contains("NaN") && !svg.contains("\"inf"),
                "{odd}: {svg}"
            );
        }
    }
}
