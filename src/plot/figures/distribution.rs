//! Histograms laid over each other, for example of event weights.

use super::*;

const AREA_OPACITY: f64 = 0.18; // opacity of the area under the first histogram
const LOG_FOOT: f64 = 0.5; // a logarithmic axis starts this much below the smallest content

pub(crate) struct Distribution {
    pub x_label: String,
    pub y_label: String,
    pub title: String,
    /// `n + 1` rising bin edges.
    pub edges: Vec<f64>,
    /// Names and contents, `[n]` each.
    pub series: Vec<(String, Vec<f64>)>,
    pub log_y: bool,
}

impl Distribution {
    /// Draws the figure; an error if edges do not rise, a histogram has the wrong length or there
    /// is none.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let what = format!("distribution of {}", self.x_label);
        check::rising(&what, &self.edges)?;
        check::drawable(!self.series.is_empty(), &what, "series")?;
        let lists = self.series.iter().map(|(label, values)| (label, values));
        let bins = self.edges.len() - 1;
        check::lengths(lists, |label| format!("values of \"{label}\""), bins)?;
        let none = vec![0.0; bins];
        let contents = self.series.iter().map(|(_, values)| (&**values, &*none));
        let y = layers::y_axis(&self.edges, contents, self.log_y.then_some(LOG_FOOT));
        let floor = if self.log_y { y.low } else { 0.0 };
        let first = self.series[0].1.clone();
        let area = look(0).area(AREA_OPACITY);
        let mut marks = vec![Mark::StepBand(
            &self.edges,
            [vec![floor; bins], first],
            area,
        )];
        let series = self.series.iter().enumerate();
        let steps = |(n, (_, values)): (usize, &(String, Vec<f64>))| {
            Mark::Steps(&self.edges, values.clone(), look(n))
        };
        marks.extend(series.clone().rev().map(steps));
        let entry = |(n, (label, _)): (usize, &(String, Vec<f64>))| {
            let key = match n {
                0 => Key::LineOnArea(look(0), area),
                _ => Key::Line(look(n)),
            };
            Entry::new(label, key)
        };
        let head = Head::new(&self.title, series.map(entry).collect());
        let chart = Chart::around(head, 480.0, 0.0)
            .x(&self.x_label, Axis::linear(self.edges[0], self.edges[bins]))
            .head_row(&self.y_label, y, marks);
        Ok(chart.draw())
    }
}

fn look(index: usize) -> Stroke<'static> {
    series_look(index, 1.8)
}
