//! Correlation matrices.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Stroke, Type};
use super::colours::{self, ColourMap, LEVELS};
use super::plane::{colour_bar, header};
use super::style::{EMPTY_CELL, INK, LEGEND_SIZE, WIDTH};
use super::text;
use super::ticks::fixed;
use super::{Figure, PlotError, check_length};

/// Top of the matrix.
const TOP: f64 = 40.0;
/// Right margin: colour bar with numbers and label.
const RIGHT: f64 = 118.0;
/// Distance of the colour bar from the matrix.
const BAR_GAP: f64 = 14.0;
/// Most room for labels, left and below.
const MAX_LABEL: f64 = 180.0;
/// Smallest cell that shows its number.
const NUMBER_CELL: f64 = 24.0;
/// Smallest distance between labels, in em.
const LABEL_PITCH: f64 = 1.15;

/// A matrix of correlation coefficients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CorrelationMatrix {
    /// Line after the brand.
    pub title: String,
    /// One label a row: names, or bins such as "300-350".
    pub labels: Vec<String>,
    /// Coefficients `[n][n]` between -1 and 1; not finite means none.
    pub values: Vec<Vec<f64>>,
    /// Label of the colour bar; empty means "Correlation".
    #[serde(default)]
    pub z_label: String,
}

impl CorrelationMatrix {
    /// Draws the figure, first row on top.
    ///
    /// # Errors
    /// [`PlotError`] if there are no labels or `values` is not square.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let count = self.labels.len();
        if count == 0 {
            return Err(PlotError::Empty {
                what: "correlation matrix".to_owned(),
                expected: "row".to_owned(),
            });
        }
        check_length("rows of the correlation matrix", self.values.len(), count)?;
        for (index, row) in self.values.iter().enumerate() {
            check_length(
                &format!("row {index} of the correlation matrix"),
                row.len(),
                count,
            )?;
        }
        let widest = |size: f64| {
            let widths = self
                .labels
                .iter()
                .map(|label| text::width(label, size, false));
            widths.fold(0.0, f64::max).min(MAX_LABEL)
        };
        let rough = (WIDTH - RIGHT - widest(13.0) - 24.0) / count as f64;
        let size = (0.7 * rough).clamp(9.5, 13.0);
        // The longest label sets the size of all.
        let fitted = self
            .labels
            .iter()
            .map(|label| text::fit(label, size, false, MAX_LABEL).1);
        let size = fitted.fold(size, f64::min);
        let margin = (widest(size) + 16.0).max(40.0);
        let left = margin + 8.0;
        let cell = (WIDTH - RIGHT - left) / count as f64;
        let side = cell * count as f64;
        let mut canvas = Canvas::new(WIDTH, TOP + side + margin + 10.0);
        self.cells(&mut canvas, left, cell);
        canvas.outline(
            (left, TOP),
            (left + side, TOP + side),
            Stroke::solid(INK, 1.4),
        );
        self.write_labels(&mut canvas, left, cell, size);
        let z = Axis::new(Scale::Linear, -1.0, 1.0, (TOP + side, TOP));
        let label = if self.z_label.is_empty() {
            "Correlation"
        } else {
            &self.z_label
        };
        colour_bar(
            &mut canvas,
            left + side + BAR_GAP,
            &z,
            ColourMap::Diverging,
            label,
        );
        header(&mut canvas, &self.title, left, WIDTH - 10.0);
        Ok(canvas.finish())
    }

    fn cells(&self, canvas: &mut Canvas, left: f64, cell: f64) {
        let map = ColourMap::Diverging;
        let mut by_level: Vec<Vec<[f64; 4]>> = vec![Vec::new(); LEVELS + 1];
        let level = |value: f64| match value.is_finite() {
            true => colours::level((value + 1.0) / 2.0),
            false => LEVELS,
        };
        for (i, row) in self.values.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                let (x, y) = (left + j as f64 * cell, TOP + i as f64 * cell);
                by_level[level(*value)].push([x, y, x + cell, y + cell]);
            }
        }
        for (level, rectangles) in by_level.iter().enumerate() {
            let colour = if level == LEVELS {
                EMPTY_CELL.to_owned()
            } else {
                map.colour(level)
            };
            if !rectangles.is_empty() {
                canvas.cells(rectangles, &colour);
            }
        }
        if cell < NUMBER_CELL {
            return;
        }
        let size = (0.34 * cell).clamp(8.5, LEGEND_SIZE);
        for (i, row) in self.values.iter().enumerate() {
            for (j, value) in row
                .iter()
                .enumerate()
                .filter(|(_, value)| value.is_finite())
            {
                let at = (
                    left + (j as f64 + 0.5) * cell,
                    TOP + (i as f64 + 0.5) * cell,
                );
                let colour = if map.is_light(level(*value)) {
                    INK
                } else {
                    "#ffffff"
                };
                let kind = Type {
                    colour,
                    ..Type::new(size, Anchor::Middle)
                };
                let decimals = if cell < 34.0 { 1 } else { 2 };
                let number = fixed(*value, decimals);
                let (number, size) = text::fit(&number, size, false, cell - 6.0);
                canvas.text((at.0, at.1 + 0.36 * size), &number, Type { size, ..kind });
            }
        }
    }

    /// Labels beside rows and below columns; every second, third, ... if cells are small.
    fn write_labels(&self, canvas: &mut Canvas, left: f64, cell: f64, size: f64) {
        let stride = (LABEL_PITCH * size / cell).ceil().max(1.0) as usize;
        let bottom = TOP + cell * self.labels.len() as f64;
        let widest = |label: &String| text::width(label, size, false);
        let flat = self.labels.iter().map(widest).fold(0.0, f64::max) < cell - 4.0;
        for (index, label) in self.labels.iter().enumerate().step_by(stride) {
            let (label, size) = text::fit(label, size, false, MAX_LABEL);
            let middle = (index as f64 + 0.5) * cell;
            let row = (left - 7.0, TOP + middle + 0.36 * size);
            canvas.text(row, &label, Type::new(size, Anchor::End));
            if flat {
                let column = (left + middle, bottom + size + 6.0);
                canvas.text(column, &label, Type::new(size, Anchor::Middle));
            } else {
                let column = (left + middle + 0.36 * size, bottom + 7.0);
                let kind = Type {
                    rotation: -90.0,
                    ..Type::new(size, Anchor::End)
                };
                canvas.text(column, &label, kind);
            }
        }
    }
}
