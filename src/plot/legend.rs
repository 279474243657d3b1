//! The head of a figure: brand, title, notes and legend, inside the top of a panel or in
//! rows above it; and how far the y axis must reach so that nothing drawn runs into it.

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Fill, Stroke, Type};
use super::heading::{HEADER, LINE_EM, heading, inside};
use super::marks::{Look, Mark, Marker};
use super::numbers::Lists;
use super::panel::Panel;
use super::style::{BRAND, BRAND_SIZE, INSET, LEGEND_SIZE, NOTE_SIZE};
use super::text;

const MAX_ENTRIES: usize = 12; // most entries of a legend; more are counted in a last line
const KEY_WIDTH: f64 = 30.0; // width of a legend's symbols
const LABEL_AT: f64 = KEY_WIDTH + 9.0; // from the left end of an entry to its label
const LEGEND_SHARE: f64 = 0.5; // part of the panel's width a legend may take
const CLEARANCE: f64 = 10.0; // space between text and what is drawn below it
/// Highest point of what is drawn where there is no text above, as part of the panel.
const FREE_HEIGHT: f64 = 0.94;
/// Least part of the panel left to the drawing, whatever stands on top.
const LEAST_HEIGHT: f64 = 0.3;
/// The legend moves to the left if that makes the axis this much shorter.
const MOVE_GAIN: f64 = 0.85;
/// Free space between two columns of a legend above a frame, and most of them.
const COLUMN_GAP: f64 = 22.0;
const MAX_COLUMNS: usize = 3;

#[derive(Debug, Clone)]
pub(super) enum Key<'a> {
    /// A point with an error bar.
    Point(Marker<'a>),
    /// A point without an error.
    Symbol(Marker<'a>),
    Line(Stroke<'a>),
    /// An open bar.
    Frame(Stroke<'a>),
    Area(Fill<'a>),
    LineOnArea(Stroke<'a>, Fill<'a>),
    /// A symbol on what stands for the same elsewhere.
    SymbolOn(Box<Key<'a>>, Marker<'a>),
}

/// The second line of an entry stands below it without a symbol.
pub(super) const BLANK: Key<'static> = Key::Area(Fill("none", 0.0));

#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) label: String,
    pub(super) key: Key<'a>,
}

impl<'a> Entry<'a> {
    pub(super) fn new(label: impl Into<String>, key: Key<'a>) -> Self {
        let label = label.into();
        Self { label, key }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Head<'a> {
    /// The line after the brand, for example "simulation, SR".
    pub(super) title: &'a str,
    pub(super) notes: Vec<String>,
    pub(super) entries: Vec<Entry<'a>>,
    /// The title stands above the panel though the legend is in it.
    pub(super) is_above: bool,
}

impl<'a> Head<'a> {
    pub(super) fn new(title: &'a str, entries: Vec<Entry<'a>>) -> Self {
        Self {
            title,
            notes: Vec::new(),
            entries,
            is_above: false,
        }
    }

    pub(super) fn noted(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// With a note on how many of all have no fit, if there are any.
    pub(super) fn counted(self, missing: usize, all: usize, what: &str) -> Self {
        let note = || format!("{missing} of {all} {what} without a fit, left out");
        self.noted((missing > 0).then(note).into_iter().collect())
    }
}

impl Head<'_> {
    /// The numbers of marks, each by the name that its look has in the legend.
    pub(super) fn lists(&self, marks: &[Mark<'_>]) -> impl Iterator<Item = Lists> {
        marks.iter().filter_map(|mark| {
            let entry = mark.look().and_then(|look| {
                let mut entries = self.entries.iter().filter(|entry| entry.key.has(look));
                match mark {
                    // points that look like others have an entry of their own after them
                    Mark::Ratios(..) => entries.next_back(),
                    _ => entries.next(),
                }
            });
            let lists = mark.lists()?;
            match (mark, entry) {
                (Mark::Numbers(_), _) => Some(lists),
                (_, Some(entry)) => Some(lists.labelled(&entry.label)),
                // a line to guide the eye
                (Mark::Level(_, _, beside), None) if beside.is_empty() => None,
                (Mark::Level(_, _, beside), None) => Some(lists.labelled(beside)),
                _ => Some(lists),
            }
        })
    }
}

/// The highest value drawn over a range of x; what the axis has to make room for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Peak {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) top: f64,
}

impl Peak {
    pub(super) fn of_bins<'a>(
        edges: &'a [f64],
        tops: impl IntoIterator<Item = f64> + 'a,
    ) -> impl Iterator<Item = Self> + 'a {
        let peak = |(bin, top): (&[f64], f64)| Self {
            from: bin[0],
            to: bin[1],
            top,
        };
        edges.windows(2).zip(tops).map(peak)
    }
}

/// A y axis from `low` to where the head is clear of all peaks, at least to `high`.
pub(super) struct Clear {
    pub(super) scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
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

/// Where the parts of a head inside a panel go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placement {
    pub(super) high: f64,
    legend_at: (f64, f64),
    legend_width: f64,
    heading_width: f64,
}

/// Inside the top of a panel, with the brand, title and notes or with the legend alone.
impl Head<'_> {
    /// Finds the emptier corner for the legend and the end of the y axis that
    /// leaves everything free, for a panel `height` pixels high over `x`.
    pub(super) fn place(&self, x: &Axis, height: f64, clear: &Clear) -> Placement {
        let (left, room) = (x.start + INSET, x.length() - 2.0 * INSET);
        let legend_width = self.legend_width().min(LEGEND_SHARE * room);
        let legend_height = self.shown() as f64 * LINE_EM * LEGEND_SIZE;
        let (width, heading_height) = match self.is_above {
            true => (0.0, 0.0),
            false => self.heading_size(),
        };
        let beside = room - legend_width - if legend_width > 0.0 { INSET } else { 0.0 };
        let block = |from: f64, width: f64, height: f64| {
            (
                from - CLEARANCE,
                from + width + CLEARANCE,
                height + CLEARANCE,
            )
        };
        let corners = [
            (x.end - INSET - legend_width, INSET, beside),
            (left, INSET + heading_height + 10.0, room),
        ];
        let [at_right, at_left] = corners.map(|(legend_x, legend_y, heading_width)| {
            let blocks = [
                block(left, width.min(heading_width), INSET + heading_height),
                block(legend_x, legend_width, legend_y + legend_height),
            ];
            Placement {
                high: upper_end(x, height, clear, blocks),
                legend_at: (legend_x, legend_y),
                legend_width,
                heading_width,
            }
        });
        let span = |p: &Placement| clear.scale.warp(p.high) - clear.scale.warp(clear.low);
        match span(&at_left) < MOVE_GAIN * span(&at_right) {
            true => at_left,
            false => at_right,
        }
    }

    /// Draws it into the panel.
    pub(super) fn draw_inside(&self, canvas: &mut Canvas, panel: &Panel, place: &Placement) {
        let (corner, (end, _)) = panel.corners();
        if !self.is_above {
            let title = std::iter::once((self.title, LEGEND_SIZE));
            let notes = self.written_notes().map(|note| (note, NOTE_SIZE));
            let lines = title
                .chain(notes)
                .map(|(line, size)| (line.to_owned(), size));
            let room = (place.heading_width, panel.power_width());
            inside(canvas, (corner, end), lines.collect(), room);
        }
        let (x, y) = (place.legend_at.0, corner.1 + place.legend_at.1);
        for index in 0..self.shown() {
            let base = y + (index as f64 * LINE_EM + 0.9) * LEGEND_SIZE;
            self.draw_entry(canvas, index, (x, base), place.legend_width);
        }
    }

    fn heading_size(&self) -> (f64, f64) {
        let brand = text::width(BRAND, BRAND_SIZE, true);
        let title = text::width(self.title, LEGEND_SIZE, false);
        let notes = self.notes.iter();
        let notes = notes.map(|note| text::width(note, NOTE_SIZE, false));
        let titles = usize::from(!self.title.is_empty()) as f64;
        let written = self.written_notes().count() as f64;
        let lines = titles * LINE_EM * LEGEND_SIZE + written * LINE_EM * NOTE_SIZE;
        let width = notes.fold(brand.max(title), f64::max);
        (width, 0.9 * BRAND_SIZE + lines)
    }

    fn legend_width(&self) -> f64 {
        let entries = self.entries.iter().take(MAX_ENTRIES);
        entries.map(Entry::width).fold(0.0, f64::max)
    }
}

/// In rows above a frame, for drawings that leave no corner of it free.
impl Head<'_> {
    /// Pixels it takes from the top of the sheet, between two pixels.
    pub(super) fn height(&self, (left, right): (f64, f64)) -> f64 {
        let rows = self.rows(self.columns(right - left).len());
        let notes = self.written_notes().count();
        HEADER - 8.0 + LINE_EM * (NOTE_SIZE * notes as f64 + LEGEND_SIZE * rows as f64) + 8.0
    }

    /// Draws it from the top of the sheet, between two pixels.
    pub(super) fn draw_above(&self, canvas: &mut Canvas, (left, right): (f64, f64)) {
        heading(canvas, (left, HEADER - 12.0), self.title, right);
        let mut y = HEADER - 8.0;
        for note in self.written_notes() {
            y += LINE_EM * NOTE_SIZE;
            let kind = Type::start(NOTE_SIZE);
            canvas.fitted((left, y - 0.4 * NOTE_SIZE), note, kind, right - left);
        }
        let columns = self.columns(right - left);
        for index in 0..self.shown() {
            let (row, column) = (index / columns.len(), index % columns.len());
            let before: f64 = columns[..column].iter().sum();
            let x = left + before + column as f64 * COLUMN_GAP;
            let base = y + (row as f64 * LINE_EM + 1.1) * LEGEND_SIZE;
            self.draw_entry(canvas, index, (x, base), columns[column]);
        }
    }

    /// Widths of the columns: as few rows as fit, in as few columns as those need.
    fn columns(&self, room: f64) -> Vec<f64> {
        let fits = |widths: &Vec<f64>| {
            let gaps = COLUMN_GAP * (widths.len() - 1) as f64;
            widths.iter().sum::<f64>() + gaps <= room
        };
        let choices = (1..=MAX_COLUMNS).map(|count| self.widths(count));
        let best = choices.filter(fits).min_by_key(|w| self.rows(w.len()));
        best.unwrap_or_else(|| vec![room])
    }

    /// Widths of a number of columns, each as wide as its widest entry.
    fn widths(&self, count: usize) -> Vec<f64> {
        let mut widths = vec![0.0f64; count];
        for (index, entry) in self.entries.iter().take(self.shown()).enumerate() {
            let width = &mut widths[index % count];
            *width = width.max(entry.width());
        }
        widths
    }

    fn rows(&self, columns: usize) -> usize {
        self.shown().div_ceil(columns.max(1))
    }
}

impl Head<'_> {
    fn written_notes(&self) -> impl Iterator<Item = &str> {
        let notes = self.notes.iter().map(String::as_str);
        notes.filter(|note| !note.is_empty())
    }

    /// Entries that get a place; the last of too many says how many are left out.
    fn shown(&self) -> usize {
        self.entries.len().min(MAX_ENTRIES + 1)
    }

    /// Draws an entry from its left end on a base line.
    fn draw_entry(&self, canvas: &mut Canvas, index: usize, (x, base): (f64, f64), width: f64) {
        let kind = Type::start(LEGEND_SIZE);
        let at = (x + LABEL_AT, base);
        if index == MAX_ENTRIES {
            let more = format!("and {} more", self.entries.len() - MAX_ENTRIES);
            return canvas.text(at, &more, kind);
        }
        let Entry { label, key } = &self.entries[index];
        key.draw(canvas, (x, base - 0.36 * LEGEND_SIZE));
        canvas.fitted(at, label, kind, width - LABEL_AT);
    }
}

impl Entry<'_> {
    fn width(&self) -> f64 {
        text::width(&self.label, LEGEND_SIZE, false) + LABEL_AT
    }
}

impl Key<'_> {
    /// Whether it stands for what looks so; fainter lines are the same.
    fn has(&self, look: Look<'_>) -> bool {
        match (self, look) {
            (Self::Point(own) | Self::Symbol(own), Look::Symbol(marker)) => *own == marker,
            (Self::Line(own) | Self::Frame(own), Look::Line(stroke))
            | (Self::LineOnArea(own, _), Look::Line(stroke)) => own.faded(1.0) == stroke.faded(1.0),
            (Self::Area(own) | Self::LineOnArea(_, own), Look::Area(fill)) => *own == fill,
            (Self::SymbolOn(_, own), Look::Symbol(marker)) => *own == marker,
            (Self::SymbolOn(key, _), look) => key.has(look),
            _ => false,
        }
    }

    /// Draws the symbol; `at` is its left end, half way up.
    fn draw(&self, canvas: &mut Canvas, (x, y): (f64, f64)) {
        let (middle, end) = (x + KEY_WIDTH / 2.0, x + KEY_WIDTH);
        let line = |canvas: &mut Canvas, stroke| canvas.line((x, y), (end, y), stroke);
        let area = |canvas: &mut Canvas, fill| canvas.rect((x, y - 6.0), (end, y + 6.0), fill);
        match self {
            Self::Point(marker) => {
                let bar = Stroke::solid(marker.colour, 1.4);
                canvas.line((middle, y - 8.0), (middle, y + 8.0), bar);
                marker.draw(canvas, (middle, y));
            }
            Self::Symbol(marker) => marker.draw(canvas, (middle, y)),
            Self::Line(stroke) => line(canvas, *stroke),
            Self::Frame(stroke) => canvas.outline((x, y - 6.0), (end, y + 6.0), *stroke),
            Self::Area(fill) => area(canvas, *fill),
            Self::LineOnArea(stroke, fill) => {
                area(canvas, *fill);
                line(canvas, *stroke);
            }
            Self::SymbolOn(key, marker) => {
                key.draw(canvas, (x, y));
                marker.draw(canvas, (middle, y));
            }
        }
    }
}

/// Lowest upper end of the y axis that keeps every peak below every block above it; a block
/// hangs from the top between two pixels, by a height.
fn upper_end(x: &Axis, height: f64, clear: &Clear, blocks: [(f64, f64, f64); 2]) -> f64 {
    let scale = clear.scale;
    let bottom = scale.warp(clear.low);
    let mut end = f64::NEG_INFINITY;
    for peak in &clear.peaks {
        let top = scale.warp(peak.top);
        if !top.is_finite() {
            continue;
        }
        let (from, to) = (x.at(peak.from), x.at(peak.to));
        let above = blocks.iter().filter(|block| block.0 < to && from < block.1);
        let free = above.map(|block| (1.0 - block.2 / height).max(LEAST_HEIGHT));
        end = end.max(bottom + (top - bottom) / free.fold(FREE_HEIGHT, f64::min));
    }
    scale.unwarp(if end > bottom { end } else { bottom + 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::axes::Scale;
    use crate::plot::style::INK;

    fn head(labels: &[&str]) -> Head<'static> {
        let key = Key::Line(Stroke::solid(INK, 1.0));
        let entry = |label: &&str| Entry::new(*label, key.clone());
        Head::new("simulation", labels.iter().map(entry).collect())
    }

    fn place(scale: Scale, low: f64, tops: &[f64]) -> Placement {
        let x = Axis::new(Scale::Linear, 0.0, tops.len() as f64, (0.0, 500.0));
        let edges: Vec<f64> = (0..=tops.len()).map(|edge| edge as f64).collect();
        let peaks = Peak::of_bins(&edges, tops.iter().copied()).collect();
        let clear = Clear::new(scale, low, peaks);
        head(&["observed"; 4]).place(&x, 300.0, &clear)
    }

    #[test]
    fn the_legend_goes_where_the_spectrum_is_low() {
        let falling = place(Scale::Linear, 0.0, &[10.0, 8.0, 2.0, 1.0]);
        assert!(falling.legend_at.0 > 250.0);
        let rising = place(Scale::Linear, 0.0, &[1.0, 2.0, 6.0, 10.0]);
        assert!(rising.legend_at.0 < 250.0);
        // The peak under the legend's corner stays below it.
        assert!(rising.high < 12.0, "{}", rising.high);
    }

    #[test]
    fn nothing_drawn_leaves_a_usable_end() {
        for tops in [&[][..], &[f64::NAN], &[-3.0]] {
            assert!(place(Scale::Log, 1.0, tops).high > 1.0);
        }
    }

    #[test]
    fn entries_share_rows_as_far_as_they_fit() {
        let columns = |labels: &[&str], room| head(labels).columns(room).len();
        assert_eq!(columns(&["a", "b", "c"], 500.0), 3);
        assert_eq!(columns(&["a"; 4], 500.0), 2, "two full rows");
        assert_eq!(columns(&["a"; 9], 1e4), MAX_COLUMNS);
        let long = "a label of many letters, ".repeat(2);
        let wide = ["a", &long, "c", &long];
        assert_eq!(columns(&wide, 500.0), 2, "one wide column");
        assert_eq!(columns(&[&long, "a", "c", &long], 500.0), 1);
        assert_eq!(columns(&[&long.repeat(3)], 500.0), 1);
    }

    #[test]
    fn the_height_counts_rows_and_notes() {
        let height = |labels: &[&str]| head(labels).height((0.0, 500.0));
        assert_eq!(height(&["a", "b", "c"]), height(&["a"]));
        assert!(height(&["a"; 5]) > height(&["a"]) && height(&["a"]) > height(&[]));
        let mut noted = head(&["a"]);
        noted.notes = vec![String::new(), "note".to_owned()];
        let more = noted.height((0.0, 500.0)) - height(&["a"]);
        assert!((more - LINE_EM * NOTE_SIZE).abs() < 1e-9);
    }

    #[test]
    fn too_many_entries_are_counted() {
        let mut canvas = Canvas::new(400.0, 400.0);
        head(&["entry"; 20]).draw_above(&mut canvas, (10.0, 390.0));
        let svg = canvas.finish().svg;
        assert_eq!(svg.matches(">entry<").count(), MAX_ENTRIES);
        assert!(svg.contains(">and 8 more<"));
    }
}
