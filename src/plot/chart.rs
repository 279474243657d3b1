//! A chart: panels above each other over one x axis, each a list of marks from the lowest
//! to the topmost, with brand, notes and legend above them or in the first.

use super::Figure;
use super::axes::{Axis, Scale};
use super::canvas::Canvas;
use super::legend::{HEADER, Head, Peak, heading};
use super::marks::Mark;
use super::panel::Panel;
use super::style::{BOTTOM, GAP, LEFT, RIGHT, TOP, WIDTH};

const LABELS: f64 = 66.0; // right margin of a chart with labels beside its levels

pub(super) struct Chart<'a> {
    head: Head<'a>,
    place: Place,
    right: f64,
    /// Bottom and top of each panel, in pixels.
    pixels: Vec<(f64, f64)>,
    x_label: &'a str,
    x: Axis,
    rows: Vec<(Option<&'a str>, Y, Vec<Mark<'a>>)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Above,
    Inside,
    /// The title above, the legend in the panel.
    Split,
}

pub(super) enum Y {
    Axis(Axis),
    Clear(Clear),
}

/// A y axis from `low` to where the head is clear of all peaks, at least to `high`.
pub(super) struct Clear {
    pub(super) scale: Scale,
    pub(super) low: f64,
    high: f64,
    pub(super) peaks: Vec<Peak>,
}

impl Clear {
    pub(super) const fn new(scale: Scale, low: f64, peaks: Vec<Peak>) -> Self {
        let high = f64::NEG_INFINITY;
        Self {
            scale,
            low,
            high,
            peaks,
        }
    }

    pub(super) fn at_least(self, high: f64) -> Self {
        Self { high, ..self }
    }
}

impl From<Axis> for Y {
    fn from(axis: Axis) -> Self {
        Self::Axis(axis)
    }
}

impl From<Clear> for Y {
    fn from(clear: Clear) -> Self {
        Self::Clear(clear)
    }
}

impl<'a> Chart<'a> {
    /// Panels of these heights, so far from each other, below the head.
    pub(super) fn below(head: Head<'a>, heights: &[f64], between: f64) -> Self {
        Self::new(head, Place::Above, RIGHT).panels(heights, between)
    }

    /// The same with room for labels of levels right of the panels.
    pub(super) fn labelled(head: Head<'a>, heights: &[f64], between: f64) -> Self {
        Self::new(head, Place::Above, LABELS).panels(heights, between)
    }

    /// The head in the first panel of a sheet of this height; the second one takes a part.
    pub(super) fn around(head: Head<'a>, height: f64, lower: f64) -> Self {
        let bottom = height - BOTTOM;
        let split = bottom - lower * (bottom - TOP);
        Self {
            pixels: vec![(split, TOP), (bottom, split + GAP)],
            ..Self::new(head, Place::Inside, RIGHT)
        }
    }

    /// The title above the panel of a sheet of this height, the legend in it.
    pub(super) fn split(head: Head<'a>, height: f64) -> Self {
        Self {
            pixels: vec![(height - BOTTOM, HEADER)],
            ..Self::new(head, Place::Split, RIGHT)
        }
    }

    fn new(head: Head<'a>, place: Place, right: f64) -> Self {
        Self {
            head,
            place,
            right,
            pixels: Vec::new(),
            x_label: "",
            x: Axis::linear(0.0, 1.0),
            rows: Vec::new(),
        }
    }

    fn panels(mut self, heights: &[f64], between: f64) -> Self {
        let mut top = self.head.height(self.strip());
        for height in heights {
            self.pixels.push((top + height, top));
            top += height + between;
        }
        self
    }

    pub(super) fn x(self, x_label: &'a str, axis: Axis) -> Self {
        let x = axis.over((LEFT, WIDTH - self.right));
        Self { x_label, x, ..self }
    }

    pub(super) fn row(mut self, label: &'a str, y: impl Into<Y>, marks: Vec<Mark<'a>>) -> Self {
        self.rows.push((Some(label), y.into(), marks));
        self
    }

    /// A panel whose rows have names instead of a y axis, of which nothing is cut off.
    pub(super) fn named_row(mut self, marks: Vec<Mark<'a>>) -> Self {
        self.rows.push((None, Axis::linear(0.0, 1.0).into(), marks));
        self
    }

    pub(super) fn draw(&self) -> Figure {
        let bottom = self.pixels[self.rows.len().max(1) - 1].0;
        self.draw_on(Canvas::new(WIDTH, bottom + BOTTOM))
    }

    /// Draws on a sheet that has its hatchings already.
    pub(super) fn draw_on(&self, mut canvas: Canvas) -> Figure {
        let is_branded = self.place == Place::Inside;
        for (index, (row, pixels)) in self.rows.iter().zip(&self.pixels).enumerate() {
            let (y_label, y, marks) = row;
            let (y, placement) = match y {
                Y::Axis(axis) => (axis.over(*pixels), None),
                Y::Clear(clear) => {
                    let height = pixels.0 - pixels.1;
                    let place = self.head.place(&self.x, height, clear, is_branded);
                    let high = place.high.max(clear.high);
                    let y = Axis::new(clear.scale, clear.low, high, *pixels);
                    (y, Some(place))
                }
            };
            let panel = Panel::new(self.x, y);
            match y_label {
                Some(_) => panel.draw(&mut canvas, marks),
                None => marks.iter().for_each(|mark| mark.draw(&mut canvas, &panel)),
            }
            let is_last = index + 1 == self.rows.len();
            panel.frame(&mut canvas, is_last.then_some(self.x_label), *y_label);
            if let Some(place) = placement {
                let corner = (self.x.start, pixels.1);
                let head = &self.head;
                head.draw_inside(&mut canvas, corner, &place, is_branded);
            }
        }
        match self.place {
            Place::Above => self.head.draw_above(&mut canvas, self.strip()),
            Place::Inside => {}
            Place::Split => {
                let at = (self.x.start, HEADER - 12.0);
                heading(&mut canvas, at, self.head.title, self.x.end);
            }
        }
        canvas.finish()
    }

    /// Ends of what stands above; it may reach over the labels.
    fn strip(&self) -> (f64, f64) {
        let right = if self.right == LABELS {
            10.0
        } else {
            self.right
        };
        (LEFT, WIDTH - right)
    }
}
