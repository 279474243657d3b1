//! A flow at work: pairs of variables after chosen steps, from noise to the
//! prediction, with the data in the last column (Figure 13.7 of the HH -> 4b
//! thesis shows the same in one variable).
//!
//! A row has one range on all its columns, set by both ends and the data. Every
//! map has its own scale of shades but the last two, which are there to be compared.

use super::*;

/// Width of the figure, unless many columns need more, and the least, for the title.
const WIDTH: f64 = 900.0;
const LEAST_WIDTH: f64 = 420.0;
/// Left margin: numbers and the label of the row.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const HEADER: f64 = 72.0; // brand and title, then the names of the columns
const GAP: f64 = 14.0; // space between columns
const DATA_GAP: f64 = 14.0; // further space before the data
const BELOW: f64 = 46.0; // space below a row: numbers and label
const SIDE: (f64, f64) = (84.0, 190.0); // smallest and largest side of a panel
const SIZES: (f64, f64) = (14.5, 12.0); // sizes of labels and numbers
const PIXELS_A_BIN: f64 = 2.5; // pixels of the smallest bin
const MOST: (usize, usize) = (20, 14); // most rows and columns: more could not be read

pub(crate) struct FlowSteps {
    pub title: String,
    /// Labels of the variables, `[D]`.
    pub variables: Vec<String>,
    /// Rows: indices of the variables along x and y.
    pub pairs: Vec<(usize, usize)>,
    /// Columns, from noise to prediction; their labels stand above.
    pub stages: Vec<Sample>,
    pub data: Sample,
}

impl FlowSteps {
    /// Draws the figure; an error if there is no row or no stage, a pair names no variable, lists
    /// have the wrong length, or there are more than 20 rows or 14 columns.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let columns = self.checked_columns()?;
        let count = columns.len() as f64;
        let gaps = (count - 1.0) * GAP + DATA_GAP;
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
            canvas.record(cloud.numbers(map, &self.variables));
            self.surround(&mut canvas, &cloud.panel, (row, column), end);
            if row == 0 {
                let x = cloud.panel.x;
                let at = ((x.start + x.end) / 2.0, HEADER - 9.0);
                let kind = Type::middle(SIZES.0);
                canvas.fitted(at, &columns[column].label, kind, side + GAP - 4.0);
            }
        }
        heading(&mut canvas, (LEFT, 28.0), &self.title, width - RIGHT);
        Ok(canvas.finish())
    }

    fn checked_columns(&self) -> Result<Vec<&Sample>, PlotError> {
        let what = "steps of the flow";
        check::drawable(!self.stages.is_empty(), what, "stage")?;
        check::drawable(!self.pairs.is_empty(), what, "pair of variables")?;
        let count = self.variables.len();
        let is_within = self.pairs.iter().all(|(x, y)| *x.max(y) < count);
        let pair = format!("pair within the {count} variables in each row");
        check::drawable(is_within, what, &pair)?;
        let columns: Vec<&Sample> = self.stages.iter().chain([&self.data]).collect();
        columns.iter().try_for_each(|sample| sample.check(count))?;
        check::at_most(&format!("rows of the {what}"), self.pairs.len(), MOST.0)?;
        check::at_most(&format!("columns of the {what}"), columns.len(), MOST.1)?;
        Ok(columns)
    }

    fn clouds<'a>(&self, columns: &[&'a Sample], side: f64) -> Vec<Cloud<'a>> {
        let variables = 0..self.variables.len();
        let ranges: Vec<(f64, f64)> = variables.map(|variable| self.range(variable)).collect();
        let axis = |variable: usize| Axis::linear(ranges[variable].0, ranges[variable].1);
        let mut clouds = Vec::with_capacity(self.pairs.len() * columns.len());
        for (row, (x, y)) in self.pairs.iter().enumerate() {
            let top = HEADER + row as f64 * (side + BELOW);
            for (column, sample) in columns.iter().enumerate() {
                let (ramp, shift) = match column < self.stages.len() {
                    true => (Ramp::Predicted, 0.0),
                    false => (Ramp::Observed, DATA_GAP),
                };
                let left = LEFT + column as f64 * (side + GAP) + shift;
                // The prediction and the data share a scale.
                let alike = column.min(self.stages.len() - 1);
                clouds.push(Cloud {
                    sample,
                    variables: (*x, *y),
                    panel: Panel::new(
                        axis(*x).over((left, left + side)),
                        axis(*y).over((top + side, top)),
                    ),
                    ramp,
                    scale: row * self.stages.len() + alike,
                });
            }
        }
        clouds
    }

    /// Range of a variable: noise, prediction and data whole, the rest as far as it goes.
    fn range<'a>(&'a self, variable: usize) -> (f64, f64) {
        let of = |sample: &'a Sample| sample.values[variable].as_slice();
        let ends = [self.stages.first(), self.stages.last(), Some(&self.data)];
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
        let (x, y) = self.pairs[row];
        let scale = |side, variable: usize, off| {
            grid::Scale::new(side, &self.variables[variable], off, SIZES, 36.0)
        };
        let below = scale(Side::Below, x, 36.0);
        grid::frame(canvas, panel, SIZES.1, true);
        below.draw_numbers(canvas, panel);
        if column == 0 {
            // All columns have this axis: its name stands once, under their middle.
            let x = panel.x.over((panel.x.start, end));
            below.draw_label(canvas, &Panel { x, ..*panel });
            scale(Side::Left, y, 42.0).draw(canvas, panel);
        } else if column < self.stages.len() {
            let middle = (panel.y.start + panel.y.end) / 2.0;
            let tip = panel.x.start - 3.5;
            let base = [middle - 4.0, middle + 4.0].map(|y| (tip - 7.0, y));
            canvas.polygon(&[(tip, middle), base[0], base[1]], Fill(GREY, 1.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(label: &str, scale: f64) -> Sample {
        let list = |shift: usize| {
            let events = (0..500).map(|i| ((i * 37 + shift) % 101) as f64 / 50.0 - 1.0);
            events.map(|x| scale * x).collect()
        };
        Sample {
            label: label.to_owned(),
            values: vec![list(0), list(50), list(7)],
        }
    }

    fn steps() -> FlowSteps {
        let stages = [("noise", 3.0), ("step 2", 50.0), ("flow", 2.0)];
        FlowSteps {
            title: "simulation".to_owned(),
            variables: ["a", "b", "c"].map(str::to_owned).to_vec(),
            pairs: vec![(0, 1), (2, 1)],
            stages: stages.map(|(label, scale)| sample(label, scale)).to_vec(),
            data: sample("data", 2.0),
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
        let clouds = steps.clouds(&steps.checked_columns().expect("valid steps"), 100.0);
        let scales: Vec<usize> = clouds.iter().map(|cloud| cloud.scale).collect();
        assert_eq!(scales, [0, 1, 2, 2, 3, 4, 5, 5]);
    }
}
