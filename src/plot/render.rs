//! A finished figure: SVG, and PNG with resvg and PDF of it, in the embedded font alone, so that
//! it looks the same on a laptop and on a batch node without any fonts.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use resvg::{tiny_skia, usvg};
use serde::Deserialize;

use super::PlotError;
use super::pdf::pdf;

const SCALE: f32 = 2.0; // pixels of the PNG for one unit of the SVG

/// A finished figure.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Figure {
    /// A complete SVG document, without an XML declaration, fit to be inlined.
    pub svg: String,
    #[serde(default)]
    pub(super) heading: Option<Heading>,
    /// What is drawn as JSON: a list of panels, each with lists of edges, values, errors; empty
    /// where an earlier version has drawn it.
    #[serde(default)]
    pub numbers: String,
}

/// The words at the top of a figure, which can be written anew.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Heading {
    /// Bytes of the SVG document that they take.
    pub(super) bytes: Range<usize>,
    /// Width and height of the sheet.
    pub(super) sheet: (f64, f64),
    pub(super) place: Place,
    /// Title and notes, and their sizes.
    pub(super) lines: Vec<(String, f64)>,
}

/// Where a heading stands, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) enum Place {
    /// In one line above all panels, from the base line's left end on.
    Above { at: (f64, f64), end: f64 },
    /// Inside the top of a panel, in lines of this room; above its frame words are `clear` of
    /// the numbers that begin at its left corner.
    Inside {
        corner: (f64, f64),
        end: f64,
        room: f64,
        clear: f64,
    },
}

impl Figure {
    /// Rasterises the figure at twice its nominal size, in embedded DejaVu Sans.
    ///
    /// # Errors
    /// [`PlotError::Render`] if the SVG does not parse or the image cannot be encoded.
    pub fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        png(&tree(&self.svg)?)
    }

    /// The figure as a page of its size, text as outlines of embedded DejaVu Sans.
    ///
    /// # Errors
    /// [`PlotError::Render`] if the SVG does not parse.
    pub fn to_pdf(&self) -> Result<Vec<u8>, PlotError> {
        Ok(pdf(&tree(&self.svg)?))
    }

    pub(crate) fn has_numbers(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// The files of the figure by their endings, as far as it has them.
    pub(crate) fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, PlotError> {
        let tree = tree(&self.svg)?;
        let mut files = vec![
            ("svg", self.svg.clone().into_bytes()),
            ("png", png(&tree)?),
            ("pdf", pdf(&tree)),
        ];
        if self.has_numbers() {
            files.push(("json", self.numbers.clone().into_bytes()));
        }
        Ok(files)
    }
}

/// DejaVu Sans, regular, bold and oblique, parsed once.
static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.load_font_data(dejavu::sans::oblique().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

fn tree(svg: &str) -> Result<usvg::Tree, PlotError> {
    let options = usvg::Options {
        fontdb: Arc::clone(&FONTS),
        ..usvg::Options::default()
    };
    usvg::Tree::from_str(svg, &options).map_err(|error| PlotError::Render(error.to_string()))
}

fn png(tree: &usvg::Tree) -> Result<Vec<u8>, PlotError> {
    let size = tree.size();
    let (width, height) = (
        (size.width() * SCALE).ceil() as u32,
        (size.height() * SCALE).ceil() as u32,
    );
    let mut pixels = tiny_skia::Pixmap::new(width, height)
        .ok_or_else(|| PlotError::Render(format!("image size {width} x {height}")))?;
    pixels.fill(tiny_skia::Color::WHITE);
    resvg::render(
        tree,
        tiny_skia::Transform::from_scale(SCALE, SCALE),
        &mut pixels.as_mut(),
    );
    pixels
        .encode_png()
        .map_err(|error| PlotError::Render(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_document_is_an_error() {
        assert!(matches!(tree("<svg"), Err(PlotError::Render(_))));
    }

    #[test]
    fn text_leaves_ink() {
        let blank = r##"<svg xmlns="http://www.w3.org/2000/svg" width="80" height="30"></svg>"##;
        let written = blank.replace(
            "></svg>",
            r##"><text x="5" y="20" font-family="DejaVu Sans" font-size="16">Hbb</text></svg>"##,
        );
        let [blank, written] = [blank, &written].map(|svg| {
            tree(svg)
                .and_then(|tree| png(&tree))
                .expect("a valid document")
        });
        assert!(
            written.len() > blank.len() + 100,
            "{} against {}",
            written.len(),
            blank.len()
        );
    }
}
