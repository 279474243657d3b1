//! A figure as PDF, of the tree that its PNG is painted from: paths, clips, hatchings, and the
//! outlines of text, so that no reader needs a font. The bytes depend on the figure alone: they
//! hold no date.

use std::collections::BTreeSet;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{LineCapStyle, LineJoinStyle};
use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref};
use resvg::tiny_skia::{Path, PathSegment, Point};
use resvg::usvg::{self, FillRule, LineCap, LineJoin, Node, Paint, PaintOrder, Transform};

const POINTS: f32 = 0.75; // points of the page for one unit of the SVG
/// Rim of cells that touch: where two are painted beside each other, readers let the ground
/// shine through.
const SEAM: f32 = 0.4;

/// The document of a tree. Knows what figures have: no images, gradients, masks or filters, and
/// patterns of one stripe.
pub(super) fn pdf(tree: &usvg::Tree) -> Vec<u8> {
    let size = tree.size();
    let (width, height) = (POINTS * size.width(), POINTS * size.height());
    let mut painter = Painter {
        content: Content::new(),
        opacities: BTreeSet::new(),
    };
    let to_page = [POINTS, 0.0, 0.0, -POINTS, 0.0, height];
    painter.content.transform(to_page);
    painter.nodes(tree.root());
    painter.document(width, height)
}

/// A stream of painting operators, and what it names.
struct Painter {
    content: Content,
    /// In thousandths.
    opacities: BTreeSet<u16>,
}

impl Painter {
    fn nodes(&mut self, group: &usvg::Group) {
        for node in group.children() {
            match node {
                Node::Group(inner) => self.group(inner),
                Node::Text(text) => self.group(text.flattened()),
                Node::Path(path) => self.path(path),
                Node::Image(_) => {}
            }
        }
    }

    fn group(&mut self, group: &usvg::Group) {
        let transform = group.transform();
        self.content.save_state();
        if !transform.is_identity() {
            self.content.transform(matrix(transform));
        }
        let mut clip = group.clip_path();
        while let Some(path) = clip {
            outline(&mut self.content, path.root(), path.transform());
            self.content.clip_nonzero().end_path();
            clip = path.clip_path();
        }
        self.nodes(group);
        self.content.restore_state();
    }

    fn path(&mut self, path: &usvg::Path) {
        if !path.is_visible() {
            return;
        }
        match path.paint_order() {
            PaintOrder::FillAndStroke => {
                self.fill(path);
                self.stroke(path);
            }
            PaintOrder::StrokeAndFill => {
                self.stroke(path);
                self.fill(path);
            }
        }
    }

    fn fill(&mut self, path: &usvg::Path) {
        let bounds = path.data().bounds();
        let Some(fill) = path
            .fill()
            .filter(|_| bounds.width() * bounds.height() > 0.0)
        else {
            return;
        };
        let has_rim = !path.rendering_mode().use_shape_antialiasing();
        match fill.paint() {
            Paint::Color(colour) => {
                let [red, green, blue] = rgb(*colour);
                self.content.set_fill_rgb(red, green, blue);
                if has_rim {
                    self.content.set_stroke_rgb(red, green, blue);
                    self.content.set_line_width(SEAM).set_dash_pattern([], 0.0);
                }
            }
            Paint::Pattern(pattern) => {
                self.hatch(path, pattern, fill.opacity().get());
                return;
            }
            Paint::LinearGradient(_) | Paint::RadialGradient(_) => return,
        }
        self.opacity(fill.opacity().get());
        trace(&mut self.content, path.data());
        match (fill.rule(), has_rim) {
            (FillRule::EvenOdd, _) => self.content.fill_even_odd(),
            (FillRule::NonZero, true) => self.content.fill_nonzero_and_stroke(),
            (FillRule::NonZero, false) => self.content.fill_nonzero(),
        };
    }

    fn stroke(&mut self, path: &usvg::Path) {
        let Some(stroke) = path.stroke() else { return };
        let Paint::Color(colour) = stroke.paint() else {
            return;
        };
        let [red, green, blue] = rgb(*colour);
        let cap = match stroke.linecap() {
            LineCap::Butt => LineCapStyle::ButtCap,
            LineCap::Round => LineCapStyle::RoundCap,
            LineCap::Square => LineCapStyle::ProjectingSquareCap,
        };
        let join = match stroke.linejoin() {
            LineJoin::Miter | LineJoin::MiterClip => LineJoinStyle::MiterJoin,
            LineJoin::Round => LineJoinStyle::RoundJoin,
            LineJoin::Bevel => LineJoinStyle::BevelJoin,
        };
        let dashes = stroke.dasharray().unwrap_or_default().iter().copied();
        self.opacity(stroke.opacity().get());
        self.content
            .set_stroke_rgb(red, green, blue)
            .set_line_width(rounded(stroke.width().get()))
            .set_line_cap(cap)
            .set_line_join(join)
            .set_miter_limit(stroke.miterlimit().get())
            .set_dash_pattern(dashes.map(rounded), rounded(stroke.dashoffset()));
        trace(&mut self.content, path.data());
        self.content.stroke();
    }

    fn opacity(&mut self, opacity: f32) {
        let thousandths = (1000.0 * opacity).round() as u16;
        self.opacities.insert(thousandths);
        let name = state_name(thousandths);
        self.content.set_parameters(Name(name.as_bytes()));
    }

    /// Stripes over an area: readers set the cells of a pattern apart, and leave out some where
    /// they are small. None if the pattern is no stripe.
    fn hatch(&mut self, area: &usvg::Path, cell: &usvg::Pattern, opacity: f32) -> Option<()> {
        let stroke = stripe(cell.root())?.stroke()?;
        let Paint::Color(colour) = stroke.paint() else {
            return None;
        };
        let bounds = area.data().bounds();
        let bounds = bounds.transform(cell.transform().invert()?)?;
        let step = cell.rect().width();
        let [first, last] = [bounds.left(), bounds.right()].map(|x| (x / step).floor() as i32);
        let [red, green, blue] = rgb(*colour);
        self.content.save_state();
        trace(&mut self.content, area.data());
        self.content.clip_nonzero().end_path();
        self.content.transform(matrix(cell.transform()));
        self.opacity(opacity);
        self.content.set_fill_rgb(red, green, blue);
        // the cell cuts off half of the stroke along its side
        let width = rounded(0.5 * stroke.width().get());
        let (y, height) = (rounded(bounds.top()), rounded(bounds.height()));
        for line in first..=last {
            let x = rounded(line as f32 * step);
            self.content.rect(x, y, width, height);
        }
        self.content.fill_nonzero();
        self.content.restore_state();
        Some(())
    }

    fn document(self, width: f32, height: f32) -> Vec<u8> {
        let mut last = 0;
        let mut next = || {
            last += 1;
            Ref::new(last)
        };
        let [catalog, pages, page, content] = [(); 4].map(|()| next());
        let states: Vec<(u16, Ref)> = self.opacities.iter().map(|n| (*n, next())).collect();
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(pages);
        pdf.pages(pages).kids([page]).count(1);
        let mut sheet = pdf.page(page);
        sheet.parent(pages).contents(content);
        sheet.media_box(Rect::new(0.0, 0.0, width, height));
        sheet.group().transparency().color_space().device_rgb();
        let mut resources = sheet.resources();
        let mut named = resources.ext_g_states();
        for (thousandths, id) in &states {
            named.pair(Name(state_name(*thousandths).as_bytes()), *id);
        }
        named.finish();
        resources.finish();
        sheet.finish();
        for (thousandths, id) in &states {
            let opacity = f32::from(*thousandths) / 1000.0;
            let mut state = pdf.ext_graphics(*id);
            state.stroking_alpha(opacity).non_stroking_alpha(opacity);
        }
        let mut bytes = ZlibEncoder::new(Vec::new(), Compression::new(3));
        let written = bytes.write_all(&self.content.finish());
        let bytes = written.and_then(|()| bytes.finish());
        let bytes = bytes.expect("memory takes every byte");
        pdf.stream(content, &bytes).filter(Filter::FlateDecode);
        pdf.finish()
    }
}

fn state_name(thousandths: u16) -> String {
    format!("a{thousandths}")
}

/// The stroke in the cell of a hatching.
fn stripe(group: &usvg::Group) -> Option<&usvg::Path> {
    let mut nodes = group.children().iter();
    nodes.find_map(|node| match node {
        Node::Path(path) => Some(&**path),
        Node::Group(inner) => stripe(inner),
        Node::Text(_) | Node::Image(_) => None,
    })
}

/// The outlines of all paths of a clip, as one.
fn outline(content: &mut Content, group: &usvg::Group, transform: Transform) {
    for node in group.children() {
        match node {
            Node::Path(path) => {
                let moved = path.data().clone().transform(transform);
                moved.iter().for_each(|path| trace(content, path));
            }
            Node::Group(inner) => outline(content, inner, transform.pre_concat(inner.transform())),
            Node::Text(_) | Node::Image(_) => {}
        }
    }
}

fn trace(content: &mut Content, path: &Path) {
    let round = |point: Point| (rounded(point.x), rounded(point.y));
    let mut last = Point::zero();
    for segment in path.segments() {
        let curve = match segment {
            PathSegment::MoveTo(to) => {
                let (x, y) = round(to);
                content.move_to(x, y);
                last = to;
                continue;
            }
            PathSegment::LineTo(to) => {
                let (x, y) = round(to);
                content.line_to(x, y);
                last = to;
                continue;
            }
            PathSegment::Close => {
                content.close_path();
                continue;
            }
            PathSegment::CubicTo(first, second, to) => [first, second, to],
            // a parabola as a cubic
            PathSegment::QuadTo(middle, to) => {
                let third = |end: Point| {
                    let [x, y] = [(end.x, middle.x), (end.y, middle.y)]
                        .map(|(end, middle)| end + (middle - end) * 2.0 / 3.0);
                    Point::from_xy(x, y)
                };
                [third(last), third(to), to]
            }
        };
        last = curve[2];
        let [first, second, to] = curve.map(round);
        content.cubic_to(first.0, first.1, second.0, second.1, to.0, to.1);
    }
}

/// A length to a thousandth.
fn rounded(length: f32) -> f32 {
    (1000.0 * length).round() / 1000.0
}

fn rgb(colour: usvg::Color) -> [f32; 3] {
    let channels = [colour.red, colour.green, colour.blue];
    channels.map(|channel| rounded(f32::from(channel) / 255.0))
}

/// A transform as PDF writes it.
fn matrix(transform: Transform) -> [f32; 6] {
    let Transform {
        sx,
        kx,
        ky,
        sy,
        tx,
        ty,
    } = transform;
    [sx, ky, kx, sy, tx, ty]
}

#[cfg(test)]
mod tests {
    use crate::plot::Figure;
    use crate::plot::canvas::{Canvas, Fill, Stroke, Type};
    use crate::plot::examples;
    use std::io::Read as _;

    /// The operators that paint the page.
    fn page(pdf: &[u8]) -> String {
        let find = |word: &[u8]| {
            let at = pdf.windows(word.len()).position(|window| window == word);
            at.expect("a stream")
        };
        let start = find(b"\nstream\n") + b"\nstream\n".len();
        let compressed = &pdf[start..find(b"\nendstream")];
        let mut text = String::new();
        let mut content = flate2::read::ZlibDecoder::new(compressed);
        content.read_to_string(&mut text).unwrap();
        text
    }

    fn drawn() -> Figure {
        let mut canvas = Canvas::new(100.0, 50.0);
        let hatch = canvas.hatch("#0000ff");
        let dashed = Stroke::solid("#ff0000", 2.0).dashed("6 3").faded(0.25);
        canvas.clipped((10.0, 5.0), (90.0, 45.0), |canvas| {
            canvas.line((0.0, 10.0), (100.0, 10.0), dashed);
            canvas.rect((20.0, 20.0), (40.0, 40.0), Fill(&hatch, 0.5));
        });
        canvas.cells(&[[(0.0, 0.0), (5.0, 5.0)]], "#00ff00");
        canvas.text((50.0, 30.0), "O_{T}", Type::start(10.0).with_halo());
        canvas.finish()
    }

    #[test]
    fn what_a_canvas_draws_is_in_the_document() {
        let pdf = drawn().to_pdf().unwrap();
        let text = String::from_utf8_lossy(&pdf);
        assert!(text.starts_with("%PDF-1.7") && text.contains("/MediaBox [0 0 75 37.5]"));
        let page = page(&pdf);
        for part in [
            "0.75 0 0 -0.75 0 37.5 cm",
            "10 5 m\n90 5 l\n90 45 l\n10 45 l\nh\nW\nn",
            "/a250 gs\n1 0 0 RG\n2 w",
            "[6 3] 0 d",
            "20 20 m\n40 20 l\n40 40 l\n20 40 l\nh\nW\nn\n",
            "/a500 gs\n0 0 1 rg\n",
            "1.1 28.284 re\n",
            "0 1 0 rg",
            "\nB\n",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        // Outlines, each once with its rim and once without.
        assert!(page.matches(" c\n").count() > 0 && !page.contains("Tj"));
        assert!(page.contains("3.5 w") && page.contains("1 1 1 RG"));
    }

    #[test]
    fn bytes_depend_on_the_figure_alone() {
        let figure = examples::comparison(&[1.0, 3.0, 2.0], 0).draw().unwrap();
        let pdf = figure.to_pdf().unwrap();
        assert_eq!(pdf, figure.to_pdf().unwrap());
        let other = examples::comparison(&[1.0, 3.0, 2.5], 0).draw().unwrap();
        assert_ne!(pdf, other.to_pdf().unwrap());
        let text = String::from_utf8_lossy(&pdf);
        assert!(!text.contains("Date") && !text.contains("/ID"));
    }
}
