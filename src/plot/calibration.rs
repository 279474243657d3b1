//! Calibration: what was predicted against what was observed.
//!
//! Perfect calibration lies on the diagonal. The panel below shows the
//! difference observed − predicted, or the ratio if the axes are logarithmic.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::legend::{Entry, Key, Peak, Topping};
use super::panel::Panel;
use super::ratio::{self, RatioPoint};
use super::shapes::{Marker, error_bar};
use super::style::{BOTTOM, GAP, GREY, LEFT, PALETTE, RIGHT, TOP, WIDTH};
use super::{Figure, PlotError};

/// Height of the figure.
const HEIGHT: f64 = 640.0;
/// Part of the height that the lower panel takes.
const LOWER_SHARE: f64 = 0.26;
/// Space beyond the outermost points, in axis lengths.
const MARGIN: f64 = 0.05;

/// Predicted against observed values, in groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calibration {
    /// Line below the brand.
    #[serde(default)]
    pub title: String,
    /// Names and points of the groups.
    pub groups: Vec<(String, Vec<Point>)>,
    /// Label of the x axis: the prediction.
    pub x_label: String,
    /// Label of the y axis: the observation.
    pub y_label: String,
    /// Logarithmic axes, and a ratio below.
    #[serde(default)]
    pub log: bool,
    /// Small lines below the title.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One calibration point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Mean prediction.
    pub predicted: f64,
    pub observed: f64,
    /// Error of the observation (one standard deviation).
    pub error: f64,
    /// Lower end of the interval of predictions.
    pub low: f64,
    /// Upper end of the interval of predictions.
    pub high: f64,
}

impl Calibration {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] if there is no group.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        if self.groups.is_empty() {
            return Err(PlotError::Empty {
                what: format!("calibration of {}", self.x_label),
                expected: "group".to_owned(),
            });
        }
        let scale = Scale::from_log(self.log);
        let (low, high) = self.range(scale);
        let x = Axis::new(scale, low, high, (LEFT, WIDTH - RIGHT));
        let bottom = HEIGHT - BOTTOM;
        let split = bottom - LOWER_SHARE * (bottom - TOP);
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        self.main_panel(&mut canvas, x, split);
        self.lower_panel(&mut canvas, x, (bottom, split + GAP));
        Ok(canvas.finish())
    }

    /// Points that can be placed, group by group.
    fn points(&self) -> impl Iterator<Item = (usize, &Point)> {
        let placed = |point: &Point| {
            let finite = point.predicted.is_finite() && point.observed.is_finite();
            finite && (!self.log || point.predicted > 0.0)
        };
        let groups = self.groups.iter().enumerate();
        groups.flat_map(move |(group, (_, points))| {
            points
                .iter()
                .filter(move |point| placed(point))
                .map(move |point| (group, point))
        })
    }

    /// Common range of both axes.
    fn range(&self, scale: Scale) -> (f64, f64) {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (_, point) in self.points() {
            let ends = [point.predicted, point.observed, point.low, point.high];
            for end in ends
                .map(|end| scale.warp(end))
                .into_iter()
                .filter(|end| end.is_finite())
            {
                (low, high) = (low.min(end), high.max(end));
            }
        }
        if low > high {
            return (scale.unwarp(0.0), scale.unwarp(1.0));
        }
        let margin = MARGIN * (high - low);
        (scale.unwarp(low - margin), scale.unwarp(high + margin))
    }

    fn main_panel(&self, canvas: &mut Canvas, x: Axis, bottom: f64) {
        let peaks: Vec<Peak> = self
            .points()
            .map(|(_, point)| {
                let (from, to) = ends(&x, point);
                let error = if point.error.is_finite() {
                    point.error.abs()
                } else {
                    0.0
                };
                Peak {
                    from,
                    to,
                    top: point.observed + error,
                }
            })
            .collect();
        let topping = self.topping();
        let placement = topping.place(&x, bottom - TOP, (x.scale, x.low), &peaks);
        let high = if placement.high > x.low {
            placement.high
        } else {
            x.high
        };
        let panel = Panel {
            x,
            y: Axis::new(x.scale, x.low, high.max(x.high), (bottom, TOP)),
        };
        panel.clipped(canvas, |canvas| {
            let (from, to) = (panel.at(x.low, x.low), panel.at(x.high, x.high));
            canvas.line(from, to, PERFECT);
            for (group, point) in self.points() {
                let marker = marker(group);
                let stroke = Stroke::solid(marker.colour, 1.4);
                let at = panel.at(point.predicted, point.observed);
                let (from, to) = ends(&x, point);
                canvas.line((from, at.1), (to, at.1), stroke.faded(0.6));
                let bar = (point.observed - point.error, point.observed + point.error);
                error_bar(canvas, &panel, at.0, bar, stroke);
                marker.draw(canvas, at);
            }
        });
        panel.frame(canvas, None, &self.y_label);
        topping.draw(canvas, (x.start, TOP), &placement);
    }

    fn lower_panel(&self, canvas: &mut Canvas, x: Axis, pixels: (f64, f64)) {
        let mut groups: Vec<Vec<RatioPoint>> = vec![Vec::new(); self.groups.len()];
        for (group, point) in self.points() {
            let (value, error) = match self.log {
                true => (
                    point.observed / point.predicted,
                    point.error.abs() / point.predicted,
                ),
                false => (point.observed - point.predicted, point.error.abs()),
            };
            groups[group].push(RatioPoint {
                x: x.at(point.predicted),
                value,
                error,
            });
        }
        let all = groups.concat();
        let range = match self.log {
            true => ratio::range(&all, &[]),
            false => {
                let pairs: Vec<(f64, f64)> = all.iter().map(|p| (p.value, p.error)).collect();
                ratio::difference_range(&pairs)
            }
        };
        let panel = Panel {
            x,
            y: ratio::axis(range, pixels),
        };
        panel.clipped(canvas, |canvas| {
            panel.level(canvas, if self.log { 1.0 } else { 0.0 }, PERFECT);
            for (group, points) in groups.iter().enumerate() {
                ratio::points(canvas, &panel, points, marker(group), true);
            }
        });
        let label = if self.log {
            "Obs. / pred."
        } else {
            "Obs. − pred."
        };
        panel.frame(canvas, Some(&self.x_label), label);
    }

    fn topping(&self) -> Topping<'static> {
        let entry = |(group, (label, _)): (usize, &(String, Vec<Point>))| Entry {
            label: label.clone(),
            key: Key::Point(marker(group)),
        };
        let mut entries: Vec<Entry<'static>> = self.groups.iter().enumerate().map(entry).collect();
        entries.push(Entry {
            label: "perfect".to_owned(),
            key: Key::Line(PERFECT),
        });
        Topping {
            branded: true,
            title: self.title.clone(),
            notes: self.notes.clone(),
            entries,
        }
    }
}

/// The line of perfect calibration.
const PERFECT: Stroke<'static> = Stroke::solid(GREY, 1.4).dashed("6 4");

/// Colour of a group; the second round of colours is hollow.
fn marker(group: usize) -> Marker<'static> {
    let filled = (group / PALETTE.len()).is_multiple_of(2);
    Marker {
        colour: PALETTE[group % PALETTE.len()],
        filled,
        radius: 3.6,
    }
}

/// The interval of a point in pixels; the point itself if it has none.
fn ends(x: &Axis, point: &Point) -> (f64, f64) {
    let at = |end: f64| {
        x.at(if end.is_finite() {
            end
        } else {
            point.predicted
        })
    };
    (at(point.low), at(point.high))
}
