//! The drawing surface: an SVG document written primitive by primitive.
//!
//! The plotting crates at hand draw SVG in whole pixels and know neither
//! clipping, dashes nor scripts, all of which these figures need; so the
//! document is written here. A primitive with a coordinate that is not finite is left out.

pub(super) mod compact;

use std::fmt::Write as _;

use super::Figure;
use super::style::{FONT, INK};
use super::text::{self, Level, SCRIPT_SCALE, SUBSCRIPT_DROP, SUPERSCRIPT_RISE};

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stroke<'a> {
    /// Colour, `#rrggbb`.
    pub(super) colour: &'a str,
    /// Width in SVG units.
    pub(super) width: f64,
    /// SVG dash pattern; empty for a solid line.
    pub(super) dash: &'a str,
    /// 0 invisible to 1 opaque.
    pub(super) opacity: f64,
}

impl<'a> Stroke<'a> {
    /// A solid, opaque line.
    pub(super) const fn solid(colour: &'a str, width: f64) -> Self {
        Self {
            colour,
            width,
            dash: "",
            opacity: 1.0,
        }
    }

    /// The same line, dashed.
    pub(super) const fn dashed(self, dash: &'a str) -> Self {
        Self { dash, ..self }
    }

    /// The same line, translucent.
    pub(super) const fn faded(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }
}

/// Which end of a text its position means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// The beginning.
    Start,
    /// The centre.
    Middle,
    End,
}

/// How text is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Type<'a> {
    /// Pixels an em.
    pub(super) size: f64,
    /// Bold or regular.
    pub(super) bold: bool,
    pub(super) colour: &'a str,
    pub(super) anchor: Anchor,
    /// Rotation about the anchor in degrees, clockwise.
    pub(super) rotation: f64,
    /// White rim, for text on a picture.
    pub(super) halo: bool,
}

impl Type<'_> {
    /// Regular black text.
    pub(super) const fn new(size: f64, anchor: Anchor) -> Self {
        Type {
            size,
            bold: false,
            colour: INK,
            anchor,
            rotation: 0.0,
            halo: false,
        }
    }
}

/// An SVG document under construction.
#[derive(Debug)]
pub(super) struct Canvas {
    width: f64,
    height: f64,
    definitions: String,
    body: String,
    ids: usize,
}

impl Canvas {
    /// An empty white sheet.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            definitions: String::new(),
            body: String::new(),
            ids: 0,
        }
    }

    /// A straight line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke<'_>) {
        self.polyline(&[from, to], stroke);
    }

    /// A connected line; it breaks where a point is not finite.
    pub(super) fn polyline(&mut self, points: &[(f64, f64)], stroke: Stroke<'_>) {
        for piece in points.split(|(x, y)| !(x.is_finite() && y.is_finite())) {
            if piece.len() < 2 {
                continue;
            }
            let path = path_data(piece);
            let attributes = stroke_attributes(stroke);
            self.push(format_args!(
                "<path d=\"{path}\" fill=\"none\"{attributes}/>\n"
            ));
        }
    }

    /// A filled shape without outline. `fill` is a colour or what [`Self::hatch`] gave.
    pub(super) fn polygon(&mut self, points: &[(f64, f64)], fill: &str, opacity: f64) {
        if points.len() < 3
            || points
                .iter()
                .any(|(x, y)| !(x.is_finite() && y.is_finite()))
        {
            return;
        }
        let path = path_data(points);
        let opacity = number(opacity);
        self.push(format_args!(
            "<path d=\"{path}Z\" fill=\"{fill}\" fill-opacity=\"{opacity}\"/>\n"
        ));
    }

    /// A filled rectangle given by two corners.
    pub(super) fn rect(&mut self, a: (f64, f64), b: (f64, f64), fill: &str, opacity: f64) {
        self.polygon(&[a, (b.0, a.1), b, (a.0, b.1)], fill, opacity);
    }

    /// Many rectangles of one colour as one crisp path; corners as in [`Self::rect`].
    pub(super) fn cells(&mut self, rectangles: &[[f64; 4]], fill: &str) {
        let mut path = String::new();
        for [x0, y0, x1, y1] in rectangles {
            let _ = write!(
                path,
                "M{} {}H{}V{}H{}Z",
                number(*x0),
                number(*y0),
                number(*x1),
                number(*y1),
                number(*x0)
            );
        }
        self.push(format_args!(
            "<path d=\"{path}\" fill=\"{fill}\" shape-rendering=\"crispEdges\"/>\n"
        ));
    }

    /// A rectangle's outline.
    pub(super) fn outline(&mut self, a: (f64, f64), b: (f64, f64), stroke: Stroke<'_>) {
        let attributes = stroke_attributes(stroke);
        let path = path_data(&[a, (b.0, a.1), b, (a.0, b.1)]);
        self.push(format_args!(
            "<path d=\"{path}Z\" fill=\"none\"{attributes}/>\n"
        ));
    }

    /// A circle, filled and outlined.
    pub(super) fn circle(&mut self, at: (f64, f64), radius: f64, fill: &str, stroke: Stroke<'_>) {
        if !(at.0.is_finite() && at.1.is_finite()) {
            return;
        }
        let (x, y, r) = (number(at.0), number(at.1), number(radius));
        let attributes = stroke_attributes(stroke);
        self.push(format_args!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"{fill}\"{attributes}/>\n"
        ));
    }

    /// Text with markup, its base line at `at`.
    pub(super) fn text(&mut self, at: (f64, f64), label: &str, kind: Type<'_>) {
        if label.is_empty() || !(at.0.is_finite() && at.1.is_finite()) {
            return;
        }
        let (x, y) = (number(at.0), number(at.1));
        let mut attributes = String::new();
        match kind.anchor {
            Anchor::Start => {}
            Anchor::Middle => attributes.push_str(" text-anchor=\"middle\""),
            Anchor::End => attributes.push_str(" text-anchor=\"end\""),
        }
        if kind.bold {
            attributes.push_str(" font-weight=\"bold\"");
        }
        if kind.rotation != 0.0 {
            let _ = write!(
                attributes,
                " transform=\"rotate({} {x} {y})\"",
                number(kind.rotation)
            );
        }
        if kind.halo {
            attributes.push_str(
                " stroke=\"#ffffff\" stroke-width=\"3.5\" stroke-linejoin=\"round\" paint-order=\"stroke\"",
            );
        }
        let spans = spans(label, kind.size, kind.bold);
        let (size, colour) = (number(kind.size), kind.colour);
        self.push(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{colour}\" \
             xml:space=\"preserve\"{attributes}>{spans}</text>\n"
        ));
    }

    /// Diagonal hatching in one colour; the result is a fill.
    pub(super) fn hatch(&mut self, colour: &str) -> String {
        self.ids += 1;
        let id = format!("hatch{}", self.ids);
        let _ = writeln!(
            self.definitions,
            "<pattern id=\"{id}\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><path d=\"M0 0V5\" stroke=\"{colour}\" \
             stroke-width=\"2.2\"/></pattern>"
        );
        format!("url(#{id})")
    }

    /// Draws what `draw` draws, cut off outside a rectangle.
    pub(super) fn clipped(&mut self, a: (f64, f64), b: (f64, f64), draw: impl FnOnce(&mut Self)) {
        self.ids += 1;
        let id = format!("clip{}", self.ids);
        let path = path_data(&[a, (b.0, a.1), b, (a.0, b.1)]);
        let _ = writeln!(
            self.definitions,
            "<clipPath id=\"{id}\"><path d=\"{path}Z\"/></clipPath>"
        );
        self.push(format_args!("<g clip-path=\"url(#{id})\">\n"));
        draw(self);
        self.push(format_args!("</g>\n"));
    }

    /// The finished document.
    pub(super) fn finish(self) -> Figure {
        let (width, height) = (number(self.width), number(self.height));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\">\n"
        );
        if !self.definitions.is_empty() {
            let _ = writeln!(svg, "<defs>\n{}</defs>", self.definitions);
        }
        let _ = writeln!(
            svg,
            "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
        );
        svg.push_str(&self.body);
        svg.push_str("</svg>\n");
        Figure { svg }
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.body.write_fmt(element);
    }
}

/// Text with its scripts as shifted spans.
fn spans(label: &str, size: f64, bold: bool) -> String {
    let mut spans = String::new();
    let mut height = 0.0;
    let runs = text::parse(label);
    let shifts = text::stacking(&runs, size, bold);
    for (run, shift) in runs.iter().zip(shifts) {
        let (target, scale) = match run.level {
            Level::Base => (0.0, 1.0),
            Level::Sub => (SUBSCRIPT_DROP * size, SCRIPT_SCALE),
            Level::Sup => (-SUPERSCRIPT_RISE * size, SCRIPT_SCALE),
        };
        let escaped = text::escape(&run.text);
        if run.level == Level::Base && height == 0.0 {
            spans.push_str(&escaped);
        } else {
            let (dy, size) = (number(target - height), number(size * scale));
            let dx = match shift {
                0.0 => String::new(),
                _ => format!(" dx=\"{}\"", number(shift)),
            };
            let _ = write!(
                spans,
                "<tspan{dx} dy=\"{dy}\" font-size=\"{size}\">{escaped}</tspan>"
            );
        }
        height = target;
    }
    spans
}

fn path_data(points: &[(f64, f64)]) -> String {
    let mut path = String::with_capacity(points.len() * 12);
    for (index, (x, y)) in points.iter().enumerate() {
        let _ = write!(
            path,
            "{}{} {}",
            if index == 0 { 'M' } else { 'L' },
            number(*x),
            number(*y)
        );
    }
    path
}

fn stroke_attributes(stroke: Stroke<'_>) -> String {
    let mut attributes = format!(
        " stroke=\"{}\" stroke-width=\"{}\"",
        stroke.colour,
        number(stroke.width)
    );
    if !stroke.dash.is_empty() {
        let _ = write!(attributes, " stroke-dasharray=\"{}\"", stroke.dash);
    }
    if stroke.opacity < 1.0 {
        let _ = write!(attributes, " stroke-opacity=\"{}\"", number(stroke.opacity));
    }
    attributes
}

/// A coordinate to a hundredth, without trailing zeros.
fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    // Adding zero turns -0 into 0.
    format!("{}", rounded + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short() {
        assert_eq!(number(1.0 / 3.0), "0.33");
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(12.50), "12.5");
    }

    #[test]
    fn lines_break_at_missing_points() {
        let mut canvas = Canvas::new(10.0, 10.0);
        let points = [
            (0.0, 0.0),
            (1.0, 1.0),
            (2.0, f64::NAN),
            (3.0, 1.0),
            (4.0, 1.0),
        ];
        canvas.polyline(&points, Stroke::solid(INK, 1.0));
        let svg = canvas.finish().svg;
        assert_eq!(svg.matches("<path").count(), 2);
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn scripts_return_to_the_line() {
        assert_eq!(
            spans("p_{T}<", 10.0, false),
            "p<tspan dy=\"2.5\" font-size=\"7.2\">T</tspan>\
             <tspan dy=\"-2.5\" font-size=\"10\">&lt;</tspan>"
        );
    }
}
