//! Panels in a grid: small type, and numbers and labels where the figure wants them.

use super::axes::Axis;
use super::canvas::{Canvas, Stroke, Type};
use super::panel::Panel;
use super::style::INK;
use super::text;
use super::ticks::{Direction, Tick, Ticks};

const NUMBERS_OFF: f64 = 5.0; // distance of numbers from the frame
/// Free space between two numbers in a row, in lengths of the axis, and its ends in pixels.
const NUMBER_GAP: (f64, f64, f64) = (0.055, 7.0, 16.0);
const NUMBER_PITCH: f64 = 1.5; // distance of two numbers above each other, in em
/// How far a number may reach over the ends of its axis; panels stand close.
const OVERHANG: f64 = 2.0;
const MINOR_TICKS: f64 = 100.0; // shortest side with ticks between the numbers
/// Distances of ticks to try, in em, closest first.
const PITCHES: [f64; 7] = [1.2, 1.5, 2.0, 3.0, 4.5, 7.0, 10.0];
const ENOUGH: usize = 2; // fewest numbers that make a scale

/// A side of a panel: under the x axis, left of the y axis, or right of the frame for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Below,
    Left,
    Right,
}

pub(super) struct Scale<'a> {
    side: Side,
    label: &'a str,
    off: f64,
    sizes: (f64, f64),
    room: f64,
}

impl<'a> Scale<'a> {
    /// The base line of the label lies `off` from the frame; sizes are those of label and
    /// numbers; a number beside the panel takes at most `room`.
    pub(super) const fn new(
        side: Side,
        label: &'a str,
        off: f64,
        sizes: (f64, f64),
        room: f64,
    ) -> Self {
        Self {
            side,
            label,
            off,
            sizes,
            room,
        }
    }

    /// Writes the numbers and, in the middle of the side, the label.
    pub(super) fn draw(&self, canvas: &mut Canvas, panel: &Panel) {
        self.draw_numbers(canvas, panel);
        self.draw_label(canvas, panel);
    }

    /// Numbers that do not reach over the ends of the side.
    pub(super) fn draw_numbers(&self, canvas: &mut Canvas, panel: &Panel) {
        let (size, room) = (self.sizes.1, self.room - NUMBERS_OFF);
        let below = panel.y.start + size + NUMBERS_OFF;
        for (tick, label) in self.ticks(panel).numbered() {
            let (x, kind) = match self.side {
                Side::Below => {
                    canvas.text((tick.at, below), label, Type::middle(size));
                    continue;
                }
                Side::Left => (panel.x.start - NUMBERS_OFF, Type::end(size)),
                Side::Right => (panel.x.end + NUMBERS_OFF, Type::start(size)),
            };
            canvas.centred((x, tick.at), label, kind, room);
        }
    }

    pub(super) fn draw_label(&self, canvas: &mut Canvas, panel: &Panel) {
        let axis = self.axis(panel);
        let middle = (axis.start + axis.end) / 2.0;
        let (at, rotation) = match self.side {
            Side::Below => ((middle, panel.y.start + self.off), 0.0),
            Side::Left => ((panel.x.start - self.off, middle), -90.0),
            Side::Right => ((panel.x.end + self.off, middle), -90.0),
        };
        let label = self.ticks(panel).scaled(self.label);
        let kind = Type::middle(self.sizes.0).rotated(rotation);
        canvas.fitted(at, &label, kind, axis.length());
    }

    fn axis<'b>(&self, panel: &'b Panel) -> &'b Axis {
        match self.side {
            Side::Below => &panel.x,
            Side::Left | Side::Right => &panel.y,
        }
    }

    fn ticks(&self, panel: &Panel) -> Ticks {
        ticks(self.axis(panel), self.sizes.1, self.side != Side::Below)
    }
}

/// Frame and ticks without numbers; `y_ticks` off where y has no numbers anywhere.
pub(super) fn frame(canvas: &mut Canvas, panel: &Panel, size: f64, y_ticks: bool) {
    let length = |tick: &Tick, side: f64| {
        let major = (0.03 * side).clamp(3.0, 7.0);
        if tick.major { major } else { 0.55 * major }
    };
    let (x, y) = (panel.x, panel.y);
    let shown = |side: f64| move |tick: &&Tick| tick.major || side >= MINOR_TICKS;
    let mut marks = Vec::new();
    let x_axis = ticks(&x, size, false).ticks;
    for tick in x_axis.iter().filter(shown(x.length())) {
        let length = length(tick, y.length());
        marks.push([(tick.at, y.start), (tick.at, y.start - length)]);
        marks.push([(tick.at, y.end), (tick.at, y.end + length)]);
    }
    let y_axis = y_ticks.then(|| ticks(&y, size, true).ticks);
    for tick in y_axis.iter().flatten().filter(shown(y.length())) {
        let length = length(tick, x.length());
        marks.push([(x.start, tick.at), (x.start + length, tick.at)]);
        marks.push([(x.end, tick.at), (x.end - length, tick.at)]);
    }
    canvas.segments(&marks, Stroke::solid(INK, 0.8));
    let (a, b) = panel.corners();
    canvas.outline(a, b, Stroke::solid(INK, 1.1));
}

/// As many ticks as their numbers leave room for. A small panel gets more than
/// the spacing of a large one would allow; if need be every second has a number.
fn ticks(axis: &Axis, size: f64, vertical: bool) -> Ticks {
    let with = |pitch: f64| {
        // What is planned as a vertical axis asks for nothing but a distance.
        let mut ticks = axis.ticks(Direction::Vertical(pitch * size / 2.6));
        let (low, high) = (axis.start.min(axis.end), axis.start.max(axis.end));
        for tick in &mut ticks.ticks {
            let half = half_extent(tick, size, vertical);
            if tick.at - half < low - OVERHANG || tick.at + half > high + OVERHANG {
                tick.label = None;
            }
        }
        ticks
    };
    let clear = |ticks: &&Ticks| clear(ticks, axis.length(), size, vertical);
    let ticks = PITCHES.map(with);
    let thin: Vec<Ticks> = ticks.iter().flat_map(thinned).collect();
    let enough = |ticks: &&Ticks| ticks.numbered().count() >= ENOUGH;
    // Two numbers are a scale; one is better than none, and none better than a heap.
    let choices = ticks.iter().chain(&thin).filter(enough);
    let rest = ticks.iter().chain(&thin);
    let [.., coarsest] = &ticks;
    choices.chain(rest).find(clear).unwrap_or(coarsest).clone()
}

/// The same ticks with every second number, once with zero if there is one.
fn thinned(ticks: &Ticks) -> [Ticks; 2] {
    let is_zero = |(_, label): (&Tick, &str)| label.parse::<f64>() == Ok(0.0);
    // Without a zero the choice with more numbers comes first.
    let first = ticks.numbered().position(is_zero).unwrap_or(0) % 2;
    [first, 1 - first].map(|parity| {
        let mut thinned = ticks.clone();
        let labelled = thinned.ticks.iter_mut().filter(|tick| tick.label.is_some());
        for (_, tick) in labelled
            .enumerate()
            .filter(|(index, _)| index % 2 != parity)
        {
            tick.label = None;
        }
        thinned
    })
}

/// Half of what a tick's number takes along the axis.
fn half_extent(tick: &Tick, size: f64, vertical: bool) -> f64 {
    match (&tick.label, vertical) {
        (None, _) => 0.0,
        (Some(_), true) => 0.36 * size,
        (Some(label), false) => text::width(label, size, false) / 2.0,
    }
}

/// Whether the numbers keep clear of each other at their real size.
fn clear(ticks: &Ticks, length: f64, size: f64, vertical: bool) -> bool {
    let half = |tick| half_extent(tick, size, vertical);
    let (part, least, most) = NUMBER_GAP;
    let gap = (part * length).clamp(least, most);
    let mut pairs = ticks.numbered().zip(ticks.numbered().skip(1));
    pairs.all(|((a, _), (b, _))| {
        let needed = match vertical {
            true => NUMBER_PITCH * size,
            false => half(a) + half(b) + gap,
        };
        (b.at - a.at).abs() >= needed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_panels_have_two_numbers_that_do_not_touch() {
        let ranges = [(-3.1, 3.1), (0.0, 1.0), (-2.4, 2.6), (280.0, 1020.0)];
        for (low, high) in ranges.into_iter().chain([(30.0, 690.0)]) {
            let axis = Axis::linear(low, high).over((0.0, 84.0));
            let ticks = ticks(&axis, 11.0, false);
            assert!(clear(&ticks, 84.0, 11.0, false), "{low} {high}");
            assert!(ticks.numbered().count() >= 2, "{low} {high}");
        }
    }
}
