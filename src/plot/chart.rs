//! A chart: panels above each other over one x axis, each a list of marks from the lowest
//! to the topmost, with brand, notes and legend above them or in the first.

use super::Figure;
use super::axes::Axis;
use super::canvas::Canvas;
use super::heading::{HEADER, heading};
use super::legend::{Clear, Head};
use super::marks::Mark;
use super::numbers::PanelNumbers;
use super::panel::Panel;
use super::style::{BOTTOM, GAP, LEFT, RIGHT, TOP, WIDTH};

/// A sheet of panels.
pub(super) struct Chart<'a> {
    head: Head<'a>,
    /// Ends of the head where it stands above the panels; it may reach over labels.
    strip: Option<(f64, f64)>,
    /// Bottom and top of each panel, in pixels.
    pixels: Vec<(f64, f64)>,
    x_label: &'a str,
    x: Axis,
    rows: Vec<(Option<&'a str>, Y, Vec<Mark<'a>>)>,
}

enum Y {
    Axis(Axis),
    Clear(Clear),
}

impl<'a> Chart<'a> {
    /// Panels of these heights, so far from each other, below the head.
    pub(super) fn below(head: Head<'a>, heights: &[f64], between: f64) -> Self {
        Self::panels(head, (RIGHT, RIGHT), heights, between)
    }

    /// The same with room for labels of levels right of the panels.
    pub(super) fn labelled(head: Head<'a>, heights: &[f64], between: f64) -> Self {
        Self::panels(head, (66.0, 10.0), heights, between)
    }

    /// The head in the first panel of a sheet of this height; the second one takes a part.
    pub(super) fn around(head: Head<'a>, height: f64, lower: f64) -> Self {
        let bottom = height - BOTTOM;
        let split = bottom - lower * (bottom - TOP);
        Self::new(head, RIGHT, vec![(split, TOP), (bottom, split + GAP)])
    }

    /// The title above the panel of a sheet of this height, the legend in it.
    pub(super) fn split(mut head: Head<'a>, height: f64) -> Self {
        head.is_above = true;
        Self::new(head, RIGHT, vec![(height - BOTTOM, HEADER)])
    }

    /// Right margins are those of the panels and of the head.
    fn panels(head: Head<'a>, right: (f64, f64), heights: &[f64], between: f64) -> Self {
        let strip = (LEFT, WIDTH - right.1);
        let mut top = head.height(strip);
        let panel = |height: &f64| {
            let pixels = (top + height, top);
            top += height + between;
            pixels
        };
        let pixels = heights.iter().map(panel).collect();
        Self {
            strip: Some(strip),
            ..Self::new(head, right.0, pixels)
        }
    }

    fn new(head: Head<'a>, right: f64, pixels: Vec<(f64, f64)>) -> Self {
        Self {
            head,
            strip: None,
            pixels,
            x_label: "",
            x: Axis::linear(0.0, 1.0).over((LEFT, WIDTH - right)),
            rows: Vec::new(),
        }
    }

    /// The axis of all panels.
    pub(super) fn x(self, x_label: &'a str, axis: Axis) -> Self {
        let x = axis.over((self.x.start, self.x.end));
        Self { x_label, x, ..self }
    }

    pub(super) fn row(mut self, label: &'a str, y: Axis, marks: Vec<Mark<'a>>) -> Self {
        self.rows.push((Some(label), Y::Axis(y), marks));
        self
    }

    /// A panel with the head in it.
    pub(super) fn head_row(mut self, label: &'a str, y: Clear, marks: Vec<Mark<'a>>) -> Self {
        self.rows.push((Some(label), Y::Clear(y), marks));
        self
    }

    /// A panel whose rows have names instead of a y axis, of which nothing is cut off.
    pub(super) fn named_row(mut self, marks: Vec<Mark<'a>>) -> Self {
        self.rows
            .push((None, Y::Axis(Axis::linear(0.0, 1.0)), marks));
        self
    }

    pub(super) fn draw(&self) -> Figure {
        let bottom = self.pixels[self.rows.len().max(1) - 1].0;
        self.draw_on(Canvas::new(WIDTH, bottom + BOTTOM))
    }

    /// Draws on a sheet that has its hatchings already.
    pub(super) fn draw_on(&self, mut canvas: Canvas) -> Figure {
        for (index, (row, pixels)) in self.rows.iter().zip(&self.pixels).enumerate() {
            let (y_label, y, marks) = row;
            let (y, placement) = match y {
                Y::Axis(axis) => (axis.over(*pixels), None),
                Y::Clear(clear) => {
                    let place = self.head.place(&self.x, pixels.0 - pixels.1, clear);
                    let high = place.high.max(clear.high);
                    let y = Axis::new(clear.scale, clear.low, high, *pixels);
                    (y, Some(place))
                }
            };
            let panel = Panel::new(self.x, y);
            let drawn = self.head.lists(marks);
            canvas.record(PanelNumbers::new(
                self.x_label,
                y_label.unwrap_or(""),
                drawn,
            ));
            match y_label {
                Some(_) => panel.draw(&mut canvas, marks),
                None => marks.iter().for_each(|mark| mark.draw(&mut canvas, &panel)),
            }
            let is_last = index + 1 == self.rows.len();
            panel.frame(&mut canvas, is_last.then_some(self.x_label), *y_label);
            if let Some(place) = placement {
                self.head.draw_inside(&mut canvas, &panel, &place);
            }
        }
        if let Some(strip) = self.strip {
            self.head.draw_above(&mut canvas, strip);
        } else if self.head.is_above {
            let at = (self.x.start, HEADER - 12.0);
            heading(&mut canvas, at, self.head.title, self.x.end);
        }
        canvas.finish()
    }
}
