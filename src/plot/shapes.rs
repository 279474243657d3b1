//! What figures draw inside a panel: histograms, bands, points with errors.

use super::canvas::{Canvas, Stroke};
use super::panel::Panel;

/// How points look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Marker<'a> {
    /// Colour of symbol and errors.
    pub(super) colour: &'a str,
    /// Filled, or white inside.
    pub(super) filled: bool,
    /// Radius of the symbol.
    pub(super) radius: f64,
}

impl Marker<'_> {
    /// Draws the symbol alone, in pixels.
    pub(super) fn draw(&self, canvas: &mut Canvas, at: (f64, f64)) {
        let fill = if self.filled { self.colour } else { "#ffffff" };
        canvas.circle(at, self.radius, fill, Stroke::solid(self.colour, 1.4));
    }

    /// An arrow for a point above or below the panel, at pixel `x`.
    pub(super) fn arrow(&self, canvas: &mut Canvas, panel: &Panel, x: f64, above: bool) {
        let (tip, base) = if above {
            (panel.y.end + 2.0, panel.y.end + 11.0)
        } else {
            (panel.y.start - 2.0, panel.y.start - 11.0)
        };
        let half = 4.5;
        let corners = [(x, tip), (x - half, base), (x + half, base)];
        canvas.polygon(
            &corners,
            if self.filled { self.colour } else { "#ffffff" },
            1.0,
        );
        canvas.polyline(
            &[corners[0], corners[1], corners[2], corners[0]],
            Stroke::solid(self.colour, 1.2),
        );
    }
}

/// A histogram's outline; bins without a finite value leave a gap.
pub(super) fn steps(
    canvas: &mut Canvas,
    panel: &Panel,
    edges: &[f64],
    values: &[f64],
    stroke: Stroke<'_>,
) {
    for run in runs(values) {
        let mut points = Vec::with_capacity(2 * run.len());
        for bin in run {
            points.push(panel.at(edges[bin], values[bin]));
            points.push(panel.at(edges[bin + 1], values[bin]));
        }
        canvas.polyline(&points, stroke);
    }
}

/// A band between two histograms; bins where either is missing leave a gap.
pub(super) fn band(
    canvas: &mut Canvas,
    panel: &Panel,
    edges: &[f64],
    (low, high): (&[f64], &[f64]),
    fill: &str,
    opacity: f64,
) {
    let both: Vec<f64> = low.iter().zip(high).map(|(low, high)| low + high).collect();
    for run in runs(&both) {
        let mut upper = Vec::new();
        let mut lower = Vec::new();
        for bin in run {
            upper.push(panel.at(edges[bin], high[bin]));
            upper.push(panel.at(edges[bin + 1], high[bin]));
            lower.push(panel.at(edges[bin], low[bin]));
            lower.push(panel.at(edges[bin + 1], low[bin]));
        }
        lower.reverse();
        upper.extend(lower);
        canvas.polygon(&upper, fill, opacity);
    }
}

/// A vertical error bar in pixels of the panel.
pub(super) fn error_bar(
    canvas: &mut Canvas,
    panel: &Panel,
    x: f64,
    (low, high): (f64, f64),
    stroke: Stroke<'_>,
) {
    canvas.line((x, panel.y.at(low)), (x, panel.y.at(high)), stroke);
}

/// Ranges of consecutive finite values.
fn runs(values: &[f64]) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let mut start = None;
    for (bin, value) in values.iter().enumerate() {
        match (value.is_finite(), start) {
            (true, None) => start = Some(bin),
            (false, Some(first)) => {
                runs.push(first..bin);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(first) = start {
        runs.push(first..values.len());
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_break_at_missing_values() {
        let values = [1.0, 2.0, f64::NAN, 3.0, f64::INFINITY];
        assert_eq!(runs(&values), [0..2, 3..4]);
        assert!(runs(&[]).is_empty());
    }
}
