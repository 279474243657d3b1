//! Every pair of variables at once: data below the diagonal, samples above,
//! both distributions on it (Figure 13.8 of the HH -> 4b thesis).
//!
//! A column has one range of x and a row one range of y. The two maps of a pair
//! share a scale of shades; the distributions on the diagonal have unit area.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Stroke, Type};
use super::density::{self, Cloud, Ramp, Sample};
use super::grid::{self, Side};
use super::panel::Panel;
use super::shapes::{Marker, band, error_bar, steps};
use super::style::{BLUE, INK, LEGEND_SIZE, ORANGE};
use super::text;
use super::{Figure, PlotError};

/// Fewest and most variables.
const VARIABLES: (usize, usize) = (2, 12);
/// Width of the panels together that their size aims at.
const PANELS: f64 = 760.0;
/// Smallest and largest side of a panel.
const SIDE: (f64, f64) = (78.0, 240.0);
/// Space between panels.
const GAP: f64 = 7.0;
/// Left and right margin: numbers and label.
const SIDE_MARGIN: f64 = 66.0;
/// Brand and title.
const HEADER: f64 = 44.0;
/// Height of a line of the legend.
const LEGEND_LINE: f64 = 24.0;
/// Symbols of a legend's entry.
const KEYS: f64 = 44.0;
/// Space between two entries on a line.
const ENTRY_GAP: f64 = 26.0;
/// Bottom margin: numbers and label.
const BELOW: f64 = 48.0;
/// Pixels of the smallest bin of a map.
const PIXELS_A_BIN: f64 = 2.5;
/// Pixels of the smallest bin of a histogram.
const PIXELS_A_STEP: f64 = 5.0;
/// Most bins of a histogram.
const MOST_STEPS: usize = 40;
/// Opacity of the area under the samples' histogram.
const AREA_OPACITY: f64 = 0.25;
/// Part of a diagonal panel that its highest bin takes.
const FULL: f64 = 0.9;

/// Pairs of variables, data against samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Corner {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// Labels of the variables, `[D]`.
    pub variables: Vec<String>,
    /// Below the diagonal, and points on it; without events where blinded.
    pub data: Sample,
    /// Above the diagonal, and the line on it.
    pub samples: Sample,
    /// Pairs of variables with a coloured frame, to point at.
    #[serde(default)]
    pub highlight: Vec<(usize, usize)>,
}

/// Ranges, and where panels go.
struct Layout {
    ranges: Vec<(f64, f64)>,
    side: f64,
    /// Upper end of the first row.
    top: f64,
    /// Labels of the legend and where their symbols begin, data first.
    legend: [(String, (f64, f64)); 2],
}

/// A histogram of unit area: heights in parts of a bin, and their errors.
struct Histogram {
    values: Vec<f64>,
    errors: Vec<f64>,
}

impl Corner {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError`] if there are fewer than 2 or more than 12 variables, or a
    /// list has the wrong length.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        self.check()?;
        let count = self.variables.len();
        let layout = self.layout();
        let side = layout.side;
        let panels = count as f64 * (side + GAP) - GAP;
        let width = panels + 2.0 * SIDE_MARGIN;
        let mut canvas = Canvas::new(width, layout.top + panels + BELOW);
        let clouds = self.clouds(&layout);
        for map in density::maps(&clouds, (side / PIXELS_A_BIN) as usize) {
            map.draw(&mut canvas);
        }
        for variable in 0..count {
            self.distribution(&mut canvas, &layout, variable);
        }
        let size = (0.1 * side).clamp(9.5, 13.0);
        for row in 0..count {
            for column in 0..count {
                self.surround(&mut canvas, &layout, (row, column), size);
            }
        }
        for (a, b) in &self.highlight {
            for (row, column) in [(*a, *b), (*b, *a)] {
                if row.max(column) < count {
                    let (from, to) = layout.panel(row, column).corners();
                    canvas.outline(from, to, Stroke::solid(ORANGE, 3.0));
                }
            }
        }
        grid::heading(&mut canvas, (SIDE_MARGIN, 28.0), &self.title, width - 10.0);
        layout.draw_legend(&mut canvas);
        Ok(canvas.finish())
    }

    fn check(&self) -> Result<(), PlotError> {
        let count = self.variables.len();
        let allowed = count.clamp(VARIABLES.0, VARIABLES.1);
        super::check_length("variables of the corner plot, 2 to 12", count, allowed)?;
        self.data.check(count)?;
        self.samples.check(count)
    }

    fn layout(&self) -> Layout {
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
        Layout {
            ranges: (0..count).map(range).collect(),
            side,
            top: HEADER + lines * LEGEND_LINE + 8.0,
            legend: [(data, (x, y)), (samples, second)],
        }
    }

    fn clouds(&self, layout: &Layout) -> Vec<Cloud<'_>> {
        let count = self.variables.len();
        let mut clouds = Vec::new();
        for row in 0..count {
            for column in (0..count).filter(|column| *column != row) {
                let (sample, ramp) = match row > column {
                    true => (&self.data, Ramp::Observed),
                    false => (&self.samples, Ramp::Predicted),
                };
                clouds.push(Cloud {
                    sample,
                    variables: (column, row),
                    panel: layout.panel(row, column),
                    ramp,
                    scale: row.max(column) * count + row.min(column),
                });
            }
        }
        clouds
    }

    /// Both histograms of a variable, in its panel on the diagonal.
    fn distribution(&self, canvas: &mut Canvas, layout: &Layout, variable: usize) {
        let panel = layout.panel(variable, variable);
        let wanted = (self.data.events() as f64).sqrt() as usize;
        let most = ((layout.side / PIXELS_A_STEP) as usize).min(MOST_STEPS);
        let bins = if wanted == 0 {
            most
        } else {
            wanted.clamp(5, most)
        };
        let data = Histogram::of(&self.data, variable, &panel.x, bins);
        let samples = Histogram::of(&self.samples, variable, &panel.x, bins);
        let values = data.values.iter().chain(&samples.values);
        let top = values
            .copied()
            .filter(|v| v.is_finite())
            .fold(0.0, f64::max);
        let (low, high) = (panel.x.low, panel.x.high);
        // Weighted, so that the difference of huge ends stays finite.
        let edge = |edge: usize| {
            let part = edge as f64 / bins as f64;
            low * (1.0 - part) + high * part
        };
        let edges: Vec<f64> = (0..=bins).map(edge).collect();
        let panel = Panel {
            y: Axis::new(Scale::Linear, 0.0, top / FULL, (panel.y.start, panel.y.end)),
            ..panel
        };
        panel.clipped(canvas, |canvas| {
            let floor = vec![0.0; bins];
            let ends = (floor.as_slice(), samples.values.as_slice());
            band(canvas, &panel, &edges, ends, BLUE, AREA_OPACITY);
            steps(canvas, &panel, &edges, &samples.values, LINE);
            for (bin, (value, error)) in data.values.iter().zip(&data.errors).enumerate() {
                if *value == 0.0 || !value.is_finite() {
                    continue;
                }
                let x = (panel.x.at(edges[bin]) + panel.x.at(edges[bin + 1])) / 2.0;
                let bar = (value - error, value + error);
                error_bar(canvas, &panel, x, bar, Stroke::solid(INK, 1.0));
                POINT.draw(canvas, (x, panel.y.at(*value)));
            }
        });
    }

    fn surround(
        &self,
        canvas: &mut Canvas,
        layout: &Layout,
        (row, column): (usize, usize),
        size: f64,
    ) {
        let panel = layout.panel(row, column);
        let last = self.variables.len() - 1;
        let sizes = ((1.25 * size).max(12.5), size);
        grid::frame(canvas, &panel, size, row != column);
        if row == last {
            grid::numbers(canvas, &panel, Side::Below, size, layout.side);
            let label = &self.variables[column];
            grid::label(canvas, &panel, (Side::Below, size + 25.0), label, sizes);
        }
        // The panel on the diagonal has no y axis of its variable.
        let y = &self.variables[row];
        if column == 0 && row > 0 {
            grid::numbers(canvas, &panel, Side::Left, size, 40.0);
            grid::label(canvas, &panel, (Side::Left, 46.0), y, sizes);
        }
        if column == last && row < last {
            grid::numbers(canvas, &panel, Side::Right, size, 40.0);
            grid::label(canvas, &panel, (Side::Right, 56.0), y, sizes);
        }
    }
}

impl Layout {
    fn draw_legend(&self, canvas: &mut Canvas) {
        let end = self.panel(0, self.ranges.len() - 1).x.end;
        let ramps = [Ramp::Observed, Ramp::Predicted];
        for ((label, (x, y)), ramp) in self.legend.iter().zip(ramps) {
            canvas.rect((*x, y - 6.0), (x + 14.0, y + 6.0), &ramp.middle(), 1.0);
            let (from, to) = ((x + 19.0, *y), (x + 37.0, *y));
            match ramp {
                Ramp::Observed => {
                    let middle = (from.0 + to.0) / 2.0;
                    let bar = Stroke::solid(INK, 1.0);
                    canvas.line((middle, y - 7.0), (middle, y + 7.0), bar);
                    POINT.draw(canvas, (middle, *y));
                }
                Ramp::Predicted => {
                    canvas.rect((from.0, y - 6.0), (to.0, y + 6.0), BLUE, AREA_OPACITY);
                    canvas.line(from, to, LINE);
                }
            }
            let (label, size) = text::fit(label, LEGEND_SIZE, false, end - x - KEYS);
            let at = (x + KEYS, y + 0.36 * size);
            canvas.text(at, &label, Type::new(size, Anchor::Start));
        }
    }

    /// Panel of a row and a column, top left first.
    fn panel(&self, row: usize, column: usize) -> Panel {
        let step = self.side + GAP;
        let left = SIDE_MARGIN + column as f64 * step;
        let top = self.top + row as f64 * step;
        let axis = |variable: usize, pixels| {
            let (low, high) = self.ranges[variable];
            Axis::new(Scale::Linear, low, high, pixels)
        };
        Panel {
            x: axis(column, (left, left + self.side)),
            y: axis(row, (top + self.side, top)),
        }
    }
}

impl Histogram {
    fn of(sample: &Sample, variable: usize, axis: &Axis, bins: usize) -> Self {
        let (mut values, mut squares) = (vec![0.0; bins], vec![0.0; bins]);
        for (event, value) in sample.values[variable].iter().enumerate() {
            let weight = sample.weight(event);
            if let (Some(bin), true) = (density::bin(axis, *value, bins), weight.is_finite()) {
                values[bin] += weight;
                squares[bin] += weight * weight;
            }
        }
        let sum: f64 = values.iter().sum();
        let unit = |value: f64| if sum > 0.0 { value / sum } else { 0.0 };
        Self {
            values: values.into_iter().map(unit).collect(),
            errors: squares
                .into_iter()
                .map(|square| unit(square.sqrt()))
                .collect(),
        }
    }
}

/// The samples' histogram.
const LINE: Stroke<'static> = Stroke::solid(BLUE, 1.4);
/// The data's points.
const POINT: Marker<'static> = Marker {
    colour: INK,
    filled: true,
    radius: 1.5,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(variables: usize, events: usize) -> Sample {
        let list = |variable: usize| {
            let value = |event: usize| ((event * (2 * variable + 7)) % 97) as f64;
            (0..events).map(value).collect()
        };
        Sample {
            label: "events".to_owned(),
            values: (0..variables).map(list).collect(),
            weights: Vec::new(),
        }
    }

    fn corner(variables: usize) -> Corner {
        Corner {
            title: String::new(),
            variables: (0..variables).map(|v| format!("x_{{{v}}}")).collect(),
            data: sample(variables, 300),
            samples: sample(variables, 900),
            highlight: vec![(0, 1), (0, 99)],
        }
    }

    #[test]
    fn histograms_have_unit_area_and_errors_of_their_weights() {
        let axis = Axis::new(Scale::Linear, 0.0, 2.0, (0.0, 1.0));
        let sample = Sample {
            values: vec![vec![0.5, 0.5, 1.5, 7.0, f64::NAN]],
            weights: vec![3.0, 4.0, 1.0, 9.0, 9.0],
            ..Sample::default()
        };
        let histogram = Histogram::of(&sample, 0, &axis, 2);
        assert_eq!(histogram.values, [0.875, 0.125]);
        assert_eq!(histogram.errors, [0.625, 0.125]);
    }

    #[test]
    fn the_two_maps_of_a_pair_share_axes_and_scale() {
        let corner = corner(4);
        let clouds = corner.clouds(&corner.layout());
        assert_eq!(clouds.len(), 12);
        for cloud in &clouds {
            let (x, y) = cloud.variables;
            let twin = clouds.iter().find(|twin| twin.variables == (y, x));
            let twin = twin.expect("each pair is drawn twice");
            assert_eq!(twin.scale, cloud.scale);
            assert_eq!(
                (twin.panel.x.low, twin.panel.x.high),
                (cloud.panel.y.low, cloud.panel.y.high)
            );
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
            assert!(matches!(
                corner(variables).draw(),
                Err(PlotError::Length { .. })
            ));
        }
    }
}
