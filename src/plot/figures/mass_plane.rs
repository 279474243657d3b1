//! A Gaussian process over the plane of two masses, in four panels: what it was
//! fitted to, its mean, its error, and its pulls.
//!
//! Input and prediction share one range of colours. Bins the fit left out are
//! hatched in the first panel whatever they hold, so a blinded region cannot
//! show. Pulls are centred at zero.

use super::plane::{draw_border, from_zero, span};
use super::*;
use std::ops::Range;

const SIDE: f64 = 300.0; // side of a panel
const BAR_ROOM: f64 = 112.0; // room right of a panel for its colour bar with numbers and label
const BAR_GAP: f64 = 12.0; // distance of the colour bar from the frame
const CAPTION: f64 = 26.0; // height of the line above each panel
const ROW_GAP: f64 = 16.0; // space between the two rows
const SPAN: (f64, f64) = (0.005, 0.995); // quantiles that colours span, against single hot bins
const PULL_REACH: (f64, f64) = (3.0, 10.0); // least and most reach of the colours of pulls
/// Most bins along an axis that are drawn; finer planes are averaged in blocks.
const FINEST: usize = 48;

/// Input, prediction, error and pulls of a fit in a plane. All values are
/// `[nx][ny]`; not finite means no value.
#[derive(Clone)]
pub(crate) struct MassPlane {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    /// `nx + 1` rising edges.
    pub x_edges: Vec<f64>,
    /// `ny + 1` rising edges.
    pub y_edges: Vec<f64>,
    pub observed: Vec<Vec<f64>>,
    /// Bins the fit used; the others are hatched in the first panel.
    pub fitted: Vec<Vec<bool>>,
    pub predicted: Vec<Vec<f64>>,
    pub error: Vec<Vec<f64>>,
    /// Pulls, of the bins that may be looked at.
    pub pull: Vec<Vec<f64>>,
    /// Label of the pulls' colour bar: what was divided by what.
    pub pull_label: String,
    pub region_label: String,
    pub regions: Vec<Vec<(f64, f64)>>,
}

struct Part<'a> {
    caption: &'a str,
    bar_label: &'a str,
    values: Vec<Vec<f64>>,
    range: (f64, f64),
    map: ColourMap,
}

impl MassPlane {
    /// Draws the figure; an error if edges do not rise or a list is not `nx` by `ny`.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        check::edges(&self.x_label, &self.x_edges)?;
        check::edges(&self.y_label, &self.y_edges)?;
        let (nx, ny) = (self.x_edges.len() - 1, self.y_edges.len() - 1);
        check::columns("observed", &self.observed, (nx, ny))?;
        check::columns("predicted", &self.predicted, (nx, ny))?;
        check::columns("error", &self.error, (nx, ny))?;
        check::columns("pull", &self.pull, (nx, ny))?;
        check::columns("fitted", &self.fitted, (nx, ny))?;
        let cells = Cells::of(&self.x_edges, &self.y_edges);
        let width = LEFT + 2.0 * (SIDE + BAR_ROOM);
        let height = HEADER + 2.0 * (CAPTION + SIDE) + ROW_GAP + BOTTOM;
        let mut canvas = Canvas::new(width, height);
        let x = Axis::linear(self.x_edges[0], self.x_edges[nx]);
        let y = Axis::linear(self.y_edges[0], self.y_edges[ny]);
        let sizes = (AXIS_SIZE, TICK_SIZE);
        let y_scale = grid::Scale::new(Side::Left, &self.y_label, 56.0, sizes, 50.0);
        let x_scale = grid::Scale::new(Side::Below, &self.x_label, 44.0, sizes, SIDE);
        for (index, part) in self.parts(&cells).iter().enumerate() {
            let (column, row) = (index % 2, index / 2);
            let left = LEFT + column as f64 * (SIDE + BAR_ROOM);
            let top = HEADER + CAPTION + row as f64 * (CAPTION + SIDE + ROW_GAP);
            let panel = Panel::new(x.over((left, left + SIDE)), y.over((top + SIDE, top)));
            let edges: [&[f64]; 2] = [&cells.x_edges, &cells.y_edges];
            let shown = Lists::cells(part.caption, edges, &part.values);
            canvas.record(PanelNumbers::new(&self.x_label, &self.y_label, [shown]));
            self.draw_part(&mut canvas, &panel, part, &cells, index == 0);
            if column == 0 {
                y_scale.draw(&mut canvas, &panel);
            }
            if row == 1 {
                x_scale.draw(&mut canvas, &panel);
            }
        }
        let title = match (cells.block, self.title.as_str()) {
            ((1, 1), title) => title.to_owned(),
            ((x, y), "") => format!("(drawn in blocks of {x} × {y} bins)"),
            ((x, y), title) => format!("{title} (drawn in blocks of {x} × {y} bins)"),
        };
        heading(&mut canvas, (LEFT, HEADER - 12.0), &title, width - 10.0);
        Ok(canvas.finish())
    }

    fn parts(&self, cells: &Cells) -> [Part<'_>; 4] {
        let input = cells.average(|i, j| match self.fitted[i][j] {
            true => self.observed[i][j],
            false => f64::NAN,
        });
        let of = |values: &Vec<Vec<f64>>| cells.average(|i, j| values[i][j]);
        let (predicted, error, pull) = (of(&self.predicted), of(&self.error), of(&self.pull));
        let range = |planes: &[&Vec<Vec<f64>>]| {
            let values = planes.iter().flat_map(|plane| plane.iter().flatten());
            span(values, SPAN).map_or((0.0, 1.0), |(low, high)| from_zero(low, high))
        };
        let events = range(&[&input, &predicted]);
        let errors = range(&[&error]);
        let (low, high) = range(&[&pull]);
        let reach = low.abs().max(high.abs()).clamp(PULL_REACH.0, PULL_REACH.1);
        let amount = |caption, values, range| Part {
            caption,
            bar_label: "Events / bin",
            values,
            range,
            map: ColourMap::Sequential,
        };
        [
            amount("(a) Input of the fit", input, events),
            amount("(b) Prediction", predicted, events),
            amount("(c) Error of the prediction", error, errors),
            Part {
                bar_label: &self.pull_label,
                map: ColourMap::Diverging,
                ..amount("(d) Pulls", pull, (-reach, reach))
            },
        ]
    }

    fn draw_part(
        &self,
        canvas: &mut Canvas,
        panel: &Panel,
        part: &Part<'_>,
        cells: &Cells,
        is_input: bool,
    ) {
        let (low, high) = part.range;
        let z = Axis::linear(low, high).over((panel.y.start, panel.y.end));
        let hatch = is_input.then(|| canvas.hatch(GREY));
        panel.clipped(canvas, |canvas| {
            let (a, b) = panel.corners();
            canvas.rect(a, b, Fill(EMPTY_CELL, 1.0));
            cells.draw(canvas, panel, &part.values, (&z, part.map));
            if let Some(hatch) = &hatch {
                self.left_out(canvas, panel, cells, hatch);
            }
            for region in &self.regions {
                draw_border(canvas, panel, region.clone());
                if is_input {
                    self.name_region(canvas, panel, region);
                }
            }
        });
        grid::frame(canvas, panel, TICK_SIZE, true);
        let left = panel.x.end + BAR_GAP;
        part.map.bar(canvas, left, &z, part.bar_label);
        let at = (panel.x.start, panel.y.end - 9.0);
        let kind = Type::start(LEGEND_SIZE);
        canvas.fitted(at, part.caption, kind, SIDE + BAR_ROOM - 12.0);
    }

    /// Hatches the cells without a bin that the fit used, column by column.
    fn left_out(&self, canvas: &mut Canvas, panel: &Panel, cells: &Cells, hatch: &str) {
        let fitted = cells.values(|i, j| cells.bins(i, j).any(|(i, j)| self.fitted[i][j]));
        for (i, column) in fitted.iter().enumerate() {
            for (range, _) in runs(column).filter(|(_, is_fitted)| !is_fitted) {
                let [a, b] = cells.corners(panel, i, range);
                canvas.rect(a, b, Fill("#ffffff", 1.0));
                canvas.rect(a, b, Fill(hatch, 0.6));
            }
        }
    }

    /// Writes the name in the middle of a region's border.
    fn name_region(&self, canvas: &mut Canvas, Panel { x, y }: &Panel, region: &[(f64, f64)]) {
        let placed = region.iter();
        let placed = placed.map(|at| (x.at_clamped(at.0), y.at_clamped(at.1)));
        let finite = placed.filter(|(x, y)| x.is_finite() && y.is_finite());
        let (left, right) = ends(finite.clone().map(|at| at.0));
        let (top, bottom) = ends(finite.map(|at| at.1));
        let at = ((left + right) / 2.0, (top + bottom) / 2.0);
        let kind = Type::middle(LEGEND_SIZE).with_halo();
        let room = (right - left - 12.0).max(40.0);
        canvas.centred(at, &self.region_label, kind, room);
    }
}

/// The cells of a plane as they are drawn: its bins, or blocks of them if there
/// are more than a picture shows and a file should hold.
struct Cells {
    x_edges: Vec<f64>,
    y_edges: Vec<f64>,
    /// Bins along x and y, as given.
    bins: (usize, usize),
    /// Bins along x and y that make one drawn cell.
    block: (usize, usize),
}

impl Cells {
    fn of(x_edges: &[f64], y_edges: &[f64]) -> Self {
        let coarse = |edges: &[f64]| {
            let block = (edges.len() - 1).div_ceil(FINEST);
            let mut kept: Vec<f64> = edges.iter().copied().step_by(block).collect();
            if !(edges.len() - 1).is_multiple_of(block) {
                kept.extend(edges.last());
            }
            (kept, block)
        };
        let ((x, x_block), (y, y_block)) = (coarse(x_edges), coarse(y_edges));
        Self {
            x_edges: x,
            y_edges: y,
            bins: (x_edges.len() - 1, y_edges.len() - 1),
            block: (x_block, y_block),
        }
    }

    fn bins(&self, i: usize, j: usize) -> impl Iterator<Item = (usize, usize)> {
        let range =
            |cell: usize, block: usize, bins: usize| (cell * block)..((cell + 1) * block).min(bins);
        let rows = range(j, self.block.1, self.bins.1);
        range(i, self.block.0, self.bins.0).flat_map(move |i| rows.clone().map(move |j| (i, j)))
    }

    /// One value for each drawn cell.
    fn values<T>(&self, value: impl Fn(usize, usize) -> T) -> Vec<Vec<T>> {
        let (nx, ny) = (self.x_edges.len() - 1, self.y_edges.len() - 1);
        let value = &value;
        let column = |i: usize| (0..ny).map(move |j| value(i, j)).collect();
        (0..nx).map(column).collect()
    }

    /// Mean over each drawn cell of the values that are finite.
    fn average(&self, value: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
        self.values(|i, j| {
            let values = self.bins(i, j).map(|(i, j)| value(i, j));
            let finite: Vec<f64> = values.filter(|value| value.is_finite()).collect();
            // Divided first: a sum of huge values is not finite.
            let count = finite.len() as f64;
            match finite.is_empty() {
                true => f64::NAN,
                false => finite.iter().map(|value| value / count).sum(),
            }
        })
    }

    /// Pixels of a range of cells in a column.
    fn corners(&self, panel: &Panel, i: usize, range: Range<usize>) -> [(f64, f64); 2] {
        let (x, y) = (&self.x_edges, &self.y_edges);
        [(x[i], y[range.start]), (x[i + 1], y[range.end])].map(|corner| panel.at(corner))
    }

    /// Draws cell values, neighbours of a column with one colour as one.
    fn draw(
        &self,
        canvas: &mut Canvas,
        panel: &Panel,
        values: &[Vec<f64>],
        (z, map): (&Axis, ColourMap),
    ) {
        let columns = values.iter().enumerate();
        let cells = columns.flat_map(|(i, column)| {
            let levels: Vec<_> = column.iter().map(|v| colours::level(z, *v)).collect();
            let cell = |(range, level)| (level, self.corners(panel, i, range));
            runs(&levels).map(cell).collect::<Vec<_>>()
        });
        map.cells(canvas, cells);
    }
}

/// Ranges of equal neighbours.
fn runs<T: Copy + PartialEq>(values: &[T]) -> impl Iterator<Item = (Range<usize>, T)> {
    let mut end = 0;
    values.chunk_by(|a, b| a == b).map(move |chunk| {
        end += chunk.len();
        (end - chunk.len()..end, chunk[0])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::examples;

    fn plane(bins: usize) -> MassPlane {
        let edges: Vec<f64> = (0..=bins).map(|edge| edge as f64).collect();
        let values = vec![vec![2.0; bins]; bins];
        let mut fitted = vec![vec![true; bins]; bins];
        fitted[1][1] = false;
        let mut observed = values.clone();
        observed[1][1] = 1e6;
        MassPlane {
            x_edges: edges.clone(),
            y_edges: edges,
            observed,
            fitted,
            predicted: values.clone(),
            error: values.clone(),
            pull: values,
            ..examples::mass_plane(&[1.0; 3], 0)
        }
    }

    #[test]
    fn a_bin_left_out_neither_shows_nor_sets_the_colours() {
        for bins in [5, 100] {
            let plane = plane(bins);
            let [input, ..] = plane.parts(&Cells::of(&plane.x_edges, &plane.y_edges));
            let mut shown = input.values.iter().flatten().filter(|v| v.is_finite());
            assert!(shown.all(|value| (value - 2.0).abs() < 1e-9));
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
        let values = &noise.observed;
        (noise.predicted, noise.error, noise.pull) =
            (values.clone(), values.clone(), values.clone());
        let figure = noise.draw().expect("a valid plane");
        assert!(figure.svg.len() < 400_000, "{}", figure.svg.len());
    }

    #[test]
    fn fine_planes_are_drawn_in_blocks() {
        let edges: Vec<f64> = (0..=100).map(f64::from).collect();
        let cells = Cells::of(&edges, &edges[..6]);
        assert_eq!(cells.block, (3, 1));
        assert_eq!(cells.x_edges.len(), 35);
        assert_eq!(cells.x_edges[32..], [96.0, 99.0, 100.0]);
        assert_eq!(cells.bins(33, 0).collect::<Vec<_>>(), [(99, 0)]);
        let average = cells.average(|i, _| if i == 1 { f64::NAN } else { i as f64 });
        assert_eq!((average[0][0], average[33][4]), (1.0, 99.0));
    }

    #[test]
    fn runs_join_equal_neighbours() {
        let joined: Vec<_> = runs(&[1, 1, 2, 1]).collect();
        assert_eq!(joined, [(0..2, 1), (2..3, 2), (3..4, 1)]);
        assert!(runs::<u8>(&[]).next().is_none());
    }
}
