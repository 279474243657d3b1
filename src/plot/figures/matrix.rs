//! Correlation matrices.

use super::plane::{BAR_GAP, BAR_MARGIN};
use super::*;

const TOP: f64 = HEADER;
const MAX_LABEL: f64 = 180.0; // most room for labels, left and below
const NUMBER_CELL: f64 = 24.0; // smallest cell that shows its number
const LABEL_PITCH: f64 = 1.15; // smallest distance between labels, in em

pub(crate) struct CorrelationMatrix {
    pub title: String,
    /// One label a row: names, or bins such as "300-350".
    pub labels: Vec<String>,
    /// Coefficients `[n][n]` between -1 and 1; not finite means none.
    pub values: Vec<Vec<f64>>,
    /// Whether cells show their numbers, where there is room.
    pub has_numbers: bool,
    pub z_label: String,
}

struct Cells {
    left: f64,
    /// Width and height of a cell.
    side: f64,
    size: f64,
}

impl CorrelationMatrix {
    /// Draws the figure, first row on top; an error if there are no labels or `values` is not
    /// square.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let count = self.labels.len();
        check::drawable(count > 0, "correlation matrix", "row")?;
        check::length("rows of the correlation matrix", self.values.len(), count)?;
        let rows = self.values.iter().enumerate();
        check::lengths(
            rows,
            |i| format!("row {i} of the correlation matrix"),
            count,
        )?;
        let rough = (WIDTH - BAR_MARGIN - self.widest(13.0).min(MAX_LABEL) - 24.0) / count as f64;
        let size = (0.7 * rough).clamp(9.5, 13.0);
        // The longest label sets the size of all.
        let labels = self.labels.iter();
        let fitted = labels.map(|label| text::fit(label, size, false, MAX_LABEL).1);
        let size = fitted.fold(size, f64::min);
        let margin = (self.widest(size).min(MAX_LABEL) + 16.0).max(40.0);
        let left = margin + 8.0;
        let side = (WIDTH - BAR_MARGIN - left) / count as f64;
        let cells = Cells { left, side, size };
        let all = side * count as f64;
        let mut canvas = Canvas::new(WIDTH, TOP + all + margin + 10.0);
        let lists = Lists::new("matrix", &self.z_label).words("rows", &self.labels);
        let lists = lists.rows("values", self.values.clone());
        canvas.record(PanelNumbers::new("", "", [lists]));
        let z = Axis::linear(-1.0, 1.0).over((TOP + all, TOP));
        self.draw_cells(&mut canvas, &cells, &z);
        let corners = ((left, TOP), (left + all, TOP + all));
        canvas.outline(corners.0, corners.1, Stroke::solid(INK, 1.4));
        self.write_labels(&mut canvas, &cells);
        ColourMap::Diverging.bar(&mut canvas, left + all + BAR_GAP, &z, &self.z_label);
        heading(&mut canvas, (left, TOP - 12.0), &self.title, WIDTH - 10.0);
        Ok(canvas.finish())
    }

    fn widest(&self, size: f64) -> f64 {
        let labels = self.labels.iter();
        let widths = labels.map(|label| text::width(label, size, false));
        widths.fold(0.0, f64::max)
    }

    fn draw_cells(&self, canvas: &mut Canvas, cells: &Cells, z: &Axis) {
        let side = cells.side;
        let rows = self.values.iter().enumerate();
        let all = rows.flat_map(|(i, row)| {
            let corner = move |j| (cells.left + j as f64 * side, TOP + i as f64 * side);
            let corners = move |(x, y)| [(x, y), (x + side, y + side)];
            let cell = move |(j, value): (_, &f64)| (colours::level(z, *value), corners(corner(j)));
            row.iter().enumerate().map(cell)
        });
        ColourMap::Diverging.cells(canvas, all.clone());
        let empty = all.filter(|(level, _)| level.is_none());
        let empty: Vec<_> = empty.map(|(_, corners)| corners).collect();
        if !empty.is_empty() {
            canvas.cells(&empty, EMPTY_CELL);
        }
        if side < NUMBER_CELL || !self.has_numbers {
            return;
        }
        let size = (0.34 * side).clamp(8.5, LEGEND_SIZE);
        let decimals = if side < 34.0 { 1 } else { 2 };
        for (i, row) in self.values.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                let Some(level) = colours::level(z, *value) else {
                    continue;
                };
                let is_light = ColourMap::Diverging.is_light(level);
                let colour = if is_light { INK } else { "#ffffff" };
                let [x, y] =
                    [(cells.left, j), (TOP, i)].map(|(at, k)| at + (k as f64 + 0.5) * side);
                let kind = Type::middle(size).coloured(colour);
                canvas.centred((x, y), &fixed(*value, decimals), kind, side - 6.0);
            }
        }
    }

    /// Labels beside rows and below columns; every second, third, ... if cells are small.
    fn write_labels(&self, canvas: &mut Canvas, &Cells { left, side, size }: &Cells) {
        let stride = (LABEL_PITCH * size / side).ceil().max(1.0) as usize;
        let bottom = TOP + side * self.labels.len() as f64;
        let is_flat = self.widest(size) < side - 4.0;
        for (index, label) in self.labels.iter().enumerate().step_by(stride) {
            let (label, size) = text::fit(label, size, false, MAX_LABEL);
            let middle = (index as f64 + 0.5) * side;
            let end = Type::end(size);
            canvas.text((left - 7.0, TOP + middle + 0.36 * size), &label, end);
            let (at, kind) = match is_flat {
                true => ((0.0, size + 6.0), Type::middle(size)),
                false => ((0.36 * size, 7.0), end.rotated(-90.0)),
            };
            canvas.text((left + middle + at.0, bottom + at.1), &label, kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::plot::examples;

    #[test]
    fn cells_without_numbers_keep_their_colours() {
        let svg = |has_numbers: bool| {
            let mut matrix = examples::matrix(&[0.25, 0.25]);
            matrix.has_numbers = has_numbers;
            matrix.draw().unwrap().svg
        };
        let cells = |svg: &str| svg.matches("crispEdges").count();
        assert_eq!(svg(true).matches(">0.25<").count(), 4);
        assert_eq!(svg(false).matches(">0.25<").count(), 0);
        assert_eq!(cells(&svg(true)), cells(&svg(false)));
    }
}
