//! A figure as PDF, of the tree that its PNG is painted from: paths, clips, hatchings, and the
//! outlines of text, so that no reader needs a font. The bytes depend on the figure alone: they
//! hold no date.

use std::collections::BTreeSet;

use miniz_oxide::deflate::compress_to_vec_zlib;
use pdf_writer::types::{ColorSpaceOperand, LineCapStyle, LineJoinStyle, PaintType, TilingType};
use pdf_writer::writers::Resources;
use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref};
use resvg::tiny_skia::{Path, PathSegment, Point};
use resvg::usvg::{self, FillRule, LineCap, LineJoin, Node, Paint, PaintOrder, Transform};

const POINTS: f32 = 0.75; // points of the page for one unit of the SVG
const LEVEL: u8 = 6; // of the compression
/// Rim of cells that touch: where two are painted beside each other, readers let the ground
/// shine through.
const SEAM: f32 = 0.4;

/// The document of a tree. Knows what figures have: no images, gradients, masks or filters.
pub(super) fn pdf(tree: &usvg::Tree) -> Vec<u8> {
    let size = tree.size();
    let (width, height) = (POINTS * size.width(), POINTS * size.height());
    let to_page = Transform::from_row(POINTS, 0.0, 0.0, -POINTS, 0.0, height);
    let mut painter = Painter::new();
    painter.content.transform(matrix(to_page));
    painter.nodes(tree.root(), to_page);
    painter.document(width, height)
}

/// A stream of painting operators, and what it names.
struct Painter {
    content: Content,
    /// In thousandths.
    opacities: BTreeSet<u16>,
    tiles: Vec<Tile>,
}

/// The cell of a hatching.
#[derive(PartialEq)]
struct Tile {
    content: Vec<u8>,
    /// Corner and size.
    cell: [f32; 4],
    to_page: [f32; 6],
}

impl Painter {
    fn new() -> Self {
        Self {
            content: Content::new(),
            opacities: BTreeSet::new(),
            tiles: Vec::new(),
        }
    }

    fn nodes(&mut self, group: &usvg::Group, to_page: Transform) {
        for node in group.children() {
            match node {
                Node::Group(inner) => self.group(inner, to_page),
                Node::Text(text) => self.group(text.flattened(), to_page),
                Node::Path(path) => self.path(path, to_page),
                Node::Image(_) => {}
            }
        }
    }

    fn group(&mut self, group: &usvg::Group, to_page: Transform) {
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
        self.nodes(group, to_page.pre_concat(transform));
        self.content.restore_state();
    }

    fn path(&mut self, path: &usvg::Path, to_page: Transform) {
        if !path.is_visible() {
            return;
        }
        match path.paint_order() {
            PaintOrder::FillAndStroke => {
                self.fill(path, to_page);
                self.stroke(path);
            }
            PaintOrder::StrokeAndFill => {
                self.stroke(path);
                self.fill(path, to_page);
            }
        }
    }

    fn fill(&mut self, path: &usvg::Path, to_page: Transform) {
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
                let name = self.tile(pattern, to_page);
                let content = self
                    .content
                    .set_fill_color_space(ColorSpaceOperand::Pattern);
                content.set_fill_pattern([], Name(name.as_bytes()));
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

    /// The name of a hatching's cell, each once.
    fn tile(&mut self, pattern: &usvg::Pattern, to_page: Transform) -> String {
        let mut painter = Self::new();
        painter.nodes(pattern.root(), Transform::identity());
        let rect = pattern.rect();
        let tile = Tile {
            content: painter.content.finish().into_vec(),
            cell: [rect.x(), rect.y(), rect.width(), rect.height()],
            to_page: matrix(to_page.pre_concat(pattern.transform())),
        };
        self.opacities.extend(painter.opacities);
        let known = self.tiles.iter().position(|known| *known == tile);
        let place = known.unwrap_or_else(|| {
            self.tiles.push(tile);
            self.tiles.len() - 1
        });
        tile_name(place)
    }

    fn document(self, width: f32, height: f32) -> Vec<u8> {
        let mut last = 0;
        let mut next = || {
            last += 1;
            Ref::new(last)
        };
        let [catalog, pages, page, content] = [(); 4].map(|()| next());
        let states: Vec<(u16, Ref)> = self.opacities.iter().map(|n| (*n, next())).collect();
        let tiles: Vec<(&Tile, Ref)> = self.tiles.iter().map(|tile| (tile, next())).collect();
        let name_states = |resources: &mut Resources<'_>| {
            let mut named = resources.ext_g_states();
            for (thousandths, id) in &states {
                named.pair(Name(state_name(*thousandths).as_bytes()), *id);
            }
        };
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(pages);
        pdf.pages(pages).kids([page]).count(1);
        let mut sheet = pdf.page(page);
        sheet.parent(pages).contents(content);
        sheet.media_box(Rect::new(0.0, 0.0, width, height));
        sheet.group().transparency().color_space().device_rgb();
        let mut resources = sheet.resources();
        name_states(&mut resources);
        let mut patterns = resources.patterns();
        for (place, (_, id)) in tiles.iter().enumerate() {
            patterns.pair(Name(tile_name(place).as_bytes()), *id);
        }
        patterns.finish();
        resources.finish();
        sheet.finish();
        for (thousandths, id) in &states {
            let opacity = f32::from(*thousandths) / 1000.0;
            let mut state = pdf.ext_graphics(*id);
            state.stroking_alpha(opacity).non_stroking_alpha(opacity);
        }
        for (tile, id) in &tiles {
            let [x, y, width, height] = tile.cell;
            let bytes = compress_to_vec_zlib(&tile.content, LEVEL);
            let mut pattern = pdf.tiling_pattern(*id, &bytes);
            pattern.filter(Filter::FlateDecode);
            pattern
                .paint_type(PaintType::Colored)
                .tiling_type(TilingType::NoDistortion)
                .bbox(Rect::new(x, y, x + width, y + height))
                .x_step(width)
                .y_step(height)
                .matrix(tile.to_page);
            name_states(&mut pattern.resources());
        }
        let bytes = compress_to_vec_zlib(&self.content.finish(), LEVEL);
        pdf.stream(content, &bytes).filter(Filter::FlateDecode);
        pdf.finish()
    }
}

fn state_name(thousandths: u16) -> String {
    format!("a{thousandths}")
}

fn tile_name(place: usize) -> String {
    format!("p{place}")
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
    use miniz_oxide::inflate::decompress_to_vec_zlib;

    /// The streams of a document, in their order.
    fn streams(pdf: &[u8]) -> Vec<String> {
        let find = |from: usize, word: &[u8]| {
            let mut windows = pdf[from..].windows(word.len());
            windows
                .position(|window| window == word)
                .map(|at| from + at)
        };
        let (mut streams, mut from) = (Vec::new(), 0);
        while let Some(start) = find(from, b"\nstream\n") {
            let start = start + b"\nstream\n".len();
            let end = find(start, b"\nendstream").unwrap();
            let bytes = decompress_to_vec_zlib(&pdf[start..end]).unwrap();
            streams.push(String::from_utf8(bytes).unwrap());
            from = end;
        }
        streams
    }

    fn drawn() -> Figure {
        let mut canvas = Canvas::new(100.0, 50.0);
        let hatch = canvas.hatch("#0000ff");
        let dashed = Stroke::solid("#ff0000", 2.0).dashed("6 3").faded(0.25);
        canvas.clipped((10.0, 5.0), (90.0, 45.0), |canvas| {
            canvas.line((0.0, 10.0), (100.0, 10.0), dashed);
            canvas.rect((20.0, 20.0), (40.0, 40.0), Fill(&hatch, 0.5));
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
        assert_eq!(text.matches("/PatternType 1").count(), 1);
        let [tile, page] = &streams(&pdf)[..] else {
            panic!("{text}")
        };
        assert!(
            tile.contains("0 0 1 RG") && tile.contains("2.2 w"),
            "{tile}"
        );
        for part in [
            "0.75 0 0 -0.75 0 37.5 cm",
            "10 5 m\n90 5 l\n90 45 l\n10 45 l\nh\nW\nn",
            "/a250 gs\n1 0 0 RG\n2 w",
            "[6 3] 0 d",
            "/Pattern cs\n/p0 scn\n/a500 gs",
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
