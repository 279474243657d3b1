//! Closure at a glance: 1 − predicted/observed in per cent, a row for each
//! region, a symbol for each method.
//!
//! The numbers stand beside the symbols, so the figure is also the table.

use super::*;

const WIDTH: f64 = 720.0;
const LEGEND_LINE: f64 = 23.0; // height of a line of the legend
const LABEL_AT: f64 = 24.0; // from the left end of a legend's entry to its label
const SLOT: f64 = 19.0; // height of one method in a row
const ROW_MARGIN: f64 = 7.0; // space above and below the methods of a row
const NAMES: (f64, f64) = (70.0, 210.0); // least and most room for the regions' names
const VALUES: (f64, f64) = (50.0, 130.0); // least and most room for the numbers on the right
const MARGIN: f64 = 14.0;
const MOST_SLOTS: usize = 240; // most symbols drawn; further rows are counted in a last line
const MOST_METHODS: usize = 12; // most methods in a row
/// How many times the reach of the bulk the axis follows a point further out.
const FOLLOWED: f64 = 2.0;
const RADIUS: f64 = 4.0;
const X_LABEL: &str = "1 − predicted / observed [%]";
const OBSERVED: &str = "error of the observation";
const RULE: Stroke<'_> = Stroke::solid("#c9cad0", 0.8); // lines between rows
const BAND: Fill<'_> = Fill(INK, 0.13); // the observation's error

pub(crate) struct Residuals {
    pub title: String,
    pub methods: Vec<String>,
    pub rows: Vec<ResidualRow>,
}

#[derive(Clone)]
pub(crate) struct ResidualRow {
    pub label: String,
    /// One residual a method.
    pub values: Vec<Residual>,
    /// Relative error of the observation in per cent, a band about zero; 0 for none.
    pub observed_error: f64,
}

/// 1 − predicted/observed of a method in a region.
#[derive(Clone)]
pub(crate) struct Residual {
    /// In per cent; not finite if there is none.
    pub value: f64,
    /// Its error (one standard deviation), in per cent.
    pub error: f64,
}

/// An entry of the legend, from a pixel on: a method, or none for the band.
struct Placed<'a> {
    method: Option<usize>,
    label: &'a str,
    line: usize,
    x: f64,
}

impl Residuals {
    /// Draws the figure; an error if there is no method or no row, more than 12 methods, or a row
    /// does not have one residual a method.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let count = self.methods.len();
        check::drawable(count > 0, "residuals", "method")?;
        check::at_most("methods of the residuals", count, MOST_METHODS)?;
        check::drawable(!self.rows.is_empty(), "residuals", "region")?;
        for row in &self.rows {
            let what = format!("residuals in \"{}\"", row.label);
            check::length(&what, row.values.len(), count)?;
        }
        let rows = &self.rows[..self.rows.len().min(MOST_SLOTS / count)];
        let row_height = count as f64 * SLOT + 2.0 * ROW_MARGIN;
        let legend = self.legend(rows.iter().any(|row| size(row.observed_error) > 0.0));
        let lines = legend.last().map_or(0, |last| last.line + 1);
        let top = HEADER + lines as f64 * LEGEND_LINE + 4.0;
        let bottom = top + rows.len() as f64 * row_height;
        let names = rows
            .iter()
            .map(|row| text::width(&row.label, LEGEND_SIZE, false));
        let left = MARGIN + names.fold(0.0, f64::max).clamp(NAMES.0, NAMES.1) + 12.0;
        let numbers = rows.iter().flat_map(|row| &row.values);
        let numbers = numbers.map(|residual| text::width(&residual.written(), NOTE_SIZE, false));
        let values = numbers.fold(0.0, f64::max).clamp(VALUES.0, VALUES.1) + 16.0;
        let x = axis(rows).over((left, WIDTH - values - MARGIN));
        let panel = Panel::new(x, Axis::linear(0.0, 1.0).over((bottom, top)));
        let hidden = self.rows.len() - rows.len();
        let below = if hidden > 0 { 24.0 } else { 0.0 };
        let mut canvas = Canvas::new(WIDTH, bottom + BOTTOM + below);
        canvas.record(self.numbers(rows));
        let tops = (0..rows.len()).map(|index| top + index as f64 * row_height);
        for (row, y) in rows.iter().zip(tops.clone()) {
            row.draw_ground(&mut canvas, &panel, (y, y + row_height));
            if y > top {
                canvas.line((MARGIN, y), (WIDTH - MARGIN, y), RULE);
            }
        }
        let zero = panel.x.at(0.0);
        canvas.line((zero, top), (zero, bottom), Stroke::solid(INK, 1.2));
        for (row, y) in rows.iter().zip(tops) {
            row.draw_points(&mut canvas, &panel, y);
        }
        grid::frame(&mut canvas, &panel, TICK_SIZE, false);
        let sizes = (AXIS_SIZE, TICK_SIZE);
        grid::Scale::new(Side::Below, X_LABEL, 44.0, sizes, 0.0).draw(&mut canvas, &panel);
        if hidden > 0 {
            let more = format!("and {hidden} more regions");
            let at = (MARGIN, bottom + BOTTOM + 8.0);
            canvas.text(at, &more, Type::start(NOTE_SIZE));
        }
        heading(&mut canvas, (MARGIN, 27.0), &self.title, WIDTH - MARGIN);
        for entry in legend {
            entry.draw(&mut canvas);
        }
        Ok(canvas.finish())
    }

    fn numbers(&self, rows: &[ResidualRow]) -> PanelNumbers {
        let names: Vec<String> = rows.iter().map(|row| row.label.clone()).collect();
        let methods = self.methods.iter().enumerate().map(|(method, label)| {
            let residuals = rows.iter().map(|row| &row.values[method]);
            let lists = Lists::new("points", label).words("regions", &names);
            let lists = lists.list("x", residuals.clone().map(|residual| residual.value));
            lists.list("error", residuals.map(|residual| residual.error))
        });
        let band = Lists::new("band", OBSERVED).words("regions", &names);
        let band = band.list("error", rows.iter().map(|row| row.observed_error));
        PanelNumbers::new(X_LABEL, "", methods.chain([band]))
    }

    /// Entries of the legend in lines that fit.
    fn legend(&self, has_bands: bool) -> Vec<Placed<'_>> {
        let methods = self.methods.iter().enumerate();
        let methods = methods.map(|(method, label)| (Some(method), label.as_str()));
        let band = has_bands.then_some((None, OBSERVED));
        let (mut x, mut line) = (MARGIN, 0);
        let place = |(method, label)| {
            let room = WIDTH - 2.0 * MARGIN - LABEL_AT;
            let (shown, size) = text::fit(label, LEGEND_SIZE, false, room);
            let width = LABEL_AT + text::width(&shown, size, false) + 20.0;
            if x > MARGIN && x + width > WIDTH {
                (x, line) = (MARGIN, line + 1);
            }
            x += width;
            Placed {
                method,
                label,
                line,
                x: x - width,
            }
        };
        methods.chain(band).map(place).collect()
    }
}

impl Placed<'_> {
    fn draw(&self, canvas: &mut Canvas) {
        let (x, y) = (self.x, HEADER + (self.line as f64 + 0.5) * LEGEND_LINE);
        match self.method {
            Some(method) => {
                let marker = Marker::of_method(method, RADIUS);
                canvas.line((x, y), (x + 18.0, y), Stroke::solid(marker.colour, 1.4));
                marker.draw(canvas, (x + 9.0, y));
            }
            None => canvas.rect((x, y - 6.0), (x + 18.0, y + 6.0), BAND),
        }
        let kind = Type::start(LEGEND_SIZE);
        let room = WIDTH - MARGIN - x - LABEL_AT;
        canvas.centred((x + LABEL_AT, y), self.label, kind, room);
    }
}

impl ResidualRow {
    fn draw_ground(&self, canvas: &mut Canvas, panel: &Panel, (top, bottom): (f64, f64)) {
        let half = size(self.observed_error);
        if half > 0.0 {
            let [from, to] = [-half, half].map(|end| panel.x.at_clamped(end));
            canvas.rect((from, top), (to, bottom), BAND);
        }
        let at = (panel.x.start - 10.0, (top + bottom) / 2.0);
        let kind = Type::end(LEGEND_SIZE);
        canvas.centred(at, &self.label, kind, panel.x.start - MARGIN - 12.0);
    }

    /// Symbols with errors and their numbers, one method below the other.
    fn draw_points(&self, canvas: &mut Canvas, panel: &Panel, top: f64) {
        let kind = Type::end(NOTE_SIZE);
        for (method, residual) in self.values.iter().enumerate() {
            let y = top + ROW_MARGIN + (method as f64 + 0.5) * SLOT;
            let marker = Marker::of_method(method, RADIUS);
            let at = (WIDTH - MARGIN, y + 0.36 * NOTE_SIZE);
            if !residual.value.is_finite() {
                canvas.text(at, "–", kind.coloured(GREY));
                continue;
            }
            let error = size(residual.error);
            let ends = [residual.value - error, residual.value + error];
            let [from, to] = ends.map(|end| panel.x.at_clamped(end));
            canvas.line((from, y), (to, y), Stroke::solid(marker.colour, 1.6));
            if panel.x.shows(residual.value) {
                marker.draw(canvas, (panel.x.at(residual.value), y));
            } else {
                let (tip, way) = match residual.value > panel.x.high {
                    true => (panel.x.end - 2.0, -10.0),
                    false => (panel.x.start + 2.0, 10.0),
                };
                let base = tip + way;
                let corners = [(tip, y), (base, y - 5.0), (base, y + 5.0)];
                canvas.polygon(&corners, Fill(marker.colour, 1.0));
            }
            let room = WIDTH - MARGIN - panel.x.end - 10.0;
            canvas.fitted(at, &residual.written(), kind, room);
        }
    }
}

impl Residual {
    fn written(&self) -> String {
        let error = size(self.error);
        match error > 0.0 {
            true => format!("{} ± {}", number(self.value), number(error)),
            false => number(self.value),
        }
    }
}

/// Range about zero that shows all but points far from the bulk.
fn axis(rows: &[ResidualRow]) -> Axis {
    let all = rows.iter().flat_map(|row| &row.values);
    let pairs: Vec<(f64, f64)> = all.map(|r| (r.value, size(r.error))).collect();
    let finite = pairs.iter().filter(|(value, _)| value.is_finite());
    let reaches = finite.map(|(value, error)| value.abs() + error);
    let furthest = reaches.fold(0.0, f64::max);
    let bulk = layers::reach(&pairs);
    let reach = (1.08 * furthest).min(FOLLOWED * bulk).max(bulk * 0.8);
    let reach = if reach.is_finite() { reach } else { bulk };
    Axis::linear(-reach, reach)
}

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
    use crate::plot::examples;

    #[test]
    fn one_failure_does_not_hide_the_closure_of_the_rest() {
        let mut rows = vec![examples::residuals(&[-2.0, 0.5]).rows.remove(0); 6];
        let high = axis(&rows).high;
        assert!(high > 2.5 && high < 4.0, "{high}");
        rows[3].values[1].value = -900.0;
        let low = axis(&rows).low;
        assert!(low < -2.5 && low > -12.0, "{low}");
        assert!(axis(&examples::residuals(&[f64::NAN, 1.0]).rows).high > 0.0);
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
        let mut figure = examples::residuals(&[1.0, 1.0]);
        figure.rows = vec![figure.rows.remove(0); 500];
        let svg = figure.draw().expect("valid residuals").svg;
        assert!(svg.contains("and 380 more regions"));
        assert!(svg.len() < 400_000, "{}", svg.len());
    }
}
