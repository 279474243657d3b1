//! What stands inside a panel, as data in units of its axes, and how it is drawn.

use super::canvas::{Canvas, Fill, Stroke, Type};
use super::curve;
use super::numbers::{Lists, POINTS};
use super::panel::Panel;
use super::style::{ALTERNATIVES, BLUE, GREY, NOTE_SIZE, ORANGE};

const BESIDE: f64 = 6.0; // distance of labels right of the frame from it

/// Colours of methods, in order of use: apart for colour-blind readers.
pub(super) const METHOD_COLOURS: [&str; 4] = [BLUE, ORANGE, ALTERNATIVES[0], ALTERNATIVES[3]];
/// Dashes that go with them, for prints in grey.
pub(super) const METHOD_DASHES: [&str; 4] = ["", "7 3", "2 2.5", "9 3 2 3"];

/// Something drawn inside a panel. Where a coordinate is not finite, there is a gap.
pub(super) enum Mark<'a> {
    /// The area between two lines: x, upper and lower end.
    Band(Vec<(f64, f64, f64)>, Fill<'a>),
    /// The area within a closed line.
    Area(Vec<(f64, f64)>, Fill<'a>),
    Line(Vec<(f64, f64)>, Stroke<'a>),
    /// A smooth line through points; one alone between gaps is a dot.
    Curve(Vec<(f64, f64)>, Stroke<'a>),
    /// Separate lines, from and to.
    Segments(Vec<[(f64, f64); 2]>, Stroke<'a>),
    /// All between two values of x.
    Column((f64, f64), Fill<'a>),
    /// A line across, and what is written beside it right of the frame.
    Level(f64, Stroke<'a>, String),
    Upright(f64, Stroke<'a>),
    /// The outline of a histogram: edges and contents.
    Steps(&'a [f64], Vec<f64>, Stroke<'a>),
    /// The area between two histograms.
    StepBand(&'a [f64], [Vec<f64>; 2], Fill<'a>),
    Points(Vec<(f64, f64)>, Marker<'a>),
    /// Points with error bars of this width.
    Errors(Vec<Dot>, Marker<'a>, f64),
    /// Points, with error bars or without; arrows stand for those outside.
    Ratios(Vec<Dot>, Marker<'a>, bool),
    /// Words at the foot.
    Remark(&'a str),
    /// Whatever needs pixels.
    Drawn(Box<Drawing<'a>>),
    /// The numbers of something that is drawn by pixels.
    Numbers(Lists),
}

/// What tells marks apart, in a panel and in the legend.
#[derive(Debug, Clone, Copy)]
pub(super) enum Look<'a> {
    Line(Stroke<'a>),
    Area(Fill<'a>),
    Symbol(Marker<'a>),
}

/// Draws into a panel.
pub(super) type Drawing<'a> = dyn Fn(&mut Canvas, &Panel) + 'a;

/// A value with its error, at a part of a bin or at a value of x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dot {
    bin: [f64; 2],
    pub(super) part: f64,
    pub(super) y: f64,
    /// Downward and upward.
    pub(super) errors: (f64, f64),
}

impl Dot {
    pub(super) const fn at(x: f64, y: f64, errors: (f64, f64)) -> Self {
        Self {
            bin: [x, x],
            part: 0.0,
            y,
            errors,
        }
    }

    /// One for each bin, `part` of its width from its lower edge.
    pub(super) fn in_bins<'a>(
        edges: &'a [f64],
        part: f64,
        values: &'a [f64],
        errors: &'a [f64],
    ) -> impl Iterator<Item = Self> + 'a {
        let bins = edges.windows(2).zip(values.iter().zip(errors));
        bins.map(move |(bin, (y, error))| Self {
            bin: [bin[0], bin[1]],
            part,
            y: *y,
            errors: (*error, *error),
        })
    }

    fn x(&self, panel: &Panel) -> f64 {
        let [from, to] = self.bin.map(|x| panel.x.at(x));
        from + self.part * (to - from)
    }

    fn value_of_x(&self) -> f64 {
        let [from, to] = self.bin;
        from + self.part * (to - from)
    }

    pub(super) fn ends(&self) -> (f64, f64) {
        (self.y - self.errors.0, self.y + self.errors.1)
    }

    fn bar(&self, canvas: &mut Canvas, panel: &Panel, stroke: Stroke<'_>) {
        let ((low, high), x) = (self.ends(), self.x(panel));
        canvas.line((x, panel.y.at(low)), (x, panel.y.at(high)), stroke);
    }
}

/// Size of an error; none if it is not finite.
pub(super) fn size(error: f64) -> f64 {
    if error.is_finite() { error.abs() } else { 0.0 }
}

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

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Marker<'a> {
    pub(super) shape: Shape,
    pub(super) colour: &'a str,
    /// Filled, or white inside.
    pub(super) filled: bool,
    pub(super) radius: f64,
}

impl<'a> Marker<'a> {
    pub(super) const fn dot(colour: &'a str, radius: f64) -> Self {
        Self {
            shape: Shape::Circle,
            colour,
            filled: true,
            radius,
        }
    }

    /// White inside, if so.
    pub(super) const fn hollow(self, is_hollow: bool) -> Self {
        let filled = !is_hollow;
        Self { filled, ..self }
    }

    /// Look of the n-th method; the second round of colours is hollow.
    pub(super) fn of_method(method: usize, radius: f64) -> Self {
        let round = METHOD_COLOURS.len();
        let dot = Self::dot(METHOD_COLOURS[method % round], radius);
        Self {
            shape: SHAPES[method % round],
            ..dot.hollow(method / round % 2 == 1)
        }
    }

    fn fill(&self) -> &'a str {
        if self.filled { self.colour } else { "#ffffff" }
    }

    /// Draws the symbol about a pixel.
    pub(super) fn draw(&self, canvas: &mut Canvas, at: (f64, f64)) {
        let stroke = Stroke::solid(self.colour, 1.4);
        // Of about the same area as the circle.
        let corners: &[(f64, f64)] = match self.shape {
            Shape::Circle => return canvas.circle(at, self.radius, self.fill(), stroke),
            Shape::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Shape::Triangle => &[(0.0, -1.25), (1.2, 0.85), (-1.2, 0.85)],
            Shape::Diamond => &[(0.0, -1.35), (1.2, 0.0), (0.0, 1.35), (-1.2, 0.0)],
        };
        let place = |(x, y): &(f64, f64)| (at.0 + self.radius * x, at.1 + self.radius * y);
        let mut points: Vec<(f64, f64)> = corners.iter().map(place).collect();
        canvas.polygon(&points, Fill(self.fill(), 1.0));
        points.extend_from_within(..2);
        canvas.polyline(&points, stroke);
    }

    /// An arrow for a point above or below the panel, at pixel `x`.
    fn arrow(&self, canvas: &mut Canvas, panel: &Panel, x: f64, above: bool) {
        let (tip, base) = match above {
            true => (panel.y.end + 2.0, panel.y.end + 11.0),
            false => (panel.y.start - 2.0, panel.y.start - 11.0),
        };
        let corners = [(x, tip), (x - 4.5, base), (x + 4.5, base), (x, tip)];
        canvas.polygon(&corners[..3], Fill(self.fill(), 1.0));
        canvas.polyline(&corners, Stroke::solid(self.colour, 1.2));
    }
}

impl Panel {
    /// Draws marks inside the frame, the first at the bottom, and what is written beside it.
    pub(super) fn draw(&self, canvas: &mut Canvas, marks: &[Mark<'_>]) {
        self.clipped(canvas, |canvas| {
            for mark in marks {
                mark.draw(canvas, self);
            }
        });
        for mark in marks {
            mark.write(canvas, self);
        }
    }
}

impl Mark<'_> {
    /// A line across without a label.
    pub(super) const fn level(y: f64, stroke: Stroke<'_>) -> Mark<'_> {
        Mark::Level(y, stroke, String::new())
    }

    /// Writes what is not cut off by the frame: labels right of it, remarks on it.
    pub(super) fn write(&self, canvas: &mut Canvas, Panel { x, y }: &Panel) {
        match self {
            Self::Level(level, _, label) if y.shows(*level) => {
                let at = (x.end + BESIDE, y.at(*level) + 0.36 * NOTE_SIZE);
                canvas.text(at, label, Type::start(NOTE_SIZE));
            }
            Self::Remark(words) => {
                let kind = Type::middle(17.0).coloured(GREY).with_halo();
                canvas.text(((x.start + x.end) / 2.0, y.start - 14.0), words, kind);
            }
            _ => {}
        }
    }

    /// What it draws, in units of the axes; none where that is words or pixels.
    pub(super) fn lists(&self) -> Option<Lists> {
        let new = |what| Lists::new(what, "");
        let pairs = |what, points: &[(f64, f64)]| {
            let (x, y) = (points.iter().map(|p| p.0), points.iter().map(|p| p.1));
            new(what).list("x", x).list("y", y)
        };
        let binned = |what, edges: &[f64]| new(what).list("edges", edges.iter().copied());
        Some(match self {
            Self::Band(ends, _) => new("band")
                .list("x", ends.iter().map(|end| end.0))
                .list("low", ends.iter().map(|end| end.2))
                .list("high", ends.iter().map(|end| end.1)),
            Self::Area(points, _) => pairs("area", points),
            Self::Line(points, _) | Self::Curve(points, _) => pairs("line", points),
            Self::Segments(segments, _) => new("segments")
                .list("x_from", segments.iter().map(|ends| ends[0].0))
                .list("x_to", segments.iter().map(|ends| ends[1].0))
                .list("y_from", segments.iter().map(|ends| ends[0].1))
                .list("y_to", segments.iter().map(|ends| ends[1].1)),
            Self::Column((low, high), _) => new("column").list("x", [*low, *high]),
            Self::Level(y, ..) => new("level").list("y", [*y]),
            Self::Upright(x, _) => new("upright").list("x", [*x]),
            Self::Steps(edges, values, _) => {
                binned("histogram", edges).list("values", values.iter().copied())
            }
            Self::StepBand(edges, [low, high], _) => binned("band", edges)
                .list("low", low.iter().copied())
                .list("high", high.iter().copied()),
            Self::Points(points, _) => pairs(POINTS, points),
            Self::Errors(dots, ..) | Self::Ratios(dots, ..) => new(POINTS)
                .list("x", dots.iter().map(Dot::value_of_x))
                .list("y", dots.iter().map(|dot| dot.y))
                .list("down", dots.iter().map(|dot| dot.errors.0))
                .list("up", dots.iter().map(|dot| dot.errors.1)),
            Self::Numbers(lists) => lists.clone(),
            Self::Remark(_) | Self::Drawn(_) => return None,
        })
    }

    pub(super) fn look(&self) -> Option<Look<'_>> {
        Some(match self {
            Self::Band(_, fill)
            | Self::Area(_, fill)
            | Self::Column(_, fill)
            | Self::StepBand(_, _, fill) => Look::Area(*fill),
            Self::Line(_, stroke)
            | Self::Curve(_, stroke)
            | Self::Segments(_, stroke)
            | Self::Level(_, stroke, _)
            | Self::Upright(_, stroke)
            | Self::Steps(_, _, stroke) => Look::Line(*stroke),
            Self::Points(_, marker) | Self::Errors(_, marker, _) | Self::Ratios(_, marker, _) => {
                Look::Symbol(*marker)
            }
            Self::Remark(_) | Self::Drawn(_) | Self::Numbers(_) => return None,
        })
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, panel: &Panel) {
        let place = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
            points.iter().map(|point| panel.at(*point)).collect()
        };
        let (x, y) = (panel.x, panel.y);
        match self {
            Self::Band(ends, fill) => {
                let upper = ends.iter().map(|(x, upper, _)| (*x, *upper));
                let lower = ends.iter().map(|(x, _, lower)| (*x, *lower));
                let corners: Vec<_> = upper.chain(lower.rev()).collect();
                canvas.polygon(&place(&corners), *fill);
            }
            Self::Area(points, fill) => canvas.polygon(&place(points), *fill),
            Self::Line(points, stroke) => canvas.polyline(&place(points), *stroke),
            Self::Curve(points, stroke) => {
                for run in curve::runs(points) {
                    if let [alone] = *run {
                        let rim = Stroke::solid(stroke.colour, 1.0);
                        canvas.circle(panel.at(alone), 2.2, stroke.colour, rim);
                    } else {
                        canvas.polyline(&place(&curve::through(run)), *stroke);
                    }
                }
            }
            Self::Segments(segments, stroke) => {
                let lines = segments.iter().map(|ends| ends.map(|end| panel.at(end)));
                canvas.segments(&lines.collect::<Vec<_>>(), *stroke);
            }
            Self::Column((low, high), fill) => {
                canvas.rect((x.at(*low), y.start), (x.at(*high), y.end), *fill);
            }
            Self::Level(level, stroke, _) if y.shows(*level) => {
                let at = y.at(*level);
                canvas.line((x.start, at), (x.end, at), *stroke);
            }
            Self::Upright(value, stroke) if x.shows(*value) => {
                let at = x.at(*value);
                canvas.line((at, y.start), (at, y.end), *stroke);
            }
            Self::Level(..) | Self::Upright(..) | Self::Remark(_) | Self::Numbers(_) => {}
            Self::Steps(edges, values, stroke) => {
                for run in runs(values) {
                    canvas.polyline(&place(&outline(edges, values, run)), *stroke);
                }
            }
            Self::StepBand(edges, [low, high], fill) => {
                let both: Vec<f64> = low.iter().zip(high).map(|(low, high)| low + high).collect();
                for run in runs(&both) {
                    let lower = outline(edges, low, run.clone()).into_iter();
                    let mut corners = outline(edges, high, run);
                    corners.extend(lower.rev());
                    canvas.polygon(&place(&corners), *fill);
                }
            }
            Self::Points(points, marker) => {
                for at in place(points) {
                    marker.draw(canvas, at);
                }
            }
            Self::Errors(dots, marker, width) => {
                for dot in dots {
                    dot.bar(canvas, panel, Stroke::solid(marker.colour, *width));
                    marker.draw(canvas, (dot.x(panel), y.at(dot.y)));
                }
            }
            Self::Ratios(dots, marker, has_bars) => {
                for dot in dots.iter().filter(|dot| dot.y.is_finite()) {
                    let (low, high) = dot.ends();
                    if *has_bars && low <= y.high && high >= y.low {
                        dot.bar(canvas, panel, Stroke::solid(marker.colour, 1.4));
                    }
                    let x = dot.x(panel);
                    match y.shows(dot.y) {
                        true => marker.draw(canvas, (x, y.at(dot.y))),
                        false => marker.arrow(canvas, panel, x, dot.y > y.high),
                    }
                }
            }
            Self::Drawn(draw) => draw(canvas, panel),
        }
    }
}

/// Corners of a histogram's outline over a range of bins.
fn outline(edges: &[f64], values: &[f64], bins: std::ops::Range<usize>) -> Vec<(f64, f64)> {
    let ends = |bin: usize| [bin, bin + 1].map(|edge| (edges[edge], values[bin]));
    bins.flat_map(ends).collect()
}

/// Ranges of consecutive finite values.
fn runs(values: &[f64]) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    for run in values.chunk_by(|a, b| a.is_finite() == b.is_finite()) {
        if run[0].is_finite() {
            runs.push(start..start + run.len());
        }
        start += run.len();
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_break_at_missing_values() {
        let values = [1.0, 2.0, f64::NAN, 3.0, f64::INFINITY];
        assert_eq!(runs(&values), [0..2, 3..4]);
        assert!(runs(&[]).is_empty());
    }
}
