//! Closure at a glance: 1 − predicted/observed in per cent, a row for each
//! region, a symbol for each method.
//!
//! The numbers stand beside the symbols, so the figure is also the table.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Stroke, Type};
use super::grid::{self, Side};
use super::panel::Panel;
use super::ratio;
use super::style::{AXIS_SIZE, BOTTOM, GREY, INK, LEGEND_SIZE, NOTE_SIZE, TICK_SIZE};
use super::symbols::Symbol;
use super::text;
use super::ticks::fixed;
use super::{Figure, PlotError, check_length};

/// Width of the figure.
const WIDTH: f64 = 720.0;
/// Brand and title.
const HEADER: f64 = 40.0;
/// Height of a line of the legend.
const LEGEND_LINE: f64 = 23.0;
/// Height of one method in a row.
const SLOT: f64 = 19.0;
/// Space above and below the methods of a row.
const ROW_MARGIN: f64 = 7.0;
/// Least and most room for the regions' names.
const NAMES: (f64, f64) = (70.0, 210.0);
/// Least and most room for the numbers on the right.
const VALUES: (f64, f64) = (50.0, 130.0);
/// Outer margin.
const MARGIN: f64 = 14.0;
/// Most symbols drawn; further rows are counted in a last line.
const MOST_SLOTS: usize = 240;
/// Most methods in a row.
const MOST_METHODS: usize = 12;
/// How many times the reach of the bulk the axis follows a point further out.
const FOLLOWED: f64 = 2.0;
/// Radius of the symbols.
const RADIUS: f64 = 4.0;
/// Lines between rows.
const RULE: Stroke<'static> = Stroke::solid("#c9cad0", 0.8);
/// Opacity of the observation's error.
const BAND_OPACITY: f64 = 0.13;

/// Residuals of methods in regions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Residuals {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the axis; empty means "1 − predicted / observed [%]".
    #[serde(default)]
    pub x_label: String,
    /// Names of the methods.
    pub methods: Vec<String>,
    /// Regions, the first on top.
    pub rows: Vec<ResidualRow>,
}

/// One region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ResidualRow {
    /// Its name.
    pub label: String,
    /// One residual a method.
    pub values: Vec<Residual>,
    /// Relative error of the observation in per cent, a band about zero; 0 for none.
    #[serde(default)]
    pub observed_error: f64,
}

/// 1 − predicted/observed of a method in a region.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Residual {
    /// In per cent; not finite if there is none.
    pub value: f64,
    /// Its error (one standard deviation), in per cent.
    pub error: f64,
}

impl Residuals {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError`] if there is no method or no row, more than 12
    /// methods, or a row does not have one residual a method.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        self.check()?;
        let most = MOST_SLOTS / self.methods.len();
        let rows = &self.rows[..self.rows.len().min(most)];
        let row_height = self.methods.len() as f64 * SLOT + 2.0 * ROW_MARGIN;
        let has_bands = rows.iter().any(|row| band(row) > 0.0);
        let lines = self.legend_lines(has_bands);
        let top = HEADER + lines.len() as f64 * LEGEND_LINE + 4.0;
        let bottom = top + rows.len() as f64 * row_height;
        let names = rows
            .iter()
            .map(|row| text::width(&row.label, LEGEND_SIZE, false));
        let left = MARGIN + names.fold(0.0, f64::max).clamp(NAMES.0, NAMES.1) + 12.0;
        let numbers = rows.iter().flat_map(|row| &row.values);
        let numbers = numbers.map(|residual| text::width(&written(residual), NOTE_SIZE, false));
        let values = numbers.fold(0.0, f64::max).clamp(VALUES.0, VALUES.1) + 16.0;
        let (low, high) = range(rows);
        let panel = Panel {
            x: Axis::new(Scale::Linear, low, high, (left, WIDTH - values - MARGIN)),
            y: Axis::new(Scale::Linear, 0.0, 1.0, (bottom, top)),
        };
        let hidden = self.rows.len() - rows.len();
        let below = if hidden > 0 { 24.0 } else { 0.0 };
        let mut canvas = Canvas::new(WIDTH, bottom + BOTTOM + below);
        for (index, row) in rows.iter().enumerate() {
            let top = top + index as f64 * row_height;
            draw_row(&mut canvas, &panel, row, (top, top + row_height));
            if index > 0 {
                canvas.line((MARGIN, top), (WIDTH - MARGIN, top), RULE);
            }
        }
        let zero = panel.x.at(0.0);
        canvas.line((zero, top), (zero, bottom), Stroke::solid(INK, 1.2));
        for (index, row) in rows.iter().enumerate() {
            draw_points(&mut canvas, &panel, row, top + index as f64 * row_height);
        }
        grid::frame(&mut canvas, &panel, TICK_SIZE, false);
        grid::numbers(
            &mut canvas,
            &panel,
            Side::Below,
            TICK_SIZE,
            panel.x.length(),
        );
        let label = match self.x_label.as_str() {
            "" => "1 − predicted / observed [%]",
            label => label,
        };
        grid::label(
            &mut canvas,
            &panel,
            (Side::Below, 44.0),
            label,
            (AXIS_SIZE, TICK_SIZE),
        );
        if hidden > 0 {
            let more = format!("and {hidden} more regions");
            let at = (MARGIN, bottom + BOTTOM + 8.0);
            canvas.text(at, &more, Type::new(NOTE_SIZE, Anchor::Start));
        }
        grid::heading(&mut canvas, (MARGIN, 27.0), &self.title, WIDTH - MARGIN);
        self.draw_legend(&mut canvas, &lines);
        Ok(canvas.finish())
    }

    fn check(&self) -> Result<(), PlotError> {
        let empty = |expected: &str| PlotError::Empty {
            what: "residuals".to_owned(),
            expected: expected.to_owned(),
        };
        if self.methods.is_empty() {
            return Err(empty("method"));
        }
        let count = self.methods.len();
        let what = format!("methods of the residuals, at most {MOST_METHODS}");
        check_length(&what, count, count.min(MOST_METHODS))?;
        if self.rows.is_empty() {
            return Err(empty("region"));
        }
        for row in &self.rows {
            let what = format!("residuals in \"{}\"", row.label);
            check_length(&what, row.values.len(), self.methods.len())?;
        }
        Ok(())
    }

    /// Entries of the legend in lines that fit: the method, or none for the
    /// band; the label; and its pixel.
    fn legend_lines(&self, has_bands: bool) -> Vec<Vec<(Option<usize>, String, f64)>> {
        let methods = self.methods.iter().enumerate();
        let mut entries: Vec<(Option<usize>, &str)> = methods
            .map(|(method, label)| (Some(method), label.as_str()))
            .collect();
        if has_bands {
            entries.push((None, "error of the observation"));
        }
        let mut lines = vec![Vec::new()];
        let mut x = MARGIN;
        for (method, label) in entries {
            let room = WIDTH - 2.0 * MARGIN - 24.0;
            let (label, size) = text::fit(label, LEGEND_SIZE, false, room);
            let width = 24.0 + text::width(&label, size, false) + 20.0;
            if x > MARGIN && x + width > WIDTH {
                lines.push(Vec::new());
                x = MARGIN;
            }
            if let Some(line) = lines.last_mut() {
                line.push((method, label, x));
            }
            x += width;
        }
        lines
    }

    fn draw_legend(&self, canvas: &mut Canvas, lines: &[Vec<(Option<usize>, String, f64)>]) {
        for (index, line) in lines.iter().enumerate() {
            let y = HEADER + (index as f64 + 0.5) * LEGEND_LINE;
            for (method, label, x) in line {
                match method {
                    Some(method) => {
                        let symbol = Symbol::of(*method);
                        let bar = Stroke::solid(symbol.colour, 1.4);
                        canvas.line((*x, y), (x + 18.0, y), bar);
                        symbol.draw(canvas, (x + 9.0, y), RADIUS);
                    }
                    None => canvas.rect((*x, y - 6.0), (x + 18.0, y + 6.0), INK, BAND_OPACITY),
                }
                let room = WIDTH - MARGIN - x - 24.0;
                let (label, size) = text::fit(label, LEGEND_SIZE, false, room);
                let at = (x + 24.0, y + 0.36 * size);
                canvas.text(at, &label, Type::new(size, Anchor::Start));
            }
        }
    }
}

/// Name and band of a region.
fn draw_row(canvas: &mut Canvas, panel: &Panel, row: &ResidualRow, (top, bottom): (f64, f64)) {
    let half = band(row);
    if half > 0.0 {
        let (from, to) = (panel.x.at_clamped(-half), panel.x.at_clamped(half));
        canvas.rect((from, top), (to, bottom), INK, BAND_OPACITY);
    }
    let room = panel.x.start - MARGIN - 12.0;
    let (label, size) = text::fit(&row.label, LEGEND_SIZE, false, room);
    let at = (panel.x.start - 10.0, (top + bottom) / 2.0 + 0.36 * size);
    canvas.text(at, &label, Type::new(size, Anchor::End));
}

/// Symbols with errors and their numbers, one method below the other.
fn draw_points(canvas: &mut Canvas, panel: &Panel, row: &ResidualRow, top: f64) {
    for (method, residual) in row.values.iter().enumerate() {
        let y = top + ROW_MARGIN + (method as f64 + 0.5) * SLOT;
        let symbol = Symbol::of(method);
        let at = (WIDTH - MARGIN, y + 0.36 * NOTE_SIZE);
        if !residual.value.is_finite() {
            let kind = Type {
                colour: GREY,
                ..Type::new(NOTE_SIZE, Anchor::End)
            };
            canvas.text(at, "–", kind);
            continue;
        }
        let error = size(residual.error);
        let ends = [residual.value - error, residual.value + error];
        let [from, to] = ends.map(|end| panel.x.at_clamped(end));
        canvas.line((from, y), (to, y), Stroke::solid(symbol.colour, 1.6));
        if panel.x.shows(residual.value) {
            symbol.draw(canvas, (panel.x.at(residual.value), y), RADIUS);
        } else {
            let (tip, way) = match residual.value > panel.x.high {
                true => (panel.x.end - 2.0, -1.0),
                false => (panel.x.start + 2.0, 1.0),
            };
            let base = tip + way * 10.0;
            let corners = [(tip, y), (base, y - 5.0), (base, y + 5.0)];
            canvas.polygon(&corners, symbol.colour, 1.0);
        }
        let room = WIDTH - MARGIN - panel.x.end - 10.0;
        let (number, size) = text::fit(&written(residual), NOTE_SIZE, false, room);
        canvas.text(at, &number, Type::new(size, Anchor::End));
    }
}

/// A residual and its error as text.
fn written(residual: &Residual) -> String {
    let error = size(residual.error);
    match error > 0.0 {
        true => format!("{} ± {}", number(residual.value), number(error)),
        false => number(residual.value),
    }
}

fn size(error: f64) -> f64 {
    if error.is_finite() { error.abs() } else { 0.0 }
}

fn band(row: &ResidualRow) -> f64 {
    size(row.observed_error)
}

/// Range about zero that shows all but points far from the bulk.
fn range(rows: &[ResidualRow]) -> (f64, f64) {
    let pairs: Vec<(f64, f64)> = rows
        .iter()
        .flat_map(|row| &row.values)
        .map(|residual| (residual.value, size(residual.error)))
        .collect();
    let finite = pairs.iter().filter(|(value, _)| value.is_finite());
    let furthest = finite
        .map(|(value, error)| value.abs() + error)
        .fold(0.0, f64::max);
    let (low, high) = ratio::difference_range(&pairs);
    let reach = (1.08 * furthest).min(FOLLOWED * high).max(high * 0.8);
    if reach.is_finite() {
        (-reach, reach)
    } else {
        (low, high)
    }
}

/// A number of per cent.
fn number(value: f64) -> String {
    match value.abs() {
        size if size < 99.95 => fixed(value, 1),
        size if size < 99_999.5 => fixed(value, 0),
        _ => format!("{value:.1e}").replace('-', "−"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[(f64, f64)]) -> ResidualRow {
        let residual = |(value, error): &(f64, f64)| Residual {
            value: *value,
            error: *error,
        };
        ResidualRow {
            label: "SR".to_owned(),
            values: values.iter().map(residual).collect(),
            observed_error: 1.0,
        }
    }

    fn residuals(rows: Vec<ResidualRow>) -> Residuals {
        Residuals {
            title: String::new(),
            x_label: String::new(),
            methods: vec!["reweighting".to_owned(), "interpolation".to_owned()],
            rows,
        }
    }

    #[test]
    fn one_failure_does_not_hide_the_closure_of_the_rest() {
        let mut rows = vec![row(&[(1.0, 0.5), (-2.0, 0.5)]); 6];
        let (_, high) = range(&rows);
        assert!(high > 2.5 && high < 4.0, "{high}");
        rows[3].values[1].value = -900.0;
        let (low, _) = range(&rows);
        assert!(low < -2.5 && low > -12.0, "{low}");
        assert!(range(&[row(&[(f64::NAN, 1.0)])]).1 > 0.0);
    }

    #[test]
    fn numbers_stay_short() {
        assert_eq!(number(-1.26), "−1.3");
        assert_eq!(number(-0.01), "0.0");
        assert_eq!(number(1234.4), "1234");
        assert_eq!(number(-1e300), "−1.0e300");
    }

    #[test]
    fn rows_beyond_what_can_be_read_are_counted() {
        let figure = residuals(vec![row(&[(1.0, 1.0), (2.0, 1.0)]); 500]).draw();
        let svg = figure.expect("valid residuals").svg;
        assert!(svg.contains("and 380 more regions"));
        assert!(svg.len() < 400_000, "{}", svg.len());
    }

    #[test]
    fn a_row_of_the_wrong_length_is_named() {
        let error = residuals(vec![row(&[(1.0, 1.0)])]).draw();
        assert_eq!(
            error.expect_err("one method is missing").to_string(),
            "residuals in \"SR\": found 1 entries, expected 2"
        );
    }
}
