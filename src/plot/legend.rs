//! What stands inside the top of a panel: brand, data label, notes, legend;
//! and how far the y axis must reach so that nothing drawn runs into them.

pub(super) mod strip;

use super::axes::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Stroke, Type};
use super::shapes::Marker;
use super::style::{BRAND, BRAND_SIZE, INSET, LEGEND_SIZE, NOTE_SIZE};
use super::symbols::Symbol;
use super::text;

/// Most entries of a legend; more are counted in a last line.
const MAX_ENTRIES: usize = 12;
/// Width of a legend's symbols.
const KEY_WIDTH: f64 = 30.0;
/// Space between symbol and label.
const KEY_GAP: f64 = 9.0;
/// Height of a legend's line, in em.
const LINE_EM: f64 = 1.5;
/// Part of the panel's width a legend may take.
const LEGEND_SHARE: f64 = 0.5;
/// Space between text and what is drawn below it.
const CLEARANCE: f64 = 10.0;
/// Highest point of what is drawn where there is no text above, as part of the panel.
const FREE_HEIGHT: f64 = 0.94;
/// Least part of the panel left to the drawing, whatever stands on top.
const LEAST_HEIGHT: f64 = 0.3;
/// The legend moves to the left if that makes the axis this much shorter.
const MOVE_GAIN: f64 = 0.85;

/// The symbol of a legend entry.
#[derive(Debug, Clone)]
pub(super) enum Key<'a> {
    /// A point with an error bar.
    Point(Marker<'a>),
    /// A point without an error.
    Symbol(Marker<'a>),
    /// A symbol with an error bar, and its radius.
    Shape(Symbol, f64),
    Line(Stroke<'a>),
    /// An open bar.
    Frame(Stroke<'a>),
    /// Filled area: fill and opacity.
    Area(String, f64),
    /// A line on a filled area.
    LineOnArea(Stroke<'a>, String, f64),
}

/// One line of a legend.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    /// What it is.
    pub(super) label: String,
    /// How it looks.
    pub(super) key: Key<'a>,
}

/// Everything inside the top of a panel.
#[derive(Debug, Clone)]
pub(super) struct Topping<'a> {
    /// Brand, title and notes stand here; otherwise only the legend.
    pub(super) branded: bool,
    /// The line after the brand, for example "simulation, SR".
    pub(super) title: String,
    /// Small lines below.
    pub(super) notes: Vec<String>,
    /// The legend.
    pub(super) entries: Vec<Entry<'a>>,
}

/// The highest value drawn over a range of pixels; what the axis has to make room for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Peak {
    /// First pixel.
    pub(super) from: f64,
    /// Last pixel.
    pub(super) to: f64,
    /// Highest value.
    pub(super) top: f64,
}

/// Where the parts of a topping go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placement {
    /// Upper end of the y axis.
    pub(super) high: f64,
    legend_at: (f64, f64),
    legend_width: f64,
    heading_width: f64,
}

/// A rectangle hanging from the top of the panel.
struct Block {
    from: f64,
    to: f64,
    height: f64,
}

impl Default for Topping<'_> {
    fn default() -> Self {
        Self {
            branded: true,
            title: String::new(),
            notes: Vec::new(),
            entries: Vec::new(),
        }
    }
}

impl Topping<'_> {
    /// Finds the emptier corner for the legend and the end of the y axis that
    /// leaves everything free, for a panel `height` pixels high over `x`.
    pub(super) fn place(
        &self,
        x: &Axis,
        height: f64,
        (scale, low): (Scale, f64),
        peaks: &[Peak],
    ) -> Placement {
        let room = x.length() - 2.0 * INSET;
        let legend_width = self.legend_width().min(LEGEND_SHARE * room);
        let legend_height = self.legend_height();
        let beside = room - legend_width - if legend_width > 0.0 { INSET } else { 0.0 };
        let right = x.end - INSET - legend_width;
        let block = |from: f64, width: f64, height: f64| Block {
            from: from - CLEARANCE,
            to: from + width + CLEARANCE,
            height: height + CLEARANCE,
        };
        let heading = |width: f64| {
            let natural = self.heading_width().min(width);
            block(x.start + INSET, natural, INSET + self.heading_height())
        };
        let at_right = [
            heading(beside),
            block(right, legend_width, INSET + legend_height),
        ];
        let below = INSET + self.heading_height() + 10.0;
        let at_left = [
            heading(room),
            block(x.start + INSET, legend_width, below + legend_height),
        ];
        let high_right = upper_end(height, scale, low, peaks, &at_right);
        let high_left = upper_end(height, scale, low, peaks, &at_left);
        let span = |high: f64| scale.warp(high) - scale.warp(low);
        if span(high_left) < MOVE_GAIN * span(high_right) {
            return Placement {
                high: high_left,
                legend_at: (x.start + INSET, below),
                legend_width,
                heading_width: room,
            };
        }
        Placement {
            high: high_right,
            legend_at: (right, INSET),
            legend_width,
            heading_width: beside,
        }
    }

    /// Draws it into the panel whose top left corner is `corner`.
    pub(super) fn draw(&self, canvas: &mut Canvas, corner: (f64, f64), placement: &Placement) {
        if self.branded {
            self.heading(canvas, corner, placement.heading_width);
        }
        let (x, y) = (placement.legend_at.0, corner.1 + placement.legend_at.1);
        let size = LEGEND_SIZE;
        for (index, entry) in self.entries.iter().enumerate() {
            let base = y + (index as f64 * LINE_EM + 0.9) * size;
            if index == MAX_ENTRIES {
                let more = format!("and {} more", self.entries.len() - MAX_ENTRIES);
                let at = (x + KEY_WIDTH + KEY_GAP, base);
                canvas.text(at, &more, Type::new(size, Anchor::Start));
                break;
            }
            entry.key.draw(canvas, (x, base - 0.36 * size));
            let room = placement.legend_width - KEY_WIDTH - KEY_GAP;
            let (label, size) = text::fit(&entry.label, size, false, room);
            let at = (x + KEY_WIDTH + KEY_GAP, base);
            canvas.text(at, &label, Type::new(size, Anchor::Start));
        }
    }

    fn heading(&self, canvas: &mut Canvas, corner: (f64, f64), width: f64) {
        let (x, mut y) = (corner.0 + INSET, corner.1 + INSET + 0.8 * BRAND_SIZE);
        let brand = Type {
            bold: true,
            ..Type::new(BRAND_SIZE, Anchor::Start)
        };
        canvas.text((x, y), BRAND, brand);
        let title = std::iter::once((&self.title, LEGEND_SIZE));
        let notes = self.notes.iter().map(|note| (note, NOTE_SIZE));
        for (line, size) in title.chain(notes).filter(|(line, _)| !line.is_empty()) {
            y += LINE_EM * size;
            let (line, size) = text::fit(line, size, false, width);
            canvas.text((x, y), &line, Type::new(size, Anchor::Start));
        }
    }

    fn heading_width(&self) -> f64 {
        if !self.branded {
            return 0.0;
        }
        let brand = text::width(BRAND, BRAND_SIZE, true);
        let title = text::width(&self.title, LEGEND_SIZE, false);
        self.notes
            .iter()
            .map(|note| text::width(note, NOTE_SIZE, false))
            .fold(brand.max(title), f64::max)
    }

    fn heading_height(&self) -> f64 {
        if !self.branded {
            return 0.0;
        }
        let title = if self.title.is_empty() {
            0.0
        } else {
            LINE_EM * LEGEND_SIZE
        };
        let notes = self.notes.iter().filter(|note| !note.is_empty()).count();
        0.9 * BRAND_SIZE + title + notes as f64 * LINE_EM * NOTE_SIZE
    }

    fn legend_width(&self) -> f64 {
        let labels = self.entries.iter().take(MAX_ENTRIES);
        labels
            .map(|entry| text::width(&entry.label, LEGEND_SIZE, false) + KEY_WIDTH + KEY_GAP)
            .fold(0.0, f64::max)
    }

    fn legend_height(&self) -> f64 {
        self.entries.len().min(MAX_ENTRIES + 1) as f64 * LINE_EM * LEGEND_SIZE
    }
}

impl Key<'_> {
    /// Draws the symbol; `at` is its left end, half way up.
    fn draw(&self, canvas: &mut Canvas, (x, y): (f64, f64)) {
        let line = |canvas: &mut Canvas, stroke| canvas.line((x, y), (x + KEY_WIDTH, y), stroke);
        let area = |canvas: &mut Canvas, fill: &str, opacity| {
            canvas.rect((x, y - 6.0), (x + KEY_WIDTH, y + 6.0), fill, opacity);
        };
        match self {
            Self::Point(marker) => {
                let centre = x + KEY_WIDTH / 2.0;
                let bar = Stroke::solid(marker.colour, 1.4);
                canvas.line((centre, y - 8.0), (centre, y + 8.0), bar);
                marker.draw(canvas, (centre, y));
            }
            Self::Shape(symbol, radius) => {
                let centre = x + KEY_WIDTH / 2.0;
                let bar = Stroke::solid(symbol.colour, 1.4);
                canvas.line((centre, y - 8.0), (centre, y + 8.0), bar);
                symbol.draw(canvas, (centre, y), *radius);
            }
            Self::Symbol(marker) => marker.draw(canvas, (x + KEY_WIDTH / 2.0, y)),
            Self::Line(stroke) => line(canvas, *stroke),
            Self::Frame(stroke) => {
                canvas.outline((x, y - 6.0), (x + KEY_WIDTH, y + 6.0), *stroke);
            }
            Self::Area(fill, opacity) => area(canvas, fill, *opacity),
            Self::LineOnArea(stroke, fill, opacity) => {
                area(canvas, fill, *opacity);
                line(canvas, *stroke);
            }
        }
    }
}

/// Lowest upper end of the y axis that keeps every peak below every block above it.
fn upper_end(height: f64, scale: Scale, low: f64, peaks: &[Peak], blocks: &[Block]) -> f64 {
    let bottom = scale.warp(low);
    let mut end = f64::NEG_INFINITY;
    for peak in peaks {
        let top = scale.warp(peak.top);
        if !top.is_finite() {
            continue;
        }
        let free = blocks
            .iter()
            .filter(|block| block.from < peak.to && peak.from < block.to)
            .map(|block| (1.0 - block.height / height).max(LEAST_HEIGHT))
            .fold(FREE_HEIGHT, f64::min);
        end = end.max(bottom + (top - bottom) / free);
    }
    if end > bottom {
        scale.unwarp(end)
    } else {
        scale.unwarp(bottom + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::style::INK;

    fn topping() -> Topping<'static> {
        let key = Key::Line(Stroke::solid(INK, 1.0));
        let entry = Entry {
            label: "observed".to_owned(),
            key,
        };
        Topping {
            title: "simulation".to_owned(),
            entries: vec![entry; 4],
            ..Topping::default()
        }
    }

    fn peaks(tops: &[f64]) -> Vec<Peak> {
        let width = 500.0 / tops.len() as f64;
        let peak = |(index, top): (usize, &f64)| Peak {
            from: index as f64 * width,
            to: (index as f64 + 1.0) * width,
            top: *top,
        };
        tops.iter().enumerate().map(peak).collect()
    }

    #[test]
    fn the_legend_goes_where_the_spectrum_is_low() {
        let x = Axis::new(Scale::Linear, 0.0, 1.0, (0.0, 500.0));
        let place = |tops: &[f64]| topping().place(&x, 300.0, (Scale::Linear, 0.0), &peaks(tops));
        let falling = place(&[10.0, 8.0, 2.0, 1.0]);
        assert!(falling.legend_at.0 > 250.0);
        let rising = place(&[1.0, 2.0, 6.0, 10.0]);
        assert!(rising.legend_at.0 < 250.0);
        // The peak under the legend's corner stays below it.
        assert!(rising.high < 12.0, "{}", rising.high);
    }

    #[test]
    fn nothing_drawn_leaves_a_usable_end() {
        let x = Axis::new(Scale::Log, 1.0, 10.0, (0.0, 500.0));
        for tops in [&[][..], &[f64::NAN], &[-3.0]] {
            let placement = topping().place(&x, 300.0, (Scale::Log, 1.0), &peaks(tops));
            assert!(placement.high > 1.0);
        }
    }
}
