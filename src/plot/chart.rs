//! A chart: panels above each other over one x axis, each a list of marks from the lowest
//! to the topmost, with brand, notes and legend above them or in the first.

use super::Figure;
use super::axes::{Axis, Scale};
use super::canvas::Canvas;
use super::legend::{HEADER, Head, Peak, heading};
use super::marks::Mark;
use super::panel::Panel;
use super::style::{BOTTOM, GAP, LEFT, RIGHT, TOP, WIDTH};

/// Right margin of a chart with labels beside its levels.
const LABELS: f64 = 66.0;

/// A sheet of panels.
pub(super) struct Chart<'a> {
    pub(super) head: Head<'a>,
    pub(super) layout: Layout,
    pub(super) x_label: &'a str,
    pub(super) x: Axis,
    pub(super) rows: Vec<Row<'a>>,
}

/// Where the head and the panels go.
pub(super) enum Layout {
    /// The head above panels of these heights, so far from each other, with room for
    /// labels of levels if there are any.
    Above {
        heights: Vec<f64>,
        between: f64,
        has_labels: bool,
    },
    /// The head in the first panel of a sheet of this height; the second one takes a part.
    Inside { height: f64, lower: f64 },
    /// The title above the panel of a sheet of this height, the legend in it.
    Split { height: f64 },
}

/// One panel of a chart. Without a label of its y axis it has no ticks there, and nothing
/// is cut off: what it shows has names.
pub(super) struct Row<'a> {
    y_label: Option<&'a str>,
    pub(super) y: Y,
    marks: Vec<Mark<'a>>,
}

/// The y axis of a panel.
pub(super) enum Y {
    Axis(Axis),
    /// From `low` to where the head is clear of all peaks, at least to `high`.
    Clear {
        scale: Scale,
        low: f64,
        high: f64,
        peaks: Vec<Peak>,
    },
}

impl Y {
    pub(super) const fn clear(scale: Scale, low: f64, peaks: Vec<Peak>) -> Self {
        let high = f64::NEG_INFINITY;
        Self::Clear {
            scale,
            low,
            high,
            peaks,
        }
    }
}

impl Layout {
    pub(super) const fn above(heights: Vec<f64>, between: f64, has_labels: bool) -> Self {
        Self::Above {
            heights,
            between,
            has_labels,
        }
    }
}

impl<'a> Row<'a> {
    pub(super) const fn new(y_label: &'a str, y: Y, marks: Vec<Mark<'a>>) -> Self {
        Self {
            y_label: Some(y_label),
            y,
            marks,
        }
    }

    /// A panel whose rows have names.
    pub(super) fn named(marks: Vec<Mark<'a>>) -> Self {
        Self {
            y_label: None,
            y: Y::Axis(Axis::linear(0.0, 1.0)),
            marks,
        }
    }
}

impl Chart<'_> {
    pub(super) fn draw(&self) -> Figure {
        let height = match &self.layout {
            Layout::Above { .. } => self.pixels().last().map_or(0.0, |row| row.0) + BOTTOM,
            Layout::Inside { height, .. } | Layout::Split { height } => *height,
        };
        self.draw_on(Canvas::new(WIDTH, height))
    }

    /// Draws on a sheet that has its hatchings already.
    pub(super) fn draw_on(&self, mut canvas: Canvas) -> Figure {
        let x = self.x.over((LEFT, WIDTH - self.right()));
        let is_inside = !matches!(self.layout, Layout::Above { .. });
        let is_branded = matches!(self.layout, Layout::Inside { .. });
        for (index, (row, pixels)) in self.rows.iter().zip(self.pixels()).enumerate() {
            let mut placement = None;
            let y = match &row.y {
                Y::Axis(axis) => axis.over(pixels),
                Y::Clear {
                    scale,
                    low,
                    high,
                    peaks,
                } => {
                    let height = pixels.0 - pixels.1;
                    let place = self
                        .head
                        .place(&x, height, (*scale, *low), peaks, is_branded);
                    let high = place.high.max(*high);
                    placement = Some(place);
                    Axis::new(*scale, *low, high, pixels)
                }
            };
            let panel = Panel { x, y };
            match row.y_label {
                Some(_) => panel.draw(&mut canvas, &row.marks),
                None => row.marks.iter().for_each(|m| m.draw(&mut canvas, &panel)),
            }
            let is_last = index + 1 == self.rows.len();
            panel.frame(&mut canvas, is_last.then_some(self.x_label), row.y_label);
            if let Some(placement) = placement {
                let corner = (x.start, pixels.1);
                self.head
                    .draw_inside(&mut canvas, corner, &placement, is_branded);
            }
        }
        if !is_inside {
            self.head.draw_above(&mut canvas, self.strip());
        } else if !is_branded {
            heading(
                &mut canvas,
                (x.start, HEADER - 12.0),
                self.head.title,
                x.end,
            );
        }
        canvas.finish()
    }

    /// Right margin.
    fn right(&self) -> f64 {
        match self.layout {
            Layout::Above {
                has_labels: true, ..
            } => LABELS,
            _ => RIGHT,
        }
    }

    /// Ends of what stands above; it may reach over the labels.
    fn strip(&self) -> (f64, f64) {
        match self.right() {
            LABELS => (LEFT, WIDTH - 10.0),
            right => (LEFT, WIDTH - right),
        }
    }

    /// Bottom and top of each panel.
    fn pixels(&self) -> Vec<(f64, f64)> {
        match &self.layout {
            Layout::Above {
                heights, between, ..
            } => {
                let mut top = self.head.height(self.strip());
                let row = |height: &f64| {
                    let pixels = (top + height, top);
                    top += height + between;
                    pixels
                };
                heights.iter().map(row).collect()
            }
            Layout::Inside { height, lower } => {
                let bottom = height - BOTTOM;
                let split = bottom - lower * (bottom - TOP);
                vec![(split, TOP), (bottom, split + GAP)]
            }
            Layout::Split { height } => vec![(height - BOTTOM, HEADER)],
        }
    }
}
