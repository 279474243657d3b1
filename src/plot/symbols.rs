//! Symbols that tell series apart by shape as well as colour.

use super::canvas::{Canvas, Stroke};
use super::style::{ALTERNATIVES, BLUE, ORANGE};

/// Colours of methods, in order of use: apart for colour-blind readers.
pub(super) const METHOD_COLOURS: [&str; 4] = [BLUE, ORANGE, ALTERNATIVES[0], ALTERNATIVES[3]];

/// Dashes that go with them, for prints in grey.
pub(super) const METHOD_DASHES: [&str; 4] = ["", "7 3", "2 2.5", "9 3 2 3"];

/// Shape of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
}

/// Shapes in order of use.
const SHAPES: [Shape; 4] = [
    Shape::Circle,
    Shape::Square,
    Shape::Triangle,
    Shape::Diamond,
];

/// The look of a series of points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Symbol {
    shape: Shape,
    pub(super) colour: &'static str,
    filled: bool,
}

impl Symbol {
    /// Look of the n-th method; the second round of colours is hollow.
    pub(super) fn of(method: usize) -> Self {
        Self {
            shape: SHAPES[method % SHAPES.len()],
            colour: METHOD_COLOURS[method % METHOD_COLOURS.len()],
            filled: (method / METHOD_COLOURS.len()).is_multiple_of(2),
        }
    }

    /// Draws the symbol about a pixel.
    pub(super) fn draw(&self, canvas: &mut Canvas, at: (f64, f64), radius: f64) {
        let stroke = Stroke::solid(self.colour, 1.4);
        let fill = if self.filled { self.colour } else { "#ffffff" };
        // Of about the same area as the circle.
        let corners: &[(f64, f64)] = match self.shape {
            Shape::Circle => return canvas.circle(at, radius, fill, stroke),
            Shape::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Shape::Triangle => &[(0.0, -1.25), (1.2, 0.85), (-1.2, 0.85)],
            Shape::Diamond => &[(0.0, -1.35), (1.2, 0.0), (0.0, 1.35), (-1.2, 0.0)],
        };
        let place = |(x, y): &(f64, f64)| (at.0 + radius * x, at.1 + radius * y);
        let mut points: Vec<(f64, f64)> = corners.iter().map(place).collect();
        canvas.polygon(&points, fill, 1.0);
        points.extend_from_within(..2.min(points.len()));
        canvas.polyline(&points, stroke);
    }
}
