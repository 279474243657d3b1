//! A panel: two axes, the frame with ticks on all four sides, the labels.

use super::axes::Axis;
use super::canvas::{Anchor, Canvas, Stroke, Type};
use super::style::{AXIS_SIZE, INK, LEFT, MAJOR, MINOR, RIGHT, TICK_SIZE};
use super::text;
use super::ticks::{Direction, Ticks};

/// Base line of the numbers below a panel, from its frame.
const NUMBERS_BELOW: f64 = 19.0;
/// Base line of the axis label below a panel, from its frame.
const LABEL_BELOW: f64 = 44.0;
/// Distance of the numbers left of a panel from its frame.
const NUMBERS_LEFT: f64 = 7.0;
/// Base line of the rotated axis label, from the left edge of the sheet.
const LABEL_LEFT: f64 = 24.0;

/// A rectangle of the sheet with its axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Panel {
    /// Horizontal axis, pixels from left to right.
    pub(super) x: Axis,
    /// Vertical axis, pixels from bottom to top.
    pub(super) y: Axis,
}

impl Panel {
    /// Pixels of a point.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x.at(x), self.y.at(y))
    }

    /// Top left and bottom right corner.
    pub(super) fn corners(&self) -> ((f64, f64), (f64, f64)) {
        ((self.x.start, self.y.end), (self.x.end, self.y.start))
    }

    /// Draws inside the frame only.
    pub(super) fn clipped(&self, canvas: &mut Canvas, draw: impl FnOnce(&mut Canvas)) {
        let (a, b) = self.corners();
        canvas.clipped(a, b, draw);
    }

    /// A horizontal line across the panel.
    pub(super) fn level(&self, canvas: &mut Canvas, y: f64, stroke: Stroke<'_>) {
        if self.y.shows(y) {
            let y = self.y.at(y);
            canvas.line((self.x.start, y), (self.x.end, y), stroke);
        }
    }

    /// Frame, ticks and numbers; without `x_numbers` for a panel that stands on another.
    pub(super) fn frame(&self, canvas: &mut Canvas, x_label: Option<&str>, y_label: &str) {
        let x_ticks = self.x.ticks(Direction::Horizontal(TICK_SIZE));
        let y_ticks = self.y.ticks(Direction::Vertical(TICK_SIZE));
        self.tick_marks(canvas, &x_ticks, &y_ticks);
        let (a, b) = self.corners();
        canvas.outline(a, b, Stroke::solid(INK, 1.4));
        self.y_numbers(canvas, &y_ticks);
        self.y_label(canvas, y_label);
        if let Some(label) = x_label {
            self.x_numbers(canvas, &x_ticks);
            self.x_label(canvas, &x_ticks, label);
        }
    }

    /// Frame with ticks along x alone, for a panel whose rows have names instead of numbers.
    pub(super) fn frame_of_rows(&self, canvas: &mut Canvas, x_label: &str) {
        let x_ticks = self.x.ticks(Direction::Horizontal(TICK_SIZE));
        let no_ticks = Ticks {
            ticks: Vec::new(),
            power: None,
        };
        self.tick_marks(canvas, &x_ticks, &no_ticks);
        let (a, b) = self.corners();
        canvas.outline(a, b, Stroke::solid(INK, 1.4));
        self.x_numbers(canvas, &x_ticks);
        self.x_label(canvas, &x_ticks, x_label);
    }

    fn tick_marks(&self, canvas: &mut Canvas, x_ticks: &Ticks, y_ticks: &Ticks) {
        // A short panel gets short ticks.
        let scale = (self.y.length() / 250.0).clamp(0.6, 1.0);
        let stroke = Stroke::solid(INK, 1.0);
        for tick in &x_ticks.ticks {
            let length = scale * if tick.major { MAJOR } else { MINOR };
            let (bottom, top) = (self.y.start, self.y.end);
            canvas.line((tick.at, bottom), (tick.at, bottom - length), stroke);
            canvas.line((tick.at, top), (tick.at, top + length), stroke);
        }
        for tick in &y_ticks.ticks {
            let length = if tick.major { MAJOR } else { MINOR };
            let (left, right) = (self.x.start, self.x.end);
            canvas.line((left, tick.at), (left + length, tick.at), stroke);
            canvas.line((right, tick.at), (right - length, tick.at), stroke);
        }
    }

    fn x_numbers(&self, canvas: &mut Canvas, ticks: &Ticks) {
        let y = self.y.start + NUMBERS_BELOW;
        for tick in &ticks.ticks {
            if let Some(label) = &tick.label {
                // The last number must not be cut off by the edge of the sheet.
                let half = text::width(label, TICK_SIZE, false) / 2.0;
                let x = tick.at.min(self.x.end + RIGHT - half - 1.0);
                canvas.text((x, y), label, Type::new(TICK_SIZE, Anchor::Middle));
            }
        }
    }

    fn y_numbers(&self, canvas: &mut Canvas, ticks: &Ticks) {
        let room = self.x.start - LABEL_LEFT - NUMBERS_LEFT - 6.0;
        for tick in &ticks.ticks {
            if let Some(label) = &tick.label {
                let (label, size) = text::fit(label, TICK_SIZE, false, room);
                let at = (self.x.start - NUMBERS_LEFT, tick.at + 0.36 * size);
                canvas.text(at, &label, Type::new(size, Anchor::End));
            }
        }
        if let Some(power) = ticks.power {
            let label = format!("×10^{{{}}}", super::ticks::fixed(f64::from(power), 0));
            let at = (self.x.start - NUMBERS_LEFT, self.y.end - 8.0);
            canvas.text(at, &label, Type::new(TICK_SIZE, Anchor::Start));
        }
    }

    fn x_label(&self, canvas: &mut Canvas, ticks: &Ticks, label: &str) {
        let label = match ticks.power {
            Some(power) => format!(
                "{label} / 10^{{{}}}",
                super::ticks::fixed(f64::from(power), 0)
            ),
            None => label.to_owned(),
        };
        let (label, size) = text::fit(&label, AXIS_SIZE, false, self.x.length() + LEFT / 2.0);
        let at = (self.x.end, self.y.start + LABEL_BELOW);
        canvas.text(at, &label, Type::new(size, Anchor::End));
    }

    fn y_label(&self, canvas: &mut Canvas, label: &str) {
        let (label, size) = text::fit(label, AXIS_SIZE, false, self.y.length());
        let kind = Type {
            rotation: -90.0,
            ..Type::new(size, Anchor::End)
        };
        canvas.text((LABEL_LEFT, self.y.end), &label, kind);
    }
}
