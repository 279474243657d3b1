//! A Gaussian process over the plane of two masses, in four panels: what it was
//! fitted to, its mean, its error, and its pulls.
//!
//! Input and prediction share one range of colours. Bins the fit left out are
//! hatched in the first panel whatever they hold, so a blinded region cannot
//! show. Pulls are centred at zero.

mod binning;

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Stroke, Type};
use super::colours::ColourMap;
use super::grid::{self, Side};
use super::panel::Panel;
use super::plane::{HEADER, colour_bar};
use super::style::{AXIS_SIZE, BOTTOM, EMPTY_CELL, GREY, INK, LEFT, LEGEND_SIZE, TICK_SIZE};
use super::text;
use super::{Figure, PlotError, check_edges, check_length};
use binning::{Binning, runs};

/// Side of a panel.
const SIDE: f64 = 300.0;
/// Room right of a panel for its colour bar with numbers and label.
const BAR_ROOM: f64 = 112.0;
/// Distance of the colour bar from the frame.
const BAR_GAP: f64 = 12.0;
/// Height of the line above each panel.
const CAPTION: f64 = 26.0;
/// Space between the two rows.
const ROW_GAP: f64 = 16.0;
/// Quantiles that colours span, against single hot bins.
const SPAN: (f64, f64) = (0.005, 0.995);
/// Least reach of the colours of pulls.
const LEAST_PULL: f64 = 3.0;
/// Largest reach of the colours of pulls.
const MOST_PULL: f64 = 10.0;

/// Input, prediction, error and pulls of a fit in a plane. All values are
/// `[nx][ny]`; not finite means no value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MassPlane {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the x axis.
    pub x_label: String,
    /// Label of the y axis.
    pub y_label: String,
    /// `nx + 1` rising edges.
    pub x_edges: Vec<f64>,
    /// `ny + 1` rising edges.
    pub y_edges: Vec<f64>,
    /// Observed events.
    pub observed: Vec<Vec<f64>>,
    /// Bins the fit used; the others are hatched in the first panel.
    pub fitted: Vec<Vec<bool>>,
    /// Predicted events.
    pub predicted: Vec<Vec<f64>>,
    /// Error of the prediction.
    pub error: Vec<Vec<f64>>,
    /// Pulls, of the bins that may be looked at.
    pub pull: Vec<Vec<f64>>,
    /// Label of the pulls' colour bar: what was divided by what.
    pub pull_label: String,
    /// Name of each region.
    #[serde(default)]
    pub region_label: String,
    /// Borders of the regions, in the units of the axes.
    #[serde(default)]
    pub regions: Vec<Vec<(f64, f64)>>,
}

/// One of the four panels.
struct Part<'a> {
    caption: &'a str,
    bar_label: &'a str,
    values: Vec<Vec<f64>>,
    range: (f64, f64),
    map: ColourMap,
}

impl MassPlane {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError`] if edges do not rise or a list is not `nx` by `ny`.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        self.check()?;
        let binning = Binning::of(&self.x_edges, &self.y_edges);
        let height = HEADER + 2.0 * (CAPTION + SIDE) + ROW_GAP + BOTTOM;
        let mut canvas = Canvas::new(LEFT + 2.0 * (SIDE + BAR_ROOM), height);
        for (index, part) in self.parts(&binning).iter().enumerate() {
            let (column, row) = (index % 2, index / 2);
            let left = LEFT + column as f64 * (SIDE + BAR_ROOM);
            let top = HEADER + CAPTION + row as f64 * (CAPTION + SIDE + ROW_GAP);
            let ends = |edges: &[f64]| (edges[0], edges[edges.len() - 1]);
            let (x, y) = (ends(&self.x_edges), ends(&self.y_edges));
            let panel = Panel {
                x: Axis::new(Scale::Linear, x.0, x.1, (left, left + SIDE)),
                y: Axis::new(Scale::Linear, y.0, y.1, (top + SIDE, top)),
            };
            self.draw_part(&mut canvas, &panel, part, &binning, index == 0);
            if column == 0 {
                grid::numbers(&mut canvas, &panel, Side::Left, TICK_SIZE, 50.0);
                let sizes = (AXIS_SIZE, TICK_SIZE);
                grid::label(
                    &mut canvas,
                    &panel,
                    (Side::Left, 56.0),
                    &self.y_label,
                    sizes,
                );
            }
            if row == 1 {
                grid::numbers(&mut canvas, &panel, Side::Below, TICK_SIZE, SIDE);
                let sizes = (AXIS_SIZE, TICK_SIZE);
                grid::label(
                    &mut canvas,
                    &panel,
                    (Side::Below, 44.0),
                    &self.x_label,
                    sizes,
                );
            }
        }
        let end = LEFT + 2.0 * (SIDE + BAR_ROOM) - 10.0;
        grid::heading(
            &mut canvas,
            (LEFT, HEADER - 12.0),
            &self.heading(&binning),
            end,
        );
        Ok(canvas.finish())
    }

    fn check(&self) -> Result<(), PlotError> {
        check_edges(&format!("edges of {}", self.x_label), &self.x_edges)?;
        check_edges(&format!("edges of {}", self.y_label), &self.y_edges)?;
        let (nx, ny) = (self.x_edges.len() - 1, self.y_edges.len() - 1);
        let lists = [
            ("observed", &self.observed),
            ("predicted", &self.predicted),
            ("error", &self.error),
            ("pull", &self.pull),
        ];
        for (name, columns) in lists {
            let lengths = columns.iter().map(Vec::len);
            check_shape(name, lengths, (nx, ny))?;
        }
        check_shape("fitted", self.fitted.iter().map(Vec::len), (nx, ny))
    }

    fn heading(&self, binning: &Binning) -> String {
        match binning.block {
            (1, 1) => self.title.clone(),
            (x, y) => format!("{} (drawn in blocks of {x} × {y} bins)", self.title)
                .trim_start()
                .to_owned(),
        }
    }

    fn parts(&self, binning: &Binning) -> [Part<'_>; 4] {
        let is_fitted = |i: usize, j: usize| self.fitted[i][j];
        let input = binning.average(|i, j| match is_fitted(i, j) {
            true => self.observed[i][j],
            false => f64::NAN,
        });
        let of = |values: &Vec<Vec<f64>>| binning.average(|i, j| values[i][j]);
        let (predicted, error, pull) = (of(&self.predicted), of(&self.error), of(&self.pull));
        let events = span(&[&input, &predicted]);
        let reach = span(&[&pull]);
        let reach = reach
            .0
            .abs()
            .max(reach.1.abs())
            .clamp(LEAST_PULL, MOST_PULL);
        let part = |caption, bar_label, values, range, map| Part {
            caption,
            bar_label,
            values,
            range,
            map,
        };
        let amount = ColourMap::Sequential;
        let error_range = span(&[&error]);
        [
            part(
                "(a) Input of the fit",
                "Events / bin",
                input,
                events,
                amount,
            ),
            part("(b) Prediction", "Events / bin", predicted, events, amount),
            part(
                "(c) Error of the prediction",
                "Events / bin",
                error,
                error_range,
                amount,
            ),
            part(
                "(d) Pulls",
                &self.pull_label,
                pull,
                (-reach, reach),
                ColourMap::Diverging,
            ),
        ]
    }

    fn draw_part(
        &self,
        canvas: &mut Canvas,
        panel: &Panel,
        part: &Part<'_>,
        binning: &Binning,
        is_input: bool,
    ) {
        let z = Axis::new(
            Scale::Linear,
            part.range.0,
            part.range.1,
            (panel.y.start, panel.y.end),
        );
        let hatch = is_input.then(|| canvas.hatch(GREY));
        panel.clipped(canvas, |canvas| {
            let (a, b) = panel.corners();
            canvas.rect(a, b, EMPTY_CELL, 1.0);
            binning.cells(canvas, panel, &part.values, (&z, part.map));
            if let Some(hatch) = &hatch {
                self.left_out(canvas, panel, binning, hatch);
            }
            for region in &self.regions {
                let border: Vec<(f64, f64)> =
                    region.iter().map(|(x, y)| panel.at(*x, *y)).collect();
                canvas.polyline(&border, Stroke::solid("#ffffff", 4.0).faded(0.75));
                canvas.polyline(&border, Stroke::solid(INK, 1.8));
                if is_input {
                    self.name_region(canvas, panel, region);
                }
            }
        });
        grid::frame(canvas, panel, TICK_SIZE, true);
        let left = panel.x.end + BAR_GAP;
        colour_bar(canvas, left, &z, part.map, part.bar_label);
        let at = (panel.x.start, panel.y.end - 9.0);
        let room = SIDE + BAR_ROOM - 12.0;
        let (caption, size) = text::fit(part.caption, LEGEND_SIZE, false, room);
        canvas.text(at, &caption, Type::new(size, Anchor::Start));
    }

    /// Hatches the cells without a bin that the fit used, column by column.
    fn left_out(&self, canvas: &mut Canvas, panel: &Panel, binning: &Binning, hatch: &str) {
        let fitted = binning.cell_values(|i, j| binning.bins(i, j).any(|(i, j)| self.fitted[i][j]));
        for (i, column) in fitted.iter().enumerate() {
            for (range, is_fitted) in runs(column) {
                if is_fitted {
                    continue;
                }
                let a = panel.at(binning.x_edges[i], binning.y_edges[range.start]);
                let b = panel.at(binning.x_edges[i + 1], binning.y_edges[range.end]);
                canvas.rect(a, b, "#ffffff", 1.0);
                canvas.rect(a, b, hatch, 0.6);
            }
        }
    }

    /// Writes the name in the middle of a region's border.
    fn name_region(&self, canvas: &mut Canvas, panel: &Panel, region: &[(f64, f64)]) {
        let finite: Vec<(f64, f64)> = region
            .iter()
            .map(|(x, y)| (panel.x.at_clamped(*x), panel.y.at_clamped(*y)))
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        let ends = |pick: fn(&(f64, f64)) -> f64| {
            let fold = |(low, high): (f64, f64), at: f64| (low.min(at), high.max(at));
            finite
                .iter()
                .map(pick)
                .fold((f64::INFINITY, f64::NEG_INFINITY), fold)
        };
        let ((left, right), (top, bottom)) = (ends(|at| at.0), ends(|at| at.1));
        if finite.is_empty() {
            return;
        }
        let room = (right - left - 12.0).max(40.0);
        let (label, size) = text::fit(&self.region_label, LEGEND_SIZE, false, room);
        let kind = Type {
            halo: true,
            ..Type::new(size, Anchor::Middle)
        };
        let at = ((left + right) / 2.0, (top + bottom) / 2.0 + 0.36 * size);
        canvas.text(at, &label, kind);
    }
}

/// Checks that there are `nx` columns of `ny` bins.
fn check_shape(
    name: &str,
    lengths: impl ExactSizeIterator<Item = usize>,
    (nx, ny): (usize, usize),
) -> Result<(), PlotError> {
    check_length(&format!("columns of {name}"), lengths.len(), nx)?;
    for (index, length) in lengths.enumerate() {
        check_length(&format!("column {index} of {name}"), length, ny)?;
    }
    Ok(())
}

/// Range of the bulk of all values; from zero unless they are far from it.
fn span(planes: &[&Vec<Vec<f64>>]) -> (f64, f64) {
    let all = planes.iter().flat_map(|plane| plane.iter().flatten());
    let mut values: Vec<f64> = all.copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else {
        return (0.0, 1.0);
    };
    let at = |probability: f64| values[(probability * last as f64).round() as usize];
    let (low, high) = (at(SPAN.0), at(SPAN.1));
    if low > 0.0 && low < 0.3 * high {
        (0.0, high)
    } else {
        (low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(bins: usize) -> MassPlane {
        let edges: Vec<f64> = (0..=bins).map(|edge| edge as f64).collect();
        let values = vec![vec![2.0; bins]; bins];
        let mut fitted = vec![vec![true; bins]; bins];
        fitted[1][1] = false;
        let mut observed = values.clone();
        observed[1][1] = 1e6;
        MassPlane {
            title: String::new(),
            x_label: "x".to_owned(),
            y_label: "y".to_owned(),
            x_edges: edges.clone(),
            y_edges: edges,
            observed,
            fitted,
            predicted: values.clone(),
            error: values.clone(),
            pull: values,
            pull_label: String::new(),
            region_label: "SR".to_owned(),
            regions: vec![vec![(1.0, 1.0), (2.0, 1.0), (2.0, 2.0)]],
        }
    }

    #[test]
    fn a_bin_left_out_neither_shows_nor_sets_the_colours() {
        for bins in [5, 100] {
            let plane = plane(bins);
            let binning = Binning::of(&plane.x_edges, &plane.y_edges);
            let [input, ..] = plane.parts(&binning);
            let shown = input
                .values
                .iter()
                .flatten()
                .filter(|value| value.is_finite());
            assert!(shown.copied().all(|value| (value - 2.0).abs() < 1e-9));
            assert!(input.range.1 < 2.1, "{:?}", input.range);
            let mut revealed = plane.clone();
            revealed.observed[1][1] = 3.0;
            assert_eq!(plane.draw(), revealed.draw());
        }
    }

    #[test]
    fn noise_in_every_bin_stays_small() {
        let mut noise = plane(96);
        for (index, value) in noise.observed.iter_mut().flatten().enumerate() {
            *value = ((index * 7919) % 1009) as f64;
        }
        noise.predicted = noise.observed.clone();
        noise.error = noise.observed.clone();
        noise.pull = noise.observed.clone();
        let figure = noise.draw().expect("a valid plane");
        assert!(figure.svg.len() < 400_000, "{}", figure.svg.len());
    }

    #[test]
    fn a_short_column_is_named() {
        let mut plane = plane(3);
        plane.fitted[2].pop();
        let error = plane.draw().expect_err("a column is short");
        assert_eq!(
            error.to_string(),
            "column 2 of fitted: found 2 entries, expected 3"
        );
    }
}
