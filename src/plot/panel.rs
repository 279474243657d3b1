//! A panel: two axes, the frame with ticks on all four sides, the labels.

use super::axes::Axis;
use super::canvas::{Canvas, Stroke, Type};
use super::style::{AXIS_SIZE, INK, LEFT, MAJOR, MINOR, RIGHT, TICK_SIZE};
use super::text;
use super::ticks::{Direction, Ticks, fixed};

const NUMBERS_BELOW: f64 = 19.0; // base line of the numbers below a panel, from its frame
const LABEL_BELOW: f64 = 44.0; // base line of the axis label below a panel, from its frame
const NUMBERS_LEFT: f64 = 7.0; // distance of the numbers left of a panel from its frame
/// Base line of the rotated axis label, from the left edge of the sheet.
const LABEL_LEFT: f64 = 24.0;

/// A rectangle of the sheet with its axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Panel {
    /// Pixels from left to right.
    pub(super) x: Axis,
    /// Pixels from bottom to top.
    pub(super) y: Axis,
}

impl Panel {
    pub(super) const fn new(x: Axis, y: Axis) -> Self {
        Self { x, y }
    }

    pub(super) fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.x.at(x), self.y.at(y))
    }

    /// Top left and bottom right corner.
    pub(super) fn corners(&self) -> ((f64, f64), (f64, f64)) {
        ((self.x.start, self.y.end), (self.x.end, self.y.start))
    }

    pub(super) fn clipped(&self, canvas: &mut Canvas, draw: impl FnOnce(&mut Canvas)) {
        let (a, b) = self.corners();
        canvas.clipped(a, b, draw);
    }

    /// Frame, ticks and numbers; without an `x_label` for a panel that stands on another,
    /// without a `y_label` for one whose rows have names instead of numbers.
    pub(super) fn frame(&self, canvas: &mut Canvas, x_label: Option<&str>, y_label: Option<&str>) {
        let x_ticks = self.x.ticks(Direction::Horizontal(TICK_SIZE));
        let y_ticks = y_label.map(|_| self.y.ticks(Direction::Vertical(TICK_SIZE)));
        self.tick_marks(canvas, &x_ticks, y_ticks.as_ref());
        let (a, b) = self.corners();
        canvas.outline(a, b, Stroke::solid(INK, 1.4));
        if let (Some(ticks), Some(label)) = (&y_ticks, y_label) {
            self.y_numbers(canvas, ticks);
            let kind = Type::end(AXIS_SIZE).rotated(-90.0);
            canvas.fitted((LABEL_LEFT, self.y.end), label, kind, self.y.length());
        }
        if let Some(label) = x_label {
            self.x_numbers(canvas, &x_ticks);
            let at = (self.x.end, self.y.start + LABEL_BELOW);
            let room = self.x.length() + LEFT / 2.0;
            canvas.fitted(at, &x_ticks.scaled(label), Type::end(AXIS_SIZE), room);
        }
    }

    fn tick_marks(&self, canvas: &mut Canvas, x_ticks: &Ticks, y_ticks: Option<&Ticks>) {
        // A short panel gets short ticks.
        let scale = (self.y.length() / 250.0).clamp(0.6, 1.0);
        let stroke = Stroke::solid(INK, 1.0);
        for tick in &x_ticks.ticks {
            let length = scale * if tick.major { MAJOR } else { MINOR };
            let (bottom, top) = (self.y.start, self.y.end);
            canvas.line((tick.at, bottom), (tick.at, bottom - length), stroke);
            canvas.line((tick.at, top), (tick.at, top + length), stroke);
        }
        for tick in y_ticks.iter().flat_map(|ticks| &ticks.ticks) {
            let length = if tick.major { MAJOR } else { MINOR };
            let (left, right) = (self.x.start, self.x.end);
            canvas.line((left, tick.at), (left + length, tick.at), stroke);
            canvas.line((right, tick.at), (right - length, tick.at), stroke);
        }
    }

    fn x_numbers(&self, canvas: &mut Canvas, ticks: &Ticks) {
        let y = self.y.start + NUMBERS_BELOW;
        for (tick, label) in ticks.numbered() {
            // The last number must not be cut off by the edge of the sheet.
            let half = text::width(label, TICK_SIZE, false) / 2.0;
            let x = tick.at.min(self.x.end + RIGHT - half - 1.0);
            canvas.text((x, y), label, Type::middle(TICK_SIZE));
        }
    }

    fn y_numbers(&self, canvas: &mut Canvas, ticks: &Ticks) {
        let room = self.x.start - LABEL_LEFT - NUMBERS_LEFT - 6.0;
        let x = self.x.start - NUMBERS_LEFT;
        for (tick, label) in ticks.numbered() {
            canvas.centred((x, tick.at), label, Type::end(TICK_SIZE), room);
        }
        if let Some(label) = ticks.power.map(power) {
            canvas.text((x, self.y.end - 8.0), &label, Type::start(TICK_SIZE));
        }
    }

    /// How far the power of ten above the y axis reaches over the panel, with some space.
    pub(super) fn power_width(&self) -> f64 {
        let label = self
            .y
            .ticks(Direction::Vertical(TICK_SIZE))
            .power
            .map(power);
        label.map_or(0.0, |label| text::width(&label, TICK_SIZE, false))
    }
}

fn power(power: i32) -> String {
    format!("×10^{{{}}}", fixed(f64::from(power), 0))
}
