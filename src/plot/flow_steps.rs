//! A flow at work: pairs of variables after chosen steps, from noise to the
//! prediction, with the data in the last column (Figure 13.7 of the HH -> 4b
//! thesis shows the same in one variable).
//!
//! A row has one range on all its columns, set by both ends and the data. Every
//! map has its own scale of shades but the last two, which are there to be compared.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Type};
use super::density::{self, Cloud, Ramp, Sample};
use super::grid::{self, Side};
use super::panel::Panel;
use super::style::GREY;
use super::text;
use super::{Figure, PlotError, check_length};

/// Width of the figure, unless many columns need more.
const WIDTH: f64 = 900.0;
/// Least width, for the title.
const LEAST_WIDTH: f64 = 420.0;
/// Left margin: numbers and the label of the row.
const LEFT: f64 = 62.0;
/// Right margin.
const RIGHT: f64 = 14.0;
/// Brand and title, then the names of the columns.
const HEADER: f64 = 72.0;
/// Space between columns.
const GAP: f64 = 14.0;
/// Further space before the data.
const DATA_GAP: f64 = 14.0;
/// Space below a row: numbers and label.
const BELOW: f64 = 46.0;
/// Smallest and largest side of a panel.
const SIDE: (f64, f64) = (84.0, 190.0);
/// Size of numbers.
const NUMBERS: f64 = 12.0;
/// Size of labels.
const LABELS: f64 = 14.5;
/// Pixels of the smallest bin.
const PIXELS_A_BIN: f64 = 2.5;
/// Most rows and columns: more could not be read.
const MOST: (usize, usize) = (20, 14);

/// The steps of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FlowSteps {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// Labels of the variables, `[D]`.
    pub variables: Vec<String>,
    /// Rows: indices of the variables along x and y.
    pub pairs: Vec<(usize, usize)>,
    /// Columns, from noise to prediction; their labels stand above.
    pub stages: Vec<Sample>,
    /// The last column; `None` if nothing was observed or it is blinded.
    #[serde(default)]
    pub data: Option<Sample>,
}

impl FlowSteps {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError`] if there is no row or no stage, a pair names no variable,
    /// lists have the wrong length, or there are more than 20 rows or 14 columns.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        self.check()?;
        let columns: Vec<&Sample> = self.stages.iter().chain(&self.data).collect();
        let count = columns.len() as f64;
        let gaps = (count - 1.0) * GAP + if self.data.is_some() { DATA_GAP } else { 0.0 };
        let side = ((WIDTH - LEFT - RIGHT - gaps) / count).clamp(SIDE.0, SIDE.1);
        let end = LEFT + count * side + gaps;
        let width = (end + RIGHT).max(LEAST_WIDTH);
        let height = HEADER + self.pairs.len() as f64 * (side + BELOW);
        let clouds = self.clouds(&columns, side);
        let maps = density::maps(&clouds, (side / PIXELS_A_BIN) as usize);
        let mut canvas = Canvas::new(width, height);
        for (index, (cloud, map)) in clouds.iter().zip(&maps).enumerate() {
            let (row, column) = (index / columns.len(), index % columns.len());
            map.draw(&mut canvas);
            self.surround(&mut canvas, &cloud.panel, (row, column), end);
            if row == 0 {
                let room = side + GAP - 4.0;
                let (label, size) = text::fit(&columns[column].label, LABELS, false, room);
                let at = (
                    (cloud.panel.x.start + cloud.panel.x.end) / 2.0,
                    HEADER - 9.0,
                );
                canvas.text(at, &label, Type::new(size, Anchor::Middle));
            }
        }
        grid::heading(&mut canvas, (LEFT, 28.0), &self.title, width - RIGHT);
        Ok(canvas.finish())
    }

    fn check(&self) -> Result<(), PlotError> {
        let empty = |expected: &str| PlotError::Empty {
            what: "steps of the flow".to_owned(),
            expected: expected.to_owned(),
        };
        if self.stages.is_empty() {
            return Err(empty("stage"));
        }
        if self.pairs.is_empty() {
            return Err(empty("pair of variables"));
        }
        let count = self.variables.len();
        if self.pairs.iter().any(|(x, y)| *x.max(y) >= count) {
            return Err(empty(&format!(
                "pair within the {count} variables in each row"
            )));
        }
        for sample in self.stages.iter().chain(&self.data) {
            sample.check(count)?;
        }
        let columns = self.stages.len() + usize::from(self.data.is_some());
        let most = |what: &str, found: usize, most: usize| {
            let what = format!("{what} of the steps of the flow, at most {most}");
            check_length(&what, found, found.min(most))
        };
        most("rows", self.pairs.len(), MOST.0)?;
        most("columns", columns, MOST.1)
    }

    fn clouds<'a>(&self, columns: &[&'a Sample], side: f64) -> Vec<Cloud<'a>> {
        let ranges: Vec<(f64, f64)> = (0..self.variables.len())
            .map(|variable| self.range(variable))
            .collect();
        let mut clouds = Vec::with_capacity(self.pairs.len() * columns.len());
        for (row, (x, y)) in self.pairs.iter().enumerate() {
            let top = HEADER + row as f64 * (side + BELOW);
            for (column, sample) in columns.iter().enumerate() {
                let is_data = column >= self.stages.len();
                let shift = if is_data { DATA_GAP } else { 0.0 };
                let left = LEFT + column as f64 * (side + GAP) + shift;
                let axis = |variable: usize, pixels| {
                    let (low, high) = ranges[variable];
                    Axis::new(Scale::Linear, low, high, pixels)
                };
                // The prediction and the data share a scale.
                let alike = column.min(self.stages.len() - 1);
                clouds.push(Cloud {
                    sample,
                    variables: (*x, *y),
                    panel: Panel {
                        x: axis(*x, (left, left + side)),
                        y: axis(*y, (top + side, top)),
                    },
                    ramp: if is_data {
                        Ramp::Observed
                    } else {
                        Ramp::Predicted
                    },
                    scale: row * self.stages.len() + alike,
                });
            }
        }
        clouds
    }

    /// Range of a variable: noise, prediction and data whole, the rest as far as it goes.
    fn range<'a>(&'a self, variable: usize) -> (f64, f64) {
        let of = |sample: &'a Sample| sample.values[variable].as_slice();
        let ends = [self.stages.first(), self.stages.last(), self.data.as_ref()];
        let ends: Vec<&[f64]> = ends.into_iter().flatten().map(of).collect();
        let between: Vec<&[f64]> = self.stages.iter().map(of).collect();
        density::range(&ends, &between)
    }

    /// Frame, numbers, labels, and the arrow from the panel before.
    fn surround(
        &self,
        canvas: &mut Canvas,
        panel: &Panel,
        (row, column): (usize, usize),
        end: f64,
    ) {
        grid::frame(canvas, panel, NUMBERS, true);
        grid::numbers(canvas, panel, Side::Below, NUMBERS, panel.x.length());
        let (x, y) = self.pairs[row];
        let sizes = (LABELS, NUMBERS);
        if column == 0 {
            // All columns have this axis: its name stands once, under their middle.
            let whole = Panel {
                x: Axis { end, ..panel.x },
                ..*panel
            };
            grid::label(
                canvas,
                &whole,
                (Side::Below, 36.0),
                &self.variables[x],
                sizes,
            );
            grid::numbers(canvas, panel, Side::Left, NUMBERS, 36.0);
            grid::label(canvas, panel, (Side::Left, 42.0), &self.variables[y], sizes);
        } else if column < self.stages.len() {
            let middle = (panel.y.start + panel.y.end) / 2.0;
            let (tip, half) = (panel.x.start - 3.5, 4.0);
            let corners = [
                (tip, middle),
                (tip - 7.0, middle - half),
                (tip - 7.0, middle + half),
            ];
            canvas.polygon(&corners, GREY, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(label: &str, scale: f64) -> Sample {
        let list = |shift: usize| -> Vec<f64> {
            (0..500)
                .map(|i| scale * (((i * 37 + shift) % 101) as f64 / 50.0 - 1.0))
                .collect()
        };
        Sample {
            label: label.to_owned(),
            values: vec![list(0), list(50), list(7)],
            weights: Vec::new(),
        }
    }

    fn steps() -> FlowSteps {
        FlowSteps {
            title: "simulation".to_owned(),
            variables: ["a", "b", "c"].map(str::to_owned).to_vec(),
            pairs: vec![(0, 1), (2, 1)],
            stages: vec![
                sample("noise", 3.0),
                sample("step 2", 50.0),
                sample("flow", 2.0),
            ],
            data: Some(sample("data", 2.0)),
        }
    }

    #[test]
    fn a_step_far_out_does_not_shrink_the_others() {
        let (low, high) = steps().range(0);
        assert!(low < -2.9 && low > -7.0, "{low}");
        assert!(high > 2.9 && high < 7.0, "{high}");
    }

    #[test]
    fn only_the_prediction_and_the_data_share_a_scale() {
        let steps = steps();
        let columns: Vec<&Sample> = steps.stages.iter().chain(&steps.data).collect();
        let scales: Vec<usize> = steps
            .clouds(&columns, 100.0)
            .iter()
            .map(|c| c.scale)
            .collect();
        assert_eq!(scales, [0, 1, 2, 2, 3, 4, 5, 5]);
    }

    #[test]
    fn wrong_input_is_named() {
        let mut wrong = steps();
        wrong.pairs = vec![(0, 3)];
        assert!(matches!(wrong.draw(), Err(PlotError::Empty { .. })));
        let mut wrong = steps();
        wrong.stages[1].values[2].pop();
        let error = wrong.draw().expect_err("a list is short");
        assert_eq!(
            error.to_string(),
            "variable 2 of \"step 2\": found 499 entries, expected 500"
        );
    }
}
