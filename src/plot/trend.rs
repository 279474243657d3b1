//! One number for each member, about their mean.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::legend::{Entry, Key, Peak, Topping};
use super::panel::Panel;
use super::shapes::Marker;
use super::style::{BLUE, BOTTOM, INK, LEFT, RIGHT, TOP, WIDTH};
use super::{Figure, PlotError};

/// Height of the figure.
const HEIGHT: f64 = 420.0;
/// Opacity of the band of one standard deviation.
const BAND_OPACITY: f64 = 0.2;

/// A number for each member of an ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberTrend {
    /// Line below the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the y axis: what the number is.
    pub y_label: String,
    /// One value a member; not finite for a member without one.
    pub values: Vec<f64>,
    /// A number to compare with, for example the true value.
    #[serde(default)]
    pub reference: Option<f64>,
}

impl MemberTrend {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] if no member has a finite value.
    pub fn draw(&self) -> Result<Figure, PlotError> {
        let finite: Vec<f64> = self
            .values
            .iter()
            .copied()
            .filter(|v| v.is_finite())
            .collect();
        if finite.is_empty() {
            return Err(PlotError::Empty {
                what: format!("{} of members", self.y_label),
                expected: "finite value".to_owned(),
            });
        }
        let (mean, spread) = mean_and_spread(&finite);
        let reference = self.reference.filter(|value| value.is_finite());
        let all = || finite.iter().copied().chain(reference);
        let low = all().fold(mean - spread, f64::min);
        let high = all().fold(mean + spread, f64::max);
        let low = low - 0.08 * (high - low);
        let base = Axis::new(Scale::Linear, low, high, (0.0, 1.0));
        let count = self.values.len() as f64;
        let x = Axis::new(Scale::Linear, 0.0, count + 1.0, (LEFT, WIDTH - RIGHT));
        let bottom = HEIGHT - BOTTOM;
        let topping = self.topping(finite.len(), reference);
        let peaks = [Peak {
            from: x.start,
            to: x.end,
            top: high,
        }];
        let placement = topping.place(&x, bottom - TOP, (Scale::Linear, base.low), &peaks);
        let y = Axis::new(
            Scale::Linear,
            base.low,
            placement.high.max(base.high),
            (bottom, TOP),
        );
        let panel = Panel { x, y };
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        panel.clipped(&mut canvas, |canvas| {
            let corners = ((x.start, y.at(mean - spread)), (x.end, y.at(mean + spread)));
            canvas.rect(corners.0, corners.1, BLUE, BAND_OPACITY);
            panel.level(canvas, mean, MEAN);
            if let Some(reference) = reference {
                panel.level(canvas, reference, REFERENCE);
            }
            let marker = marker(self.values.len());
            for (member, value) in self
                .values
                .iter()
                .enumerate()
                .filter(|(_, v)| v.is_finite())
            {
                marker.draw(canvas, panel.at(member as f64 + 1.0, *value));
            }
        });
        panel.frame(&mut canvas, Some("Member"), &self.y_label);
        topping.draw(&mut canvas, (x.start, TOP), &placement);
        Ok(canvas.finish())
    }

    fn topping(&self, finite: usize, reference: Option<f64>) -> Topping<'static> {
        let entry = |label: &str, key| Entry {
            label: label.to_owned(),
            key,
        };
        let mut entries = vec![
            entry("member", Key::Symbol(marker(self.values.len()))),
            entry("mean, standard deviation", {
                Key::LineOnArea(MEAN, BLUE.to_owned(), BAND_OPACITY)
            }),
        ];
        if reference.is_some() {
            entries.push(entry("reference", Key::Line(REFERENCE)));
        }
        let missing = self.values.len() - finite;
        let notes = match missing {
            0 => Vec::new(),
            _ => vec![format!(
                "{missing} of {} without a value",
                self.values.len()
            )],
        };
        Topping {
            branded: true,
            title: self.title.clone(),
            notes,
            entries,
        }
    }
}

/// The mean.
const MEAN: Stroke<'static> = Stroke::solid(BLUE, 1.8);
/// The reference.
const REFERENCE: Stroke<'static> = Stroke::solid(INK, 1.4).dashed("6 4");

/// Smaller points for more members.
fn marker(members: usize) -> Marker<'static> {
    let radius = if members > 300 { 1.6 } else { 3.0 };
    Marker {
        colour: INK,
        filled: true,
        radius,
    }
}

/// Mean and standard deviation (n - 1), scaled so that huge values do not overflow.
fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|value| value / count).sum::<f64>();
    let square = |value: &f64| (value - mean) * (value - mean) / (count - 1.0).max(1.0);
    let spread = values.iter().map(square).sum::<f64>().sqrt();
    (mean, if spread.is_finite() { spread } else { 0.0 })
}
