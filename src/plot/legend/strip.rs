//! Brand, title, notes and legend in rows above a frame, for drawings that
//! leave no corner of the frame free.

use super::super::canvas::{Anchor, Canvas, Type};
use super::super::plane::{HEADER, header};
use super::super::style::{LEGEND_SIZE, NOTE_SIZE};
use super::super::text;
use super::{Entry, KEY_GAP, KEY_WIDTH, LINE_EM, MAX_ENTRIES};

/// Free space between two columns of the legend.
const COLUMN_GAP: f64 = 22.0;
/// Most columns of the legend.
const MAX_COLUMNS: usize = 3;
/// Space between the last row and the frame.
const FOOT: f64 = 8.0;

/// What stands above a frame.
#[derive(Debug, Clone, Default)]
pub(in crate::plot) struct Strip<'a> {
    /// The line after the brand.
    pub(in crate::plot) title: String,
    /// Small lines below it.
    pub(in crate::plot) notes: Vec<String>,
    /// The legend, row after row.
    pub(in crate::plot) entries: Vec<Entry<'a>>,
}

impl Strip<'_> {
    /// Pixels it takes from the top of the sheet, between two pixels.
    pub(in crate::plot) fn height(&self, (left, right): (f64, f64)) -> f64 {
        let rows = self.rows(self.columns(right - left).len());
        let notes = self.written_notes().count();
        let foot = if rows + notes > 0 { FOOT } else { 0.0 };
        HEADER - 8.0
            + LINE_EM * (NOTE_SIZE * notes as f64 + LEGEND_SIZE * rows as f64)
            + foot.max(8.0)
    }

    /// Draws it from the top of the sheet, between two pixels.
    pub(in crate::plot) fn draw(&self, canvas: &mut Canvas, (left, right): (f64, f64)) {
        header(canvas, &self.title, left, right);
        let mut y = HEADER - 8.0;
        for note in self.written_notes() {
            y += LINE_EM * NOTE_SIZE;
            let (note, size) = text::fit(note, NOTE_SIZE, false, right - left);
            let at = (left, y - 0.4 * NOTE_SIZE);
            canvas.text(at, &note, Type::new(size, Anchor::Start));
        }
        let columns = self.columns(right - left);
        let place = |index: usize| {
            let (row, column) = (index / columns.len(), index % columns.len());
            let before: f64 = columns[..column].iter().sum();
            let x = left + before + column as f64 * COLUMN_GAP;
            (
                x,
                y + (row as f64 * LINE_EM + 1.1) * LEGEND_SIZE,
                columns[column],
            )
        };
        for (index, entry) in self.entries.iter().take(self.shown()).enumerate() {
            let (x, base, width) = place(index);
            let at = (x + KEY_WIDTH + KEY_GAP, base);
            if index == MAX_ENTRIES {
                let more = format!("and {} more", self.entries.len() - MAX_ENTRIES);
                canvas.text(at, &more, Type::new(LEGEND_SIZE, Anchor::Start));
                break;
            }
            entry.key.draw(canvas, (x, base - 0.36 * LEGEND_SIZE));
            let room = width - KEY_WIDTH - KEY_GAP;
            let (label, size) = text::fit(&entry.label, LEGEND_SIZE, false, room);
            canvas.text(at, &label, Type::new(size, Anchor::Start));
        }
    }

    /// Entries that get a place; the last of too many says how many are left out.
    fn shown(&self) -> usize {
        self.entries.len().min(MAX_ENTRIES + 1)
    }

    fn written_notes(&self) -> impl Iterator<Item = &String> {
        self.notes.iter().filter(|note| !note.is_empty())
    }

    /// Widths of the columns: as few rows as fit, in as few columns as those need.
    fn columns(&self, room: f64) -> Vec<f64> {
        let fits = |widths: &Vec<f64>| {
            let gaps = COLUMN_GAP * (widths.len() - 1) as f64;
            widths.iter().sum::<f64>() + gaps <= room
        };
        (1..=MAX_COLUMNS)
            .map(|count| self.widths(count))
            .filter(fits)
            .min_by_key(|widths| self.rows(widths.len()))
            .unwrap_or_else(|| vec![room])
    }

    /// Widths of a number of columns, each as wide as its widest entry.
    fn widths(&self, count: usize) -> Vec<f64> {
        let mut widths = vec![0.0f64; count];
        for (index, entry) in self.entries.iter().take(self.shown()).enumerate() {
            let label = text::width(&entry.label, LEGEND_SIZE, false);
            let width = &mut widths[index % count];
            *width = width.max(KEY_WIDTH + KEY_GAP + label);
        }
        widths
    }

    fn rows(&self, columns: usize) -> usize {
        self.shown().div_ceil(columns.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::*;
    use crate::plot::canvas::Stroke;

    fn strip(labels: &[&str]) -> Strip<'static> {
        let entry = |label: &&str| Entry {
            label: (*label).to_owned(),
            key: Key::Line(Stroke::solid("#000000", 1.0)),
        };
        Strip {
            entries: labels.iter().map(entry).collect(),
            ..Strip::default()
        }
    }

    #[test]
    fn entries_share_rows_as_far_as_they_fit() {
        let columns = |labels: &[&str], room| strip(labels).columns(room).len();
        assert_eq!(columns(&["a", "b", "c"], 500.0), 3);
        assert_eq!(columns(&["a"; 4], 500.0), 2, "two full rows");
        assert_eq!(columns(&["a"; 9], 1e4), MAX_COLUMNS);
        let long = "a label of many letters, ".repeat(2);
        assert_eq!(
            columns(&["a", &long, "c", &long], 500.0),
            2,
            "one wide column"
        );
        assert_eq!(columns(&[&long, "a", "c", &long], 500.0), 1);
        assert_eq!(columns(&[&long.repeat(3)], 500.0), 1);
    }

    #[test]
    fn the_height_counts_rows_and_notes() {
        let height = |labels: &[&str]| strip(labels).height((0.0, 500.0));
        assert_eq!(height(&["a", "b", "c"]), height(&["a"]));
        assert!(height(&["a"; 5]) > height(&["a"]) && height(&["a"]) > height(&[]));
        let mut noted = strip(&["a"]);
        noted.notes = vec![String::new(), "note".to_owned()];
        let more = noted.height((0.0, 500.0)) - height(&["a"]);
        assert!((more - LINE_EM * NOTE_SIZE).abs() < 1e-9);
    }

    #[test]
    fn too_many_entries_are_counted() {
        let mut canvas = Canvas::new(400.0, 400.0);
        strip(&["entry"; 20]).draw(&mut canvas, (10.0, 390.0));
        let svg = canvas.finish().svg;
        assert_eq!(svg.matches(">entry<").count(), MAX_ENTRIES);
        assert!(svg.contains(">and 8 more<"));
    }
}
