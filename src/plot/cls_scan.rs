//! CLs against a parameter, observed and as expected without signal, with the level
//! below which a value is excluded.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::legend::strip::Strip;
use super::legend::{Entry, Key};
use super::levels::{LABEL_MARGIN, STRIP_ENDS, write_beside};
use super::panel::Panel;
use super::shapes::Marker;
use super::style::{BOTTOM, INK, LEFT, RED, WIDTH};
use super::{Figure, PlotError};

/// Height of the panel.
const HEIGHT: f64 = 400.0;
/// Upper end of the y axis.
const HIGHEST: f64 = 1.05;
/// Bands of one and two standard deviations.
const BANDS: [(&str, &str, usize); 2] = [
    ("expected ± 2 σ", "#f7d038", 0),
    ("expected ± 1 σ", "#4caf50", 1),
];

/// A scan of CLs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClsScan {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the x axis: the parameter, with its unit.
    pub x_label: String,
    /// Points in rising order of the parameter.
    pub points: Vec<ClsScanPoint>,
    /// One minus the confidence level.
    pub alpha: f64,
    /// Small lines below the title.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// CLs at one value of the parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClsScanPoint {
    /// Value of the parameter.
    pub parameter: f64,
    /// Observed; none where the data are hidden.
    #[serde(default)]
    pub observed: Option<f64>,
    /// Expected, for data that fluctuate by -2, -1, 0, 1 and 2 standard deviations.
    pub expected: [f64; 5],
}

impl ClsScanPoint {
    fn is_finite(&self) -> bool {
        let all = self.expected.iter().chain([&self.parameter]);
        all.chain(&self.observed).all(|x| x.is_finite())
    }
}

impl ClsScan {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] if fewer than two points are finite.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let points: Vec<&ClsScanPoint> = self.points.iter().filter(|p| p.is_finite()).collect();
        let [first, .., last] = points.as_slice() else {
            return Err(PlotError::Empty {
                what: format!("CLs against {}", self.x_label),
                expected: "pair of finite points".to_owned(),
            });
        };
        let strip = self.strip();
        let top = strip.height(STRIP_ENDS);
        let mut canvas = Canvas::new(WIDTH, top + HEIGHT + BOTTOM);
        let ends = (LEFT, WIDTH - LABEL_MARGIN);
        let panel = Panel {
            x: Axis::new(Scale::Linear, first.parameter, last.parameter, ends),
            y: Axis::new(Scale::Linear, 0.0, HIGHEST, (top + HEIGHT, top)),
        };
        panel.clipped(&mut canvas, |canvas| {
            for (_, colour, k) in BANDS {
                let edge = |k: usize| {
                    points
                        .iter()
                        .map(move |p| panel.at(p.parameter, p.expected[k]))
                };
                let band: Vec<(f64, f64)> = edge(k).chain(edge(4 - k).rev()).collect();
                canvas.polygon(&band, colour, 0.75);
            }
            let line = |value: fn(&ClsScanPoint) -> Option<f64>| -> Vec<(f64, f64)> {
                let at = |p: &&ClsScanPoint| Some(panel.at(p.parameter, value(p)?));
                points.iter().filter_map(at).collect()
            };
            canvas.polyline(&line(|p| Some(p.expected[2])), EXPECTED);
            let observed = line(|p| p.observed);
            canvas.polyline(&observed, OBSERVED);
            for at in observed {
                POINT.draw(canvas, at);
            }
            panel.level(canvas, self.alpha, LEVEL);
        });
        write_beside(
            &mut canvas,
            &panel,
            self.alpha,
            &format!("{:.2}", self.alpha),
        );
        panel.frame(&mut canvas, Some(&self.x_label), "CL_{s}");
        strip.draw(&mut canvas, STRIP_ENDS);
        Ok(canvas.finish())
    }

    fn strip(&self) -> Strip<'static> {
        let entry = |label: &str, key| Entry {
            label: label.to_owned(),
            key,
        };
        let bands = BANDS.iter().rev();
        let bands =
            bands.map(|(label, colour, _)| entry(label, Key::Area((*colour).to_owned(), 0.75)));
        let is_observed = self.points.iter().any(|p| p.observed.is_some());
        let observed = is_observed.then(|| entry("observed", Key::Line(OBSERVED)));
        let expected = entry("expected without signal", Key::Line(EXPECTED));
        let lines = observed.into_iter().chain([expected]);
        Strip {
            title: self.title.clone(),
            notes: self.notes.clone(),
            entries: lines.chain(bands).collect(),
        }
    }
}

/// The observed curve and its points.
const OBSERVED: Stroke<'static> = Stroke::solid(INK, 1.6);
const POINT: Marker<'static> = Marker {
    colour: INK,
    filled: true,
    radius: 2.0,
};
/// The median expected one.
const EXPECTED: Stroke<'static> = Stroke::solid(INK, 1.4).dashed("7 4");
/// What is excluded lies below.
const LEVEL: Stroke<'static> = Stroke::solid(RED, 1.4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_without_two_finite_points_is_refused() {
        let point = |parameter: f64, observed: f64| ClsScanPoint {
            parameter,
            observed: Some(observed),
            expected: [0.1, 0.2, 0.4, 0.6, 0.8],
        };
        let mut scan = ClsScan {
            title: String::new(),
            x_label: "μ".to_owned(),
            points: vec![point(0.0, 1.0), point(1.0, f64::NAN)],
            alpha: 0.05,
            notes: Vec::new(),
        };
        assert!(matches!(scan.draw(), Err(PlotError::Empty { .. })));
        scan.points.push(point(2.0, 0.03));
        let svg = scan.draw().expect("two points").svg;
        assert!(svg.contains("observed") && svg.contains("0.05"));
    }
}
