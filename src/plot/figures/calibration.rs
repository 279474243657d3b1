//! Calibration: what was predicted against what was observed.
//!
//! Perfect calibration lies on the diagonal. The panel below shows the
//! difference observed − predicted.

use super::*;

const MARGIN: f64 = 0.05; // space beyond the outermost points, in axis lengths
/// The line of perfect calibration.
const PERFECT: Stroke<'_> = Stroke::solid(GREY, 1.4).dashed("6 4");

pub(crate) struct Calibration {
    pub title: String,
    pub groups: Vec<(String, Vec<Point>)>,
    pub x_label: String,
    pub y_label: String,
}

pub(crate) struct Point {
    /// Mean prediction.
    pub predicted: f64,
    pub observed: f64,
    /// Error of the observation (one standard deviation).
    pub error: f64,
    /// Ends of the interval of predictions.
    pub low: f64,
    pub high: f64,
}

impl Calibration {
    /// Draws the figure; an error if there is no group.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let what = format!("calibration of {}", self.x_label);
        check::drawable(!self.groups.is_empty(), &what, "group")?;
        let x = self.axis();
        let diagonal = vec![(x.low, x.low), (x.high, x.high)];
        let mut main = vec![Mark::Line(diagonal, PERFECT)];
        let mut lower = vec![Mark::level(0.0, PERFECT)];
        let (mut peaks, mut differences, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (label, points)) in self.groups.iter().enumerate() {
            let marker = marker(index);
            entries.push(Entry::new(label, Key::Point(marker)));
            let mut below = Vec::new();
            for p in points.iter().filter(|p| p.is_placed()) {
                let (from, to) = p.interval();
                let top = p.observed + size(p.error);
                peaks.push(Peak { from, to, top });
                let across = vec![(from, p.observed), (to, p.observed)];
                let stroke = Stroke::solid(marker.colour, 1.4).faded(0.6);
                main.push(Mark::Line(across, stroke));
                let dot = Dot::at(p.predicted, p.observed, (p.error, p.error));
                main.push(Mark::Errors(vec![dot], marker, 1.4));
                let (y, error) = (p.observed - p.predicted, p.error.abs());
                below.push(Dot::at(p.predicted, y, (error, error)));
                differences.push((y, error));
            }
            lower.push(Mark::Ratios(below, marker, true));
        }
        entries.push(Entry::new("perfect", Key::Line(PERFECT)));
        let y = Clear::new(Scale::Linear, x.low, peaks).at_least(x.high);
        let reach = layers::reach(&differences);
        let chart = Chart::around(Head::new(&self.title, entries), 640.0, 0.26)
            .x(&self.x_label, x)
            .head_row(&self.y_label, y, main)
            .row("Obs. − pred.", Axis::linear(-reach, reach), lower);
        Ok(chart.draw())
    }

    /// The common range of both axes.
    fn axis(&self) -> Axis {
        let points = self.groups.iter().flat_map(|(_, points)| points);
        let values = points
            .filter(|p| p.is_placed())
            .flat_map(|p| [p.predicted, p.observed, p.low, p.high]);
        let (low, high) = ends(values.filter(|value| value.is_finite()));
        if low > high {
            return Axis::linear(0.0, 1.0);
        }
        let margin = MARGIN * (high - low);
        Axis::linear(low - margin, high + margin)
    }
}

impl Point {
    fn is_placed(&self) -> bool {
        self.predicted.is_finite() && self.observed.is_finite()
    }

    /// The interval of predictions; the point itself if it has none.
    fn interval(&self) -> (f64, f64) {
        let end = |end: f64| if end.is_finite() { end } else { self.predicted };
        (end(self.low), end(self.high))
    }
}

/// Colour of a group; the second round of colours is hollow.
fn marker(group: usize) -> Marker<'static> {
    let round = PALETTE.len();
    Marker::dot(PALETTE[group % round], 3.6).hollow(group / round % 2 == 1)
}
