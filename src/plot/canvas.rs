//! The drawing surface: an SVG document written primitive by primitive.
//!
//! The plotting crates at hand draw SVG in whole pixels and know neither
//! clipping, dashes nor scripts, all of which these figures need; so the
//! document is written here. A primitive with a coordinate that is not finite is left out.

use std::fmt::Write as _;

use super::Figure;
use super::numbers::{Numbers, PanelNumbers};
use super::render::{Heading, Place};
use super::style::{FONT, INK};
use super::text::{self, Level, SCRIPT_SCALE, SUBSCRIPT_DROP, SUPERSCRIPT_RISE};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stroke<'a> {
    pub(super) colour: &'a str,
    pub(super) width: f64,
    /// SVG dash pattern; empty for a solid line.
    pub(super) dash: &'a str,
    /// 0 invisible to 1 opaque.
    pub(super) opacity: f64,
}

impl<'a> Stroke<'a> {
    pub(super) const fn solid(colour: &'a str, width: f64) -> Self {
        Self {
            colour,
            width,
            dash: "",
            opacity: 1.0,
        }
    }

    pub(super) const fn dashed(self, dash: &'a str) -> Self {
        Self { dash, ..self }
    }

    pub(super) const fn faded(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }

    /// What fills an area that belongs to the line.
    pub(super) const fn area(self, opacity: f64) -> Fill<'a> {
        Fill(self.colour, opacity)
    }
}

/// How an area is filled: a colour or what [`Canvas::hatch`] gave, and an opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fill<'a>(pub(super) &'a str, pub(super) f64);

/// Which end of a text its position means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Type<'a> {
    /// Pixels an em.
    size: f64,
    bold: bool,
    italic: bool,
    colour: &'a str,
    anchor: Anchor,
    /// Rotation about the anchor in degrees, clockwise.
    rotation: f64,
    /// White rim, for text on a picture.
    halo: bool,
}

impl<'a> Type<'a> {
    /// Regular black text that starts at its position.
    pub(super) const fn start(size: f64) -> Self {
        Self::anchored(size, Anchor::Start)
    }

    pub(super) const fn middle(size: f64) -> Self {
        Self::anchored(size, Anchor::Middle)
    }

    pub(super) const fn end(size: f64) -> Self {
        Self::anchored(size, Anchor::End)
    }

    const fn anchored(size: f64, anchor: Anchor) -> Self {
        Type {
            size,
            bold: false,
            italic: false,
            colour: INK,
            anchor,
            rotation: 0.0,
            halo: false,
        }
    }

    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) const fn italic(self) -> Self {
        Self {
            italic: true,
            ..self
        }
    }

    pub(super) const fn coloured(self, colour: &'a str) -> Self {
        Self { colour, ..self }
    }

    pub(super) const fn rotated(self, rotation: f64) -> Self {
        Self { rotation, ..self }
    }

    pub(super) const fn with_halo(self) -> Self {
        Self { halo: true, ..self }
    }
}

#[derive(Debug)]
pub(super) struct Canvas {
    width: f64,
    height: f64,
    definitions: String,
    body: String,
    ids: usize,
    heading: Option<Heading>,
    numbers: Numbers,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            definitions: String::new(),
            body: String::new(),
            ids: 0,
            heading: None,
            numbers: Numbers::default(),
        }
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke<'_>) {
        self.polyline(&[from, to], stroke);
    }

    /// A connected line; it breaks where a point is not finite.
    pub(super) fn polyline(&mut self, points: &[(f64, f64)], stroke: Stroke<'_>) {
        let pieces = points.split(|point| !is_finite(point));
        for piece in pieces.filter(|piece| piece.len() > 1) {
            self.open_path(&path_data(piece), stroke);
        }
    }

    /// A filled shape without outline.
    pub(super) fn polygon(&mut self, points: &[(f64, f64)], Fill(fill, opacity): Fill<'_>) {
        if points.len() >= 3 && points.iter().all(is_finite) {
            let (path, opacity) = (path_data(points), number(opacity));
            self.push(format_args!(
                "<path d=\"{path}Z\" fill=\"{fill}\" fill-opacity=\"{opacity}\"/>\n"
            ));
        }
    }

    pub(super) fn rect(&mut self, a: (f64, f64), b: (f64, f64), fill: Fill<'_>) {
        self.polygon(&corners(a, b), fill);
    }

    /// Many rectangles of one colour as one crisp path; each two corners.
    pub(super) fn cells(&mut self, rectangles: &[[(f64, f64); 2]], fill: &str) {
        let cell = |[(x0, y0), (x1, y1)]: &[(f64, f64); 2]| {
            let [x0, y0, x1, y1] = [*x0, *y0, *x1, *y1].map(number);
            format!("M{x0} {y0}H{x1}V{y1}H{x0}Z")
        };
        let path: String = rectangles.iter().map(cell).collect();
        self.push(format_args!(
            "<path d=\"{path}\" fill=\"{fill}\" shape-rendering=\"crispEdges\"/>\n"
        ));
    }

    pub(super) fn outline(&mut self, a: (f64, f64), b: (f64, f64), stroke: Stroke<'_>) {
        self.open_path(&(path_data(&corners(a, b)) + "Z"), stroke);
    }

    pub(super) fn circle(&mut self, at: (f64, f64), radius: f64, fill: &str, stroke: Stroke<'_>) {
        if is_finite(&at) {
            let [x, y, r] = [at.0, at.1, radius].map(number);
            let attributes = stroke_attributes(stroke);
            self.push(format_args!(
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"{fill}\"{attributes}/>\n"
            ));
        }
    }

    /// Text with markup, its base line at `at`.
    pub(super) fn text(&mut self, at: (f64, f64), label: &str, kind: Type<'_>) {
        if label.is_empty() || !is_finite(&at) {
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
        if kind.italic {
            attributes.push_str(" font-style=\"italic\"");
        }
        if kind.rotation != 0.0 {
            let angle = number(kind.rotation);
            let _ = write!(attributes, " transform=\"rotate({angle} {x} {y})\"");
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

    /// Text made to fit `room` pixels, its base line at `at`; gives its width.
    pub(super) fn fitted(&mut self, at: (f64, f64), label: &str, kind: Type<'_>, room: f64) -> f64 {
        let (label, size) = text::fit(label, kind.size, kind.bold, room);
        self.text(at, &label, Type { size, ..kind });
        text::width(&label, size, kind.bold)
    }

    /// Text made to fit `room` pixels, half way up at `at`; gives its width.
    pub(super) fn centred(
        &mut self,
        (x, y): (f64, f64),
        label: &str,
        kind: Type<'_>,
        room: f64,
    ) -> f64 {
        let (_, size) = text::fit(label, kind.size, kind.bold, room);
        self.fitted((x, y + 0.36 * size), label, kind, room)
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
        let path = path_data(&corners(a, b));
        let _ = writeln!(
            self.definitions,
            "<clipPath id=\"{id}\"><path d=\"{path}Z\"/></clipPath>"
        );
        self.push(format_args!("<g clip-path=\"url(#{id})\">\n"));
        draw(self);
        self.push(format_args!("</g>\n"));
    }

    /// Separate lines, from and to, of one look as one path.
    pub(super) fn segments(&mut self, segments: &[[(f64, f64); 2]], stroke: Stroke<'_>) {
        let mut path = String::new();
        for [from, to] in segments.iter().filter(|ends| ends.iter().all(is_finite)) {
            let (x, y) = (number(to.0 - from.0), number(to.1 - from.1));
            let _ = write!(path, "M{} {}", number(from.0), number(from.1));
            path += &match (x.as_str(), y.as_str()) {
                ("0", _) => format!("v{y}"),
                (_, "0") => format!("h{x}"),
                _ => format!("l{x} {y}"),
            };
        }
        if !path.is_empty() {
            self.open_path(&path, stroke);
        }
    }

    /// Fills outlines in units of cells, the first at the bottom. `corner` is the
    /// pixel of the grid's origin, `cell` the width and height of a cell; a
    /// negative height lets rows rise.
    pub(super) fn regions<'a>(
        &mut self,
        corner: (f64, f64),
        cell: (f64, f64),
        layers: impl Iterator<Item = (String, &'a str)>,
    ) {
        if !(is_finite(&corner) && is_finite(&cell)) {
            return;
        }
        let (x, y) = (number(corner.0), number(corner.1));
        // Hundredths are too coarse for a factor.
        self.push(format_args!(
            "<g transform=\"translate({x} {y}) scale({:.5} {:.5})\">\n",
            cell.0, cell.1
        ));
        for (fill, path) in layers {
            self.push(format_args!("<path d=\"{path}\" fill=\"{fill}\"/>\n"));
        }
        self.push(format_args!("</g>\n"));
    }

    /// Writes down what a panel shows.
    pub(super) fn record(&mut self, panel: PanelNumbers) {
        if !panel.drawn.is_empty() {
            self.numbers.panels.push(panel);
        }
    }

    /// Draws what `draw` draws as the heading, in whose place other words can be written.
    pub(super) fn heading(
        &mut self,
        place: Place,
        lines: Vec<(String, f64)>,
        draw: impl FnOnce(&mut Self),
    ) {
        let start = self.body.len();
        draw(self);
        self.heading = Some(Heading {
            bytes: start..self.body.len(),
            sheet: (self.width, self.height),
            place,
            lines,
        });
    }

    pub(super) fn finish(mut self) -> Figure {
        if let Some(heading) = &self.heading {
            let lines = heading.lines.iter().map(|(line, _)| line.clone());
            self.numbers.heading = lines.filter(|line| !line.is_empty()).collect();
        }
        let mut svg = opening((self.width, self.height), 0.0);
        if !self.definitions.is_empty() {
            let _ = writeln!(svg, "<defs>\n{}</defs>", self.definitions);
        }
        let (width, height) = (number(self.width), number(self.height));
        let _ = writeln!(
            svg,
            "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
        );
        let heading = self.heading.map(|mut heading| {
            heading.bytes.start += svg.len();
            heading.bytes.end += svg.len();
            heading
        });
        svg.push_str(&self.body);
        svg.push_str("</svg>\n");
        Figure {
            svg,
            heading,
            numbers: self.numbers.to_json(),
        }
    }

    /// What was drawn, as a part of another document.
    pub(super) fn into_part(self) -> String {
        self.body
    }

    fn open_path(&mut self, path: &str, stroke: Stroke<'_>) {
        let attributes = stroke_attributes(stroke);
        self.push(format_args!(
            "<path d=\"{path}\" fill=\"none\"{attributes}/>\n"
        ));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.body.write_fmt(element);
    }
}

/// The beginning of a document of this width and height, and so much more above it.
pub(super) fn opening((width, height): (f64, f64), above: f64) -> String {
    let [width, height, top] = [width, height + above, -above].map(number);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 {top} {width} {height}\" font-family=\"{FONT}\">\n"
    )
}

fn is_finite(point: &(f64, f64)) -> bool {
    point.0.is_finite() && point.1.is_finite()
}

fn corners(a: (f64, f64), b: (f64, f64)) -> [(f64, f64); 4] {
    [a, (b.0, a.1), b, (a.0, b.1)]
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
        let letter = if index == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{} {}", number(*x), number(*y));
    }
    path
}

fn stroke_attributes(stroke: Stroke<'_>) -> String {
    let (colour, width) = (stroke.colour, number(stroke.width));
    let mut attributes = format!(" stroke=\"{colour}\" stroke-width=\"{width}\"");
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
        let points = [0.0, 1.0, f64::NAN, 3.0, 4.0].map(|y| (1.0, y));
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

    #[test]
    fn segments_share_a_path() {
        let mut canvas = Canvas::new(10.0, 10.0);
        let lines = [
            [(1.0, 2.0), (1.0, 5.5)],
            [(3.0, 4.0), (2.0, 4.0)],
            [(0.0, f64::NAN), (1.0, 1.0)],
            [(0.0, 0.0), (1.0, 2.0)],
        ];
        canvas.segments(&lines, Stroke::solid(INK, 1.0));
        canvas.segments(&lines[2..3], Stroke::solid(INK, 1.0));
        let svg = canvas.finish().svg;
        assert!(svg.contains("d=\"M1 2v3.5M3 4h-1M0 0l1 2\""), "{svg}");
        assert_eq!(svg.matches("<path").count(), 1);
    }
}
