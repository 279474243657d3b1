//! Upper limits over two parameters of the signal, such as masses: a point for each signal in the
//! colour of its limit, and the lines along which what is limited has a wanted value, such as 1 of a
//! signal strength: signals on one side of them are excluded.
//!
//! Lines need neighbours on a grid; where a point of that is missing, or has no limit, they break.

use super::plane::{BAR_GAP, BAR_MARGIN, from_zero};
use super::profile_contours::{Grid, Line};
use super::*;

const HEIGHT: f64 = 460.0; // height of the panel
const RADIUS: f64 = 6.0;
const NUMBERED: usize = 60; // most points whose limits are written beside them
const NUMBER_ABOVE: f64 = 13.0;
const MARGIN: f64 = 0.07; // free part of an axis beyond the outermost points
/// The colours are logarithmic where the limits span more than this factor.
const DECADES: f64 = 12.0;
/// Places of a grid for each point, above which it is none.
const SPARSE: usize = 16;
const OBSERVED: Stroke<'_> = Stroke::solid(INK, 2.4);
const EXPECTED: Stroke<'_> = Stroke::solid(RED, 2.2).dashed("7 4");
const BAND: Stroke<'_> = Stroke::solid(RED, 1.3).dashed("2 3");

pub(crate) struct LimitPlane {
    pub title: String,
    /// The parameters, with their units.
    pub x_label: String,
    pub y_label: String,
    /// What is limited, with its unit.
    pub z_label: String,
    pub points: Vec<LimitPlanePoint>,
    /// The value of what is limited along the lines.
    pub wanted: f64,
}

/// Upper limits on one signal; not finite where there is none.
#[derive(Clone)]
pub(crate) struct LimitPlanePoint {
    pub x: f64,
    pub y: f64,
    /// None where the data are hidden.
    pub observed: Option<f64>,
    /// Expected, for data that fluctuate by -2, -1, 0, 1 and 2 standard deviations.
    pub expected: [f64; 5],
}

impl LimitPlane {
    /// Draws the figure; an error if no point has a limit, which is the observed one unless all are
    /// hidden.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let is_observed = self.points.iter().any(|p| p.observed.is_some());
        let shown = |p: &LimitPlanePoint| match is_observed {
            true => p.observed.map_or(f64::NAN, usable),
            false => usable(p.expected[2]),
        };
        let is_drawn =
            |p: &&LimitPlanePoint| p.x.is_finite() && p.y.is_finite() && shown(p).is_finite();
        let points: Vec<&LimitPlanePoint> = self.points.iter().filter(is_drawn).collect();
        let what = format!("upper limits over {} and {}", self.x_label, self.y_label);
        check::drawable(!points.is_empty(), &what, "point with a limit")?;
        let lines = self.lines(&points, is_observed);
        let missing = self.points.len() - points.len();
        let entries = lines
            .iter()
            .filter(|(label, ..)| !label.is_empty())
            .map(|(label, stroke, _)| Entry::new(label, Key::Line(*stroke)));
        let head = Head::new(&self.title, entries.collect());
        let head = head.counted(missing, self.points.len(), "points");
        let (start, right) = (LEFT, WIDTH - BAR_MARGIN);
        let top = head.height((start, WIDTH - RIGHT));
        let bottom = top + HEIGHT;
        let x = axis(points.iter().map(|p| p.x)).over((start, right));
        let y = axis(points.iter().map(|p| p.y)).over((bottom, top));
        let panel = Panel::new(x, y);
        let z = colour_axis(points.iter().map(|p| shown(p))).over((bottom, top));
        let mut canvas = Canvas::new(WIDTH, bottom + BOTTOM);
        canvas.record(self.numbers(&points));
        panel.clipped(&mut canvas, |canvas| {
            for (_, stroke, line) in &lines {
                for line in line {
                    Mark::Line(line.clone(), *stroke).draw(canvas, &panel);
                }
            }
            for point in &points {
                let at = panel.at((point.x, point.y));
                let Some(level) = colours::level(&z, shown(point)) else {
                    continue;
                };
                let colour = ColourMap::Sequential.colour(level);
                canvas.circle(at, RADIUS, &colour, Stroke::solid(INK, 1.0));
                if points.len() <= NUMBERED {
                    let kind = Type::middle(NOTE_SIZE).with_halo();
                    let at = (at.0, at.1 - NUMBER_ABOVE);
                    canvas.centred(at, &written(shown(point)), kind, panel.x.length());
                }
            }
        });
        panel.frame(&mut canvas, Some(&self.x_label), Some(&self.y_label));
        let label = match is_observed {
            true => format!("observed {}", self.z_label),
            false => format!("expected {}", self.z_label),
        };
        ColourMap::Sequential.bar(&mut canvas, right + BAR_GAP, &z, &label);
        head.draw_above(&mut canvas, (start, WIDTH - RIGHT));
        Ok(canvas.finish())
    }

    /// Lines of the wanted value, by their names in the legend, of which some have none.
    fn lines(
        &self,
        points: &[&LimitPlanePoint],
        is_observed: bool,
    ) -> Vec<(String, Stroke<'static>, Vec<Line>)> {
        let wanted = self.wanted;
        let expected = |k: usize| self.grid_lines(points, |p| p.expected[k]);
        let [down, up] = [1, 3].map(expected);
        let named = |words: &str| format!("{words} = {wanted}");
        let mut all = vec![
            ("±1σ".to_owned(), BAND, down),
            (String::new(), BAND, up),
            (named("expected"), EXPECTED, expected(2)),
        ];
        if is_observed {
            let observed = self.grid_lines(points, |p| p.observed.unwrap_or(f64::NAN));
            all.push((named("observed"), OBSERVED, observed));
        }
        all.retain(|(_, _, lines)| !lines.is_empty());
        all
    }

    /// Lines along which a limit is the wanted value, if the points lie on a grid.
    fn grid_lines(
        &self,
        points: &[&LimitPlanePoint],
        limit: impl Fn(&LimitPlanePoint) -> f64,
    ) -> Vec<Line> {
        let x = rising(points.iter().map(|p| p.x));
        let y = rising(points.iter().map(|p| p.y));
        let places = x.len().saturating_mul(y.len());
        if places > SPARSE.saturating_mul(points.len()) {
            return Vec::new();
        }
        let mut values = vec![vec![f64::NAN; y.len()]; x.len()];
        for point in points {
            let i = x.partition_point(|x| *x < point.x);
            let j = y.partition_point(|y| *y < point.y);
            // the logarithm is what changes evenly
            values[i][j] = (usable(limit(point)) / self.wanted).ln();
        }
        let grid = Grid {
            x: &x,
            y: &y,
            values: &values,
        };
        grid.lines(0.0)
    }

    fn numbers(&self, points: &[&LimitPlanePoint]) -> PanelNumbers {
        let all = points.iter();
        let mut lists = Lists::new("points", &self.z_label)
            .list("x", all.clone().map(|p| p.x))
            .list("y", all.clone().map(|p| p.y))
            .list(
                "observed",
                all.clone().map(|p| p.observed.unwrap_or(f64::NAN)),
            );
        let names = ["minus_2", "minus_1", "expected", "plus_1", "plus_2"];
        for (k, name) in names.into_iter().enumerate() {
            lists = lists.list(name, all.clone().map(|p| p.expected[k]));
        }
        PanelNumbers::new(&self.x_label, &self.y_label, [lists])
    }
}

/// A limit, or what is not finite in place of one that is none.
fn usable(limit: f64) -> f64 {
    match limit.is_finite() && limit > 0.0 {
        true => limit,
        false => f64::NAN,
    }
}

/// Values without repetitions.
fn rising(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// An axis with room beyond its outermost values.
fn axis(values: impl Iterator<Item = f64>) -> Axis {
    let (low, high) = ends(values);
    let beyond = MARGIN * (high - low);
    Axis::linear(low - beyond, high + beyond)
}

fn colour_axis(values: impl Iterator<Item = f64>) -> Axis {
    let (low, high) = ends(values);
    match high / low > DECADES {
        true => Axis::new(Scale::Log, low, high, (0.0, 1.0)),
        false => {
            let (low, high) = from_zero(low, high);
            Axis::linear(low, high)
        }
    }
}

/// A limit in two or three digits.
fn written(limit: f64) -> String {
    match limit {
        x if x < 0.01 => format!("{x:.1e}").replace('-', "−"),
        x if x < 9.95 => fixed(x, 2),
        x if x < 99.5 => fixed(x, 1),
        x if x < 1e4 => fixed(x, 0),
        x => format!("{x:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::examples;

    /// Limits whose logarithm is `0.2 (x + y - 3.5)`, on a square of so many points a side.
    fn plane(side: usize) -> LimitPlane {
        let mut plane = examples::limit_plane(&[1.0], 0);
        let point = |k: usize| {
            let (x, y) = ((k % side) as f64, (k / side) as f64);
            let limit = (0.2 * (x + y - 3.5)).exp();
            LimitPlanePoint {
                x,
                y,
                observed: Some(limit),
                expected: [0.5, 0.8, 1.0, 1.3, 2.0].map(|factor| factor * limit),
            }
        };
        plane.points = (0..side * side).map(point).collect();
        plane
    }

    #[test]
    fn lines_are_where_the_limit_is_what_is_wanted() {
        let plane = plane(6);
        let points: Vec<&LimitPlanePoint> = plane.points.iter().collect();
        let lines = plane.grid_lines(&points, |p| p.observed.unwrap_or(f64::NAN));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].len() > 5);
        for (x, y) in &lines[0] {
            assert!((x + y - 3.5).abs() < 1e-9, "{x} {y}");
        }
        let expected = plane.grid_lines(&points, |p| p.expected[3]);
        let shift = 1.3_f64.ln() / 0.2;
        for (x, y) in expected.iter().flatten() {
            assert!((x + y - 3.5 + shift).abs() < 1e-9, "{x} {y}");
        }
        let svg = plane.draw().expect("a grid").svg;
        for part in ["observed = 1", "expected = 1", "±1σ"] {
            assert!(svg.contains(part), "{part}");
        }
    }

    #[test]
    fn points_that_are_no_grid_have_no_lines() {
        let mut scattered = plane(6);
        for (k, point) in scattered.points.iter_mut().enumerate() {
            point.y += 1e-3 * k as f64;
        }
        scattered.points.truncate(20);
        let points: Vec<&LimitPlanePoint> = scattered.points.iter().collect();
        assert!(scattered.grid_lines(&points, |p| p.expected[2]).is_empty());
        scattered.points[3].observed = Some(f64::NAN);
        let svg = scattered.draw().expect("points").svg;
        assert!(svg.contains("1 of 20 points without a fit") && !svg.contains("= 1<"));
        for point in &mut scattered.points {
            point.observed = Some(0.0);
        }
        assert!(scattered.draw().is_err());
    }
}
