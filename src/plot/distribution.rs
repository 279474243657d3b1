//! Histograms laid over each other, for example of event weights.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::legend::{Entry, Key, Peak, Topping};
use super::panel::Panel;
use super::shapes::{band, steps};
use super::style::{BOTTOM, DASHES, LEFT, PALETTE, RIGHT, TOP, WIDTH};
use super::{Figure, PlotError, check_edges, check_length};

/// Height of the figure.
const HEIGHT: f64 = 480.0;
/// Opacity of the area under the first histogram.
const AREA_OPACITY: f64 = 0.18;
/// Contents below this part of the largest do not stretch a logarithmic axis.
const LOG_REACH: f64 = 1e-7;

/// Histograms that share a binning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Distribution {
    /// Label of the x axis.
    pub x_label: String,
    /// Label of the y axis.
    pub y_label: String,
    /// Line below the brand.
    #[serde(default)]
    pub title: String,
    /// `n + 1` rising bin edges.
    pub edges: Vec<f64>,
    /// Names and contents, `[n]` each.
    pub series: Vec<(String, Vec<f64>)>,
    /// Logarithmic x axis; bins that start at or below zero are left out.
    #[serde(default)]
    pub log_x: bool,
    /// Logarithmic y axis.
    #[serde(default)]
    pub log_y: bool,
    /// Small lines below the title.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Distribution {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError`] if edges do not rise, a histogram has the wrong length,
    /// there is none, or a logarithmic x axis has no bin above zero.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let what = format!("distribution of {}", self.x_label);
        check_edges(&what, &self.edges)?;
        let empty = |expected: &str| PlotError::Empty {
            what: what.clone(),
            expected: expected.to_owned(),
        };
        if self.series.is_empty() {
            return Err(empty("series"));
        }
        for (label, values) in &self.series {
            check_length(
                &format!("values of \"{label}\""),
                values.len(),
                self.edges.len() - 1,
            )?;
        }
        let first = if self.log_x {
            self.edges.iter().position(|edge| *edge > 0.0)
        } else {
            Some(0)
        };
        let first = first
            .filter(|first| first + 1 < self.edges.len())
            .ok_or_else(|| empty("bin above zero for the logarithmic x axis"))?;
        let edges = &self.edges[first..];
        let series: Vec<&[f64]> = self
            .series
            .iter()
            .map(|(_, values)| &values[first..])
            .collect();
        Ok(self.figure(edges, &series))
    }

    fn figure(&self, edges: &[f64], series: &[&[f64]]) -> Figure {
        let bottom = HEIGHT - BOTTOM;
        let (first, last) = (edges[0], edges[edges.len() - 1]);
        let x_scale = Scale::from_log(self.log_x);
        let x = Axis::new(x_scale, first, last, (LEFT, WIDTH - RIGHT));
        let y_scale = Scale::from_log(self.log_y);
        let low = self.low_end(series);
        let mut peaks = Vec::new();
        for values in series {
            for (bin, top) in values.iter().enumerate() {
                let (from, to) = (x.at(edges[bin]), x.at(edges[bin + 1]));
                peaks.push(Peak {
                    from,
                    to,
                    top: *top,
                });
            }
        }
        let topping = self.topping();
        let placement = topping.place(&x, bottom - TOP, (y_scale, low), &peaks);
        let y = Axis::new(y_scale, low, placement.high, (bottom, TOP));
        let panel = Panel { x, y };
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        panel.clipped(&mut canvas, |canvas| {
            if let Some(values) = series.first() {
                let floor = vec![if self.log_y { low } else { 0.0 }; values.len()];
                band(
                    canvas,
                    &panel,
                    edges,
                    (&floor, values),
                    PALETTE[0],
                    AREA_OPACITY,
                );
            }
            for (index, values) in series.iter().enumerate().rev() {
                steps(canvas, &panel, edges, values, stroke(index));
            }
        });
        panel.frame(&mut canvas, Some(&self.x_label), &self.y_label);
        topping.draw(&mut canvas, (x.start, TOP), &placement);
        canvas.finish()
    }

    fn low_end(&self, series: &[&[f64]]) -> f64 {
        let finite = || {
            series
                .iter()
                .flat_map(|v| v.iter())
                .copied()
                .filter(|v| v.is_finite())
        };
        if !self.log_y {
            let lowest = finite().fold(0.0, f64::min);
            return 1.1 * lowest;
        }
        let top = finite().fold(0.0, f64::max);
        let smallest = finite().filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
        let low = 0.5 * smallest.max(LOG_REACH * top);
        if low.is_finite() && low > 0.0 {
            low
        } else {
            0.1
        }
    }

    fn topping(&self) -> Topping<'static> {
        let entry = |(index, (label, _)): (usize, &(String, Vec<f64>))| {
            let key = match index {
                0 => Key::LineOnArea(stroke(0), PALETTE[0].to_owned(), AREA_OPACITY),
                _ => Key::Line(stroke(index)),
            };
            Entry {
                label: label.clone(),
                key,
            }
        };
        let entries = self.series.iter().enumerate().map(entry).collect();
        Topping {
            branded: true,
            title: self.title.clone(),
            notes: self.notes.clone(),
            entries,
        }
    }
}

/// Colour and dash of the n-th histogram.
fn stroke(index: usize) -> Stroke<'static> {
    Stroke::solid(PALETTE[index % PALETTE.len()], 1.8).dashed(DASHES[index % DASHES.len()])
}
