//! Every pair of variables at once: data below the diagonal, samples above,
//! both distributions on it (Figure 13.8 of the HH -> 4b thesis).
//!
//! A column has one range of x and a row one range of y. The two maps of a pair
//! share a scale of shades; the distributions on the diagonal have unit area.

use super::*;

const VARIABLES: (usize, usize) = (2, 12); // fewest and most variables
const PANELS: f64 = 760.0; // width of the panels together that their size aims at
const SIDE: (f64, f64) = (78.0, 240.0); // smallest and largest side of a panel
const GAP: f64 = 7.0;
const SIDE_MARGIN: f64 = 66.0; // left and right margin: numbers and label
const HEADER: f64 = 44.0; // brand and title
const LEGEND_LINE: f64 = 24.0; // height of a line of the legend
const KEYS: f64 = 44.0; // symbols of a legend's entry
const ENTRY_GAP: f64 = 26.0; // space between two entries on a line
const BELOW: f64 = 48.0; // bottom margin: numbers and label
const PIXELS_A_BIN: f64 = 2.5; // pixels of the smallest bin of a map
const PIXELS_A_STEP: f64 = 5.0; // pixels of the smallest bin of a histogram
const MOST_STEPS: usize = 40;
const FULL: f64 = 0.9; // part of a diagonal panel that its highest bin takes
/// The samples' histogram and the area under it, the data's points.
const LINE: Stroke<'_> = Stroke::solid(BLUE, 1.4);
const AREA: Fill<'_> = Fill(BLUE, 0.25);
const POINT: Marker<'_> = Marker::dot(INK, 1.5);

/// Pairs of variables, data against samples.
pub(crate) struct Corner {
    pub title: String,
    /// Labels of the variables, `[D]`.
    pub variables: Vec<String>,
    /// Below the diagonal, and points on it; without events where blinded.
    pub data: Sample,
    /// Above the diagonal, and the line on it.
    pub samples: Sample,
}

/// Ranges, and where panels go.
struct Grid {
    ranges: Vec<(f64, f64)>,
    side: f64,
    top: f64,
    /// Labels of the legend and where their symbols begin, data first.
    legend: [(String, (f64, f64)); 2],
}

impl Corner {
    /// Draws the figure; an error if there are fewer than 2 or more than 12 variables, or a list
    /// has the wrong length.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let count = self.variables.len();
        let allowed = count.clamp(VARIABLES.0, VARIABLES.1);
        check::length("variables of the corner plot, 2 to 12", count, allowed)?;
        self.data.check(count)?;
        self.samples.check(count)?;
        let grid = self.grid();
        let panels = count as f64 * (grid.side + GAP) - GAP;
        let width = panels + 2.0 * SIDE_MARGIN;
        let mut canvas = Canvas::new(width, grid.top + panels + BELOW);
        let clouds = self.clouds(&grid);
        let maps = density::maps(&clouds, (grid.side / PIXELS_A_BIN) as usize);
        for (cloud, map) in clouds.iter().zip(&maps) {
            map.draw(&mut canvas);
            canvas.record(cloud.numbers(map, &self.variables));
        }
        for variable in 0..count {
            self.draw_distribution(&mut canvas, &grid, variable);
        }
        for row in 0..count {
            for column in 0..count {
                self.surround(&mut canvas, &grid, (row, column));
            }
        }
        heading(&mut canvas, (SIDE_MARGIN, 28.0), &self.title, width - 10.0);
        grid.draw_legend(&mut canvas);
        Ok(canvas.finish())
    }

    fn grid(&self) -> Grid {
        let count = self.variables.len();
        let range = |variable: usize| {
            let (data, samples) = (&self.data.values[variable], &self.samples.values[variable]);
            density::range(&[data], &[samples])
        };
        let side = (PANELS + GAP) / count as f64 - GAP;
        let side = side.clamp(SIDE.0, SIDE.1);
        let room = count as f64 * (side + GAP) - GAP - KEYS;
        let label = |sample: &Sample, place: &str| {
            let count = match sample.events() {
                0 => "no events".to_owned(),
                count => format!("{count} events"),
            };
            format!("{} ({count}), {place} the diagonal", sample.label)
        };
        let [data, samples] = [label(&self.data, "below"), label(&self.samples, "above")];
        let width = |label: &str| text::width(label, LEGEND_SIZE, false);
        let beside = width(&data) + ENTRY_GAP + KEYS;
        let (x, y) = (SIDE_MARGIN, HEADER + 0.5 * LEGEND_LINE);
        let (second, lines) = match beside + width(&samples) <= room {
            true => ((x + beside, y), 1.0),
            false => ((x, y + LEGEND_LINE), 2.0),
        };
        Grid {
            ranges: (0..count).map(range).collect(),
            side,
            top: HEADER + lines * LEGEND_LINE + 8.0,
            legend: [(data, (x, y)), (samples, second)],
        }
    }

    fn clouds(&self, grid: &Grid) -> Vec<Cloud<'_>> {
        let count = self.variables.len();
        let pairs = (0..count).flat_map(|row| (0..count).map(move |column| (row, column)));
        let cloud = |(row, column): (usize, usize)| {
            let (sample, ramp) = match row > column {
                true => (&self.data, Ramp::Observed),
                false => (&self.samples, Ramp::Predicted),
            };
            Cloud {
                sample,
                variables: (column, row),
                panel: grid.panel(row, column),
                ramp,
                scale: row.max(column) * count + row.min(column),
            }
        };
        pairs
            .filter(|(row, column)| row != column)
            .map(cloud)
            .collect()
    }

    /// Both histograms of a variable, in its panel on the diagonal.
    fn draw_distribution(&self, canvas: &mut Canvas, grid: &Grid, variable: usize) {
        let panel = grid.panel(variable, variable);
        let most = ((grid.side / PIXELS_A_STEP) as usize).min(MOST_STEPS);
        let bins = match (self.data.events() as f64).sqrt() as usize {
            0 => most,
            wanted => wanted.clamp(5, most),
        };
        let [data, samples] = [&self.data, &self.samples]
            .map(|sample| histogram(&sample.values[variable], &panel.x, bins));
        let (_, top) = ends(data.iter().chain(&samples).map(|(value, _)| *value));
        let (low, high) = (panel.x.low, panel.x.high);
        // Weighted, so that the difference of huge ends stays finite.
        let edge = |edge: usize| {
            let part = edge as f64 / bins as f64;
            low * (1.0 - part) + high * part
        };
        let edges: Vec<f64> = (0..=bins).map(edge).collect();
        let (values, errors): (Vec<f64>, Vec<f64>) = data.into_iter().unzip();
        let heights: Vec<f64> = samples.into_iter().map(|(value, _)| value).collect();
        let dots = Dot::in_bins(&edges, 0.5, &values, &errors);
        let marks = [
            Mark::StepBand(&edges, [vec![0.0; bins], heights.clone()], AREA),
            Mark::Steps(&edges, heights, LINE),
            Mark::Errors(dots.filter(|dot| dot.y != 0.0).collect(), POINT, 1.0),
        ];
        let labels = [&self.samples, &self.samples, &self.data];
        let lists = marks.iter().filter_map(Mark::lists).zip(labels);
        let lists = lists.map(|(lists, sample)| lists.labelled(&sample.label));
        canvas.record(PanelNumbers::new(&self.variables[variable], "", lists));
        let y = Axis::linear(0.0, top / FULL).over((panel.y.start, panel.y.end));
        Panel { y, ..panel }.draw(canvas, &marks);
    }

    fn surround(&self, canvas: &mut Canvas, grid: &Grid, (row, column): (usize, usize)) {
        let panel = grid.panel(row, column);
        let last = self.variables.len() - 1;
        let size = (0.1 * grid.side).clamp(9.5, 13.0);
        grid::frame(canvas, &panel, size, row != column);
        let (x, y) = (&self.variables[column], &self.variables[row]);
        // The panel on the diagonal has no y axis of its variable.
        let scales = [
            (row == last, Side::Below, x, size + 25.0),
            (column == 0 && row > 0, Side::Left, y, 46.0),
            (column == last && row < last, Side::Right, y, 56.0),
        ];
        for (_, side, label, off) in scales.into_iter().filter(|(is_shown, ..)| *is_shown) {
            let sizes = ((1.25 * size).max(12.5), size);
            grid::Scale::new(side, label, off, sizes, 40.0).draw(canvas, &panel);
        }
    }
}

impl Grid {
    fn draw_legend(&self, canvas: &mut Canvas) {
        let end = self.panel(0, self.ranges.len() - 1).x.end;
        let ramps = [Ramp::Observed, Ramp::Predicted];
        for ((label, (x, y)), ramp) in self.legend.iter().zip(ramps) {
            let shade = ramp.middle();
            canvas.rect((*x, y - 6.0), (x + 14.0, y + 6.0), Fill(&shade, 1.0));
            let (from, to) = ((x + 19.0, *y), (x + 37.0, *y));
            match ramp {
                Ramp::Observed => {
                    let middle = (from.0 + to.0) / 2.0;
                    let bar = Stroke::solid(INK, 1.0);
                    canvas.line((middle, y - 7.0), (middle, y + 7.0), bar);
                    POINT.draw(canvas, (middle, *y));
                }
                Ramp::Predicted => {
                    canvas.rect((from.0, y - 6.0), (to.0, y + 6.0), AREA);
                    canvas.line(from, to, LINE);
                }
            }
            let kind = Type::start(LEGEND_SIZE);
            canvas.centred((x + KEYS, *y), label, kind, end - x - KEYS);
        }
    }

    /// Panel of a row and a column, top left first.
    fn panel(&self, row: usize, column: usize) -> Panel {
        let step = self.side + GAP;
        let left = SIDE_MARGIN + column as f64 * step;
        let top = self.top + row as f64 * step;
        let [x, y] = [column, row].map(|variable| {
            let (low, high) = self.ranges[variable];
            Axis::linear(low, high)
        });
        let (right, bottom) = (left + self.side, top + self.side);
        Panel::new(x.over((left, right)), y.over((bottom, top)))
    }
}

/// A histogram of unit area: heights in parts of a bin, and their errors.
fn histogram(values: &[f64], axis: &Axis, bins: usize) -> Vec<(f64, f64)> {
    let mut counts = vec![0.0f64; bins];
    for bin in values.iter().filter_map(|v| density::bin(axis, *v, bins)) {
        counts[bin] += 1.0;
    }
    let all = counts.iter().sum::<f64>().max(1.0);
    let part = |count: f64| (count / all, count.sqrt() / all);
    counts.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::examples;

    fn corner(variables: usize) -> Corner {
        let list = |v: usize| (0..300).map(move |event| ((event * (2 * v + 7)) % 97) as f64);
        let mut corner = examples::corner(&[]);
        corner.variables = (0..variables).map(|v| format!("x_{{{v}}}")).collect();
        corner.data.values = (0..variables).map(|v| list(v).collect()).collect();
        corner.samples.values = (0..variables).map(|v| list(v).skip(9).collect()).collect();
        corner
    }

    #[test]
    fn histograms_have_unit_area_and_errors_of_their_counts() {
        let axis = Axis::linear(0.0, 2.0);
        let histogram = histogram(&[0.5, 1.5, 1.2, 1.1, 1.9, 7.0, f64::NAN], &axis, 2);
        assert_eq!(histogram, [(0.2, 0.2), (0.8, 0.4)]);
    }

    #[test]
    fn the_two_maps_of_a_pair_share_axes_and_scale() {
        let corner = corner(4);
        let clouds = corner.clouds(&corner.grid());
        assert_eq!(clouds.len(), 12);
        for cloud in &clouds {
            let (x, y) = cloud.variables;
            let twin = clouds.iter().find(|twin| twin.variables == (y, x));
            let twin = twin.expect("each pair is drawn twice");
            assert_eq!(twin.scale, cloud.scale);
            let (a, b) = (twin.panel.x, cloud.panel.y);
            assert_eq!((a.low, a.high), (b.low, b.high));
            assert_ne!(twin.ramp, cloud.ramp);
        }
    }

    #[test]
    fn two_to_twelve_variables_are_drawn_and_stay_small() {
        for variables in [2, 6, 12] {
            let figure = corner(variables).draw().expect("a valid corner plot");
            assert!(figure.svg.len() < 400_000, "{}", figure.svg.len());
        }
        for variables in [0, 1, 13] {
            let refused = corner(variables).draw();
            assert!(matches!(refused, Err(PlotError::Length { .. })));
        }
    }
}
