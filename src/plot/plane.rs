//! A quantity over a plane of two variables, with the borders of regions.
//!
//! A cell that is not finite has no value, because it is empty or blinded, and
//! is left grey.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Stroke, Type};
use super::colours::{self, ColourMap, LEVELS};
use super::panel::Panel;
use super::style::{
    AXIS_SIZE, BOTTOM, BRAND, BRAND_SIZE, EMPTY_CELL, INK, LEFT, LEGEND_SIZE, MAJOR, MINOR,
    TICK_SIZE, WIDTH,
};
use super::text;
use super::ticks::Direction;
use super::{Figure, PlotError, check_edges, check_length};

/// Height of the figure.
const HEIGHT: f64 = 560.0;
/// Brand and title stand above the frame.
pub(super) const HEADER: f64 = 40.0;
/// Right margin: colour bar, its numbers and label.
const BAR_MARGIN: f64 = 118.0;
/// Width of the colour bar.
const BAR_WIDTH: f64 = 20.0;
/// Distance of the colour bar from the frame.
const BAR_GAP: f64 = 14.0;
/// Quantiles that the colours span if there are many cells, against single hot ones.
const SPAN: (f64, f64) = (0.002, 0.998);
/// Fewest cells for which single ones may leave the colour range.
const MANY_CELLS: usize = 500;
/// Contents below this part of the largest do not stretch a logarithmic colour bar.
const LOG_REACH: f64 = 1e-7;

/// A map of a quantity over two variables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plane {
    /// Line after the brand.
    pub title: String,
    /// Label of the x axis.
    pub x_label: String,
    /// Label of the y axis.
    pub y_label: String,
    /// `nx + 1` rising edges.
    pub x_edges: Vec<f64>,
    /// `ny + 1` rising edges.
    pub y_edges: Vec<f64>,
    /// Values `[nx][ny]`; not finite means no value.
    pub values: Vec<Vec<f64>>,
    /// Label of the colour bar.
    pub z_label: String,
    /// Blue-white-red about `center` instead of dark to bright.
    #[serde(default)]
    pub diverging: bool,
    /// The value that is white on a diverging map.
    #[serde(default)]
    pub center: f64,
    /// Logarithmic colours; ignored on a diverging map.
    #[serde(default)]
    pub log_z: bool,
    /// Ends of the colour bar; `None` takes them from the values.
    #[serde(default)]
    pub z_range: Option<(f64, f64)>,
    /// Lines on top, such as borders of regions.
    #[serde(default)]
    pub contours: Vec<Contour>,
}

/// A labelled line in the plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contour {
    /// Written at its uppermost point; may be empty.
    pub label: String,
    /// Points in the units of the axes.
    pub points: Vec<(f64, f64)>,
    /// Join the last point with the first.
    pub closed: bool,
}

impl Plane {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError`] if edges do not rise or `values` is not `nx` by `ny`.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        Ok(self.drawing(WIDTH - 10.0)?.finish())
    }

    /// The figure as a canvas, for what is written beside the colour bar; the
    /// title ends at pixel `title_end`.
    pub(super) fn drawing(&self, title_end: f64) -> Result<Canvas, PlotError> {
        check_edges(&format!("edges of {}", self.x_label), &self.x_edges)?;
        check_edges(&format!("edges of {}", self.y_label), &self.y_edges)?;
        check_length(
            "columns of the plane",
            self.values.len(),
            self.x_edges.len() - 1,
        )?;
        for (index, column) in self.values.iter().enumerate() {
            let what = format!("column {index} of the plane");
            check_length(&what, column.len(), self.y_edges.len() - 1)?;
        }
        let ends = |edges: &[f64]| (edges[0], edges[edges.len() - 1]);
        let ((x_low, x_high), (y_low, y_high)) = (ends(&self.x_edges), ends(&self.y_edges));
        let right = WIDTH - BAR_MARGIN;
        let bottom = HEIGHT - BOTTOM;
        let panel = Panel {
            x: Axis::new(Scale::Linear, x_low, x_high, (LEFT, right)),
            y: Axis::new(Scale::Linear, y_low, y_high, (bottom, HEADER)),
        };
        let z = self.colour_axis((bottom, HEADER));
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        panel.clipped(&mut canvas, |canvas| {
            self.cells(canvas, &panel, &z);
            for contour in &self.contours {
                contour.draw(canvas, &panel);
            }
        });
        for contour in &self.contours {
            contour.write_label(&mut canvas, &panel);
        }
        panel.frame(&mut canvas, Some(&self.x_label), &self.y_label);
        self.colour_bar(&mut canvas, right + BAR_GAP, &z);
        header(&mut canvas, &self.title, LEFT, title_end);
        Ok(canvas)
    }

    fn map(&self) -> ColourMap {
        if self.diverging {
            ColourMap::Diverging
        } else {
            ColourMap::Sequential
        }
    }

    /// The axis of the colour bar.
    fn colour_axis(&self, pixels: (f64, f64)) -> Axis {
        let log = self.log_z && !self.diverging;
        let scale = Scale::from_log(log);
        if let Some((low, high)) = self.z_range {
            return Axis::new(scale, low, high, pixels);
        }
        let usable = |value: &f64| value.is_finite() && (!log || *value > 0.0);
        let mut values: Vec<f64> = self
            .values
            .iter()
            .flatten()
            .copied()
            .filter(usable)
            .collect();
        values.sort_by(f64::total_cmp);
        let Some(last) = values.len().checked_sub(1) else {
            return Axis::new(scale, 0.0, 1.0, pixels);
        };
        let (first, last) = if values.len() > MANY_CELLS {
            let at = |probability: f64| (probability * last as f64).round() as usize;
            (at(SPAN.0), at(SPAN.1))
        } else {
            (0, last)
        };
        let (mut low, mut high) = (values[first], values[last]);
        if self.diverging {
            let reach = (high - self.center).abs().max((self.center - low).abs());
            let reach = if reach > 0.0 { reach } else { 1.0 };
            (low, high) = (self.center - reach, self.center + reach);
        } else if log {
            low = low.max(LOG_REACH * high);
        } else if low > 0.0 && low < 0.3 * high {
            low = 0.0;
        }
        Axis::new(scale, low, high, pixels)
    }

    fn cells(&self, canvas: &mut Canvas, panel: &Panel, z: &Axis) {
        let (a, b) = panel.corners();
        canvas.rect(a, b, EMPTY_CELL, 1.0);
        // One path a colour keeps large maps small.
        let mut by_level: Vec<Vec<[f64; 4]>> = vec![Vec::new(); LEVELS];
        for (i, column) in self.values.iter().enumerate() {
            for (j, value) in column.iter().enumerate().filter(|(_, v)| v.is_finite()) {
                let (x0, y0) = panel.at(self.x_edges[i], self.y_edges[j]);
                let (x1, y1) = panel.at(self.x_edges[i + 1], self.y_edges[j + 1]);
                by_level[colours::level(z.fraction(*value))].push([x0, y0, x1, y1]);
            }
        }
        for (level, rectangles) in by_level.iter().enumerate() {
            if !rectangles.is_empty() {
                canvas.cells(rectangles, &self.map().colour(level));
            }
        }
    }

    fn colour_bar(&self, canvas: &mut Canvas, left: f64, z: &Axis) {
        colour_bar(canvas, left, z, self.map(), &self.z_label);
    }
}

/// Where text about the ends of a plane's colour bar goes: the right end of its
/// lines, and the base lines above and below the bar.
pub(super) fn beside_bar() -> (f64, f64, f64) {
    (WIDTH - 8.0, HEADER - 12.0, HEIGHT - BOTTOM + 38.0)
}

/// A colour bar over the pixels of `z`, its numbers on the right.
pub(super) fn colour_bar(canvas: &mut Canvas, left: f64, z: &Axis, map: ColourMap, label: &str) {
    let right = left + BAR_WIDTH;
    let height = (z.end - z.start) / LEVELS as f64;
    for level in 0..LEVELS {
        let bottom = z.start + level as f64 * height;
        canvas.cells(
            &[[left, bottom, right, bottom + height]],
            &map.colour(level),
        );
    }
    let ticks = z.ticks(Direction::Vertical(TICK_SIZE));
    let mut widest: f64 = 0.0;
    for tick in &ticks.ticks {
        let length = if tick.major { MAJOR } else { MINOR } * 0.6;
        canvas.line(
            (right, tick.at),
            (right - length, tick.at),
            Stroke::solid(INK, 1.0),
        );
        if let Some(number) = &tick.label {
            let (number, size) = text::fit(number, TICK_SIZE, false, 52.0);
            let at = (right + 6.0, tick.at + 0.36 * size);
            canvas.text(at, &number, Type::new(size, Anchor::Start));
            widest = widest.max(text::width(&number, size, false));
        }
    }
    canvas.outline((left, z.end), (right, z.start), Stroke::solid(INK, 1.2));
    let label = match ticks.power {
        Some(power) => format!(
            "{label} / 10^{{{}}}",
            super::ticks::fixed(f64::from(power), 0)
        ),
        None => label.to_owned(),
    };
    let (label, size) = text::fit(&label, AXIS_SIZE, false, z.length());
    let kind = Type {
        rotation: -90.0,
        ..Type::new(size, Anchor::End)
    };
    canvas.text(
        (right + 6.0 + widest + AXIS_SIZE + 2.0, z.end),
        &label,
        kind,
    );
}

/// Brand and title above a frame.
pub(super) fn header(canvas: &mut Canvas, title: &str, left: f64, right: f64) {
    let y = HEADER - 12.0;
    let brand = Type {
        bold: true,
        ..Type::new(BRAND_SIZE, Anchor::Start)
    };
    canvas.text((left, y), BRAND, brand);
    let x = left + text::width(BRAND, BRAND_SIZE, true) + 10.0;
    let (title, size) = text::fit(title, LEGEND_SIZE, false, right - x);
    canvas.text((x, y), &title, Type::new(size, Anchor::Start));
}

impl Contour {
    fn draw(&self, canvas: &mut Canvas, panel: &Panel) {
        let mut points: Vec<(f64, f64)> =
            self.points.iter().map(|(x, y)| panel.at(*x, *y)).collect();
        if self.closed {
            points.extend(points.first().copied());
        }
        canvas.polyline(&points, Stroke::solid("#ffffff", 4.0).faded(0.75));
        canvas.polyline(&points, Stroke::solid(INK, 1.8));
    }

    /// Writes the label above the uppermost point inside the frame.
    fn write_label(&self, canvas: &mut Canvas, panel: &Panel) {
        let inside = |(x, y): &&(f64, f64)| panel.x.shows(*x) && panel.y.shows(*y);
        let visible = self.points.iter().filter(inside);
        let Some((x, y)) = visible.max_by(|a, b| a.1.total_cmp(&b.1)) else {
            return;
        };
        let (label, size) = text::fit(&self.label, LEGEND_SIZE, false, panel.x.length() - 20.0);
        let half = text::width(&label, size, false) / 2.0 + 6.0;
        let at_x = panel
            .x
            .at(*x)
            .clamp(panel.x.start + half, panel.x.end - half);
        let above = panel.y.at(*y) - 7.0;
        let at_y = if above - size < panel.y.end {
            panel.y.at(*y) + size + 6.0
        } else {
            above
        };
        let kind = Type {
            halo: true,
            ..Type::new(size, Anchor::Middle)
        };
        canvas.text((at_x, at_y), &label, kind);
    }
}
