//! Panels in a grid: small type, and numbers and labels where the figure wants them.

use super::axes::Axis;
use super::canvas::{Anchor, Canvas, Stroke, Type};
use super::panel::Panel;
use super::style::{BRAND, BRAND_SIZE, INK, LEGEND_SIZE};
use super::text;
use super::ticks::{Direction, Tick, Ticks, fixed};

/// Distance of numbers from the frame.
const NUMBERS_OFF: f64 = 5.0;
/// Free space between two numbers in a row, in lengths of the axis, and its ends in pixels.
const NUMBER_GAP: (f64, f64, f64) = (0.055, 7.0, 16.0);
/// Distance of two numbers above each other, in em.
const NUMBER_PITCH: f64 = 1.5;
/// How far a number may reach over the ends of its axis; panels stand close.
const OVERHANG: f64 = 2.0;
/// Shortest side with ticks between the numbers.
const MINOR_TICKS: f64 = 100.0;
/// Distances of ticks to try, in em, closest first.
const PITCHES: [f64; 7] = [1.2, 1.5, 2.0, 3.0, 4.5, 7.0, 10.0];
/// Fewest numbers that make a scale.
const ENOUGH: usize = 2;

/// A side of a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Under the x axis.
    Below,
    /// Left of the y axis.
    Left,
    /// Right of the frame, for the y axis.
    Right,
}

/// Frame and ticks without numbers; `y_ticks` off where y has no numbers anywhere.
pub(super) fn frame(canvas: &mut Canvas, panel: &Panel, size: f64, y_ticks: bool) {
    let stroke = Stroke::solid(INK, 0.8);
    let length = |tick: &Tick, side: f64| {
        let major = (0.03 * side).clamp(3.0, 7.0);
        if tick.major { major } else { 0.55 * major }
    };
    let (x, y) = (panel.x, panel.y);
    let shown = |side: f64| move |tick: &&Tick| tick.major || side >= MINOR_TICKS;
    let mut marks = Vec::new();
    for tick in ticks(&x, size, false)
        .ticks
        .iter()
        .filter(shown(x.length()))
    {
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
    canvas.segments(&marks, stroke);
    let (a, b) = panel.corners();
    canvas.outline(a, b, Stroke::solid(INK, 1.1));
}

/// Numbers along one side, none wider than `room` beside the panel, and none
/// that reaches over its ends.
pub(super) fn numbers(canvas: &mut Canvas, panel: &Panel, side: Side, size: f64, room: f64) {
    let axis = axis(panel, side);
    for tick in &ticks(&axis, size, side != Side::Below).ticks {
        let Some(label) = &tick.label else { continue };
        let (label, size) = match side {
            Side::Below => (label.clone(), size),
            Side::Left | Side::Right => text::fit(label, size, false, room - NUMBERS_OFF),
        };
        let half = 0.36 * size;
        let (at, anchor) = match side {
            Side::Below => (
                (tick.at, panel.y.start + size + NUMBERS_OFF),
                Anchor::Middle,
            ),
            Side::Left => ((panel.x.start - NUMBERS_OFF, tick.at + half), Anchor::End),
            Side::Right => ((panel.x.end + NUMBERS_OFF, tick.at + half), Anchor::Start),
        };
        canvas.text(at, &label, Type::new(size, anchor));
    }
}

/// Label of an axis in the middle of one side, `off` pixels from the frame to its base line.
pub(super) fn label(
    canvas: &mut Canvas,
    panel: &Panel,
    (side, off): (Side, f64),
    label: &str,
    (size, numbers): (f64, f64),
) {
    let axis = axis(panel, side);
    let label = match ticks(&axis, numbers, side != Side::Below).power {
        Some(power) => format!("{label} / 10^{{{}}}", fixed(f64::from(power), 0)),
        None => label.to_owned(),
    };
    let (label, size) = text::fit(&label, size, false, axis.length());
    let middle = (axis.start + axis.end) / 2.0;
    let (at, rotation) = match side {
        Side::Below => ((middle, panel.y.start + off), 0.0),
        Side::Left => ((panel.x.start - off, middle), -90.0),
        Side::Right => ((panel.x.end + off, middle), -90.0),
    };
    let kind = Type {
        rotation,
        ..Type::new(size, Anchor::Middle)
    };
    canvas.text(at, &label, kind);
}

/// Brand and title on a base line; gives the pixel where they end.
pub(super) fn heading(canvas: &mut Canvas, at: (f64, f64), title: &str, end: f64) -> f64 {
    let brand = Type {
        bold: true,
        ..Type::new(BRAND_SIZE, Anchor::Start)
    };
    canvas.text(at, BRAND, brand);
    let x = at.0 + text::width(BRAND, BRAND_SIZE, true) + 10.0;
    let (title, size) = text::fit(title, LEGEND_SIZE, false, end - x);
    canvas.text((x, at.1), &title, Type::new(size, Anchor::Start));
    x + text::width(&title, size, false)
}

fn axis(panel: &Panel, side: Side) -> Axis {
    match side {
        Side::Below => panel.x,
        Side::Left | Side::Right => panel.y,
    }
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
    let enough = |ticks: &&Ticks| numbered(ticks) >= ENOUGH;
    // Two numbers are a scale; one is better than none, and none better than a heap.
    let choices = ticks.iter().chain(&thin).filter(enough);
    let rest = ticks.iter().chain(&thin);
    let [.., coarsest] = &ticks;
    choices.chain(rest).find(clear).unwrap_or(coarsest).clone()
}

/// The same ticks with every second number, once with zero if there is one.
fn thinned(ticks: &Ticks) -> [Ticks; 2] {
    let is_zero = |label: &str| label.parse::<f64>() == Ok(0.0);
    let labels = ticks.ticks.iter().filter_map(|tick| tick.label.as_deref());
    let zero = labels.clone().position(is_zero);
    // Without a zero the choice with more numbers comes first.
    let first = zero.unwrap_or(0) % 2;
    [first, 1 - first].map(|parity| {
        let mut thinned = ticks.clone();
        let labelled = thinned.ticks.iter_mut().filter(|tick| tick.label.is_some());
        for (index, tick) in labelled.enumerate() {
            if index % 2 != parity {
                tick.label = None;
            }
        }
        thinned
    })
}

fn numbered(ticks: &Ticks) -> usize {
    ticks
        .ticks
        .iter()
        .filter(|tick| tick.label.is_some())
        .count()
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
    let labelled = ticks.ticks.iter().filter(|tick| tick.label.is_some());
    let labelled: Vec<(f64, f64)> = labelled
        .map(|tick| (tick.at, half_extent(tick, size, vertical)))
        .collect();
    let (part, least, most) = NUMBER_GAP;
    let gap = (part * length).clamp(least, most);
    labelled.windows(2).all(|pair| {
        let needed = match vertical {
            true => NUMBER_PITCH * size,
            false => pair[0].1 + pair[1].1 + gap,
        };
        (pair[1].0 - pair[0].0).abs() >= needed
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::axes::Scale;

    #[test]
    fn small_panels_have_two_numbers_that_do_not_touch() {
        for (low, high) in [
            (-3.1, 3.1),
            (0.0, 1.0),
            (-2.4, 2.6),
            (280.0, 1020.0),
            (30.0, 690.0),
        ] {
            let axis = Axis::new(Scale::Linear, low, high, (0.0, 84.0));
            let ticks = ticks(&axis, 11.0, false);
            assert!(clear(&ticks, 84.0, 11.0, false), "{low} {high}");
            assert!(numbered(&ticks) >= 2, "{low} {high}");
        }
    }
}
