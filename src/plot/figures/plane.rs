//! A quantity over a plane of two variables, with the borders of regions.
//!
//! A cell that is not finite has no value, because it is empty or blinded, and
//! is left grey.

use super::*;

const HEIGHT: f64 = 560.0;
pub(super) const BAR_MARGIN: f64 = 118.0; // right margin: colour bar, its numbers and label
pub(super) const BAR_GAP: f64 = 14.0; // distance of the colour bar from the frame
/// Where text about the ends of the colour bar goes: the right end of its lines, and
/// the base lines above and below the bar.
pub(super) const BESIDE_BAR: (f64, f64, f64) = (WIDTH - 8.0, HEADER - 12.0, HEIGHT - BOTTOM + 38.0);
/// Quantiles that the colours span if there are many cells, against single hot ones.
const SPAN: (f64, f64) = (0.002, 0.998);
const MANY_CELLS: usize = 500; // fewest cells for which single ones may leave the colour range

pub(crate) struct Plane {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    /// `nx + 1` rising edges.
    pub x_edges: Vec<f64>,
    /// `ny + 1` rising edges.
    pub y_edges: Vec<f64>,
    /// Values `[nx][ny]`; not finite means no value.
    pub values: Vec<Vec<f64>>,
    pub z_label: String,
    /// Blue-white-red about zero instead of dark to bright.
    pub diverging: bool,
    /// Ends of the colour bar; `None` takes them from the values.
    pub z_range: Option<(f64, f64)>,
    /// Lines on top, such as borders of regions.
    pub contours: Vec<Contour>,
}

/// A labelled line in the plane.
pub(crate) struct Contour {
    /// Written at its uppermost point; may be empty.
    pub label: String,
    /// Points of a closed line, in the units of the axes.
    pub points: Vec<(f64, f64)>,
}

impl Plane {
    /// Draws the figure; an error if edges do not rise or `values` is not `nx` by `ny`.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        Ok(self.drawing(WIDTH - 10.0)?.finish())
    }

    /// The figure as a canvas, for what is written beside the colour bar; the
    /// title ends at pixel `title_end`.
    pub(super) fn drawing(&self, title_end: f64) -> Result<Canvas, PlotError> {
        check::edges(&self.x_label, &self.x_edges)?;
        check::edges(&self.y_label, &self.y_edges)?;
        let (nx, ny) = (self.x_edges.len() - 1, self.y_edges.len() - 1);
        check::columns("the plane", &self.values, (nx, ny))?;
        let (right, bottom) = (WIDTH - BAR_MARGIN, HEIGHT - BOTTOM);
        let x = Axis::linear(self.x_edges[0], self.x_edges[nx]).over((LEFT, right));
        let y = Axis::linear(self.y_edges[0], self.y_edges[ny]).over((bottom, HEADER));
        let panel = Panel::new(x, y);
        let (low, high) = self.z_range.unwrap_or_else(|| self.colour_range());
        let z = Axis::linear(low, high).over((bottom, HEADER));
        let map = match self.diverging {
            true => ColourMap::Diverging,
            false => ColourMap::Sequential,
        };
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        let cells = Lists::cells(&self.z_label, [&self.x_edges, &self.y_edges], &self.values);
        canvas.record(PanelNumbers::new(&self.x_label, &self.y_label, [cells]));
        panel.clipped(&mut canvas, |canvas| {
            let (a, b) = panel.corners();
            canvas.rect(a, b, Fill(EMPTY_CELL, 1.0));
            let columns = self.values.iter().enumerate();
            let cells = columns.flat_map(|(i, column)| {
                let cell = move |(j, value): (usize, &f64)| {
                    let corner = |k: usize| panel.at((self.x_edges[i + k], self.y_edges[j + k]));
                    (colours::level(&z, *value), [corner(0), corner(1)])
                };
                column.iter().enumerate().map(cell)
            });
            map.cells(canvas, cells);
            for contour in &self.contours {
                let mut points = contour.points.clone();
                points.extend(contour.points.first());
                draw_border(canvas, &panel, points);
            }
        });
        for contour in &self.contours {
            contour.write_label(&mut canvas, &panel);
        }
        panel.frame(&mut canvas, Some(&self.x_label), Some(&self.y_label));
        map.bar(&mut canvas, right + BAR_GAP, &z, &self.z_label);
        heading(&mut canvas, (LEFT, HEADER - 12.0), &self.title, title_end);
        Ok(canvas)
    }

    /// Ends of the colour bar that show the values.
    fn colour_range(&self) -> (f64, f64) {
        let quantiles = match self
            .values
            .iter()
            .flatten()
            .filter(|v| v.is_finite())
            .count()
        {
            count if count > MANY_CELLS => SPAN,
            _ => (0.0, 1.0),
        };
        let Some((low, high)) = span(self.values.iter().flatten(), quantiles) else {
            return (0.0, 1.0);
        };
        let reach = high.abs().max(low.abs());
        match (self.diverging, reach > 0.0) {
            (true, true) => (-reach, reach),
            (true, false) => (-1.0, 1.0),
            (false, _) => from_zero(low, high),
        }
    }
}

/// Two quantiles of what is finite.
pub(super) fn span<'a>(
    values: impl Iterator<Item = &'a f64>,
    quantiles: (f64, f64),
) -> Option<(f64, f64)> {
    let mut values: Vec<f64> = values.copied().filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)? as f64;
    let at = |probability: f64| values[(probability * last).round() as usize];
    Some((at(quantiles.0), at(quantiles.1)))
}

/// A range of colours from zero, unless it is far from there.
pub(super) fn from_zero(low: f64, high: f64) -> (f64, f64) {
    match low > 0.0 && low < 0.3 * high {
        true => (0.0, high),
        false => (low, high),
    }
}

/// A line that is seen on any colour.
pub(super) fn draw_border(canvas: &mut Canvas, panel: &Panel, points: Vec<(f64, f64)>) {
    let white = Stroke::solid("#ffffff", 4.0).faded(0.75);
    Mark::Line(points.clone(), white).draw(canvas, panel);
    Mark::Line(points, Stroke::solid(INK, 1.8)).draw(canvas, panel);
}

impl Contour {
    /// Writes the label above the uppermost point inside the frame.
    fn write_label(&self, canvas: &mut Canvas, panel: &Panel) {
        let inside = |(x, y): &&(f64, f64)| panel.x.shows(*x) && panel.y.shows(*y);
        let visible = self.points.iter().filter(inside);
        let Some(top) = visible.max_by(|a, b| a.1.total_cmp(&b.1)) else {
            return;
        };
        let room = panel.x.length() - 20.0;
        let (label, size) = text::fit(&self.label, LEGEND_SIZE, false, room);
        let half = text::width(&label, size, false) / 2.0 + 6.0;
        let (x, y) = panel.at(*top);
        let x = x.clamp(panel.x.start + half, panel.x.end - half);
        let is_below = y - 7.0 - size < panel.y.end;
        let y = if is_below { y + size + 6.0 } else { y - 7.0 };
        canvas.text((x, y), &label, Type::middle(size).with_halo());
    }
}
