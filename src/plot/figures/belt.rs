//! A Neyman belt: quantiles of the test statistic t over the parameter, the
//! observed curve, and the confidence sets where it lies below them.
//!
//! The strip below the panel shows each confidence set as a bar; a set may be
//! made of several intervals.

use super::*;

const LANE: f64 = 21.0; // height of the bar of one confidence set with the space about it
const BELT_SHARE: f64 = 0.66; // highest of what the belt needs, in parts of the main panel
const SET_OPACITY: f64 = 0.16; // opacity of a confidence set in the main panel
const MARGIN: f64 = 0.03; // space beyond the outermost points, in lengths of the axis
/// Quantiles by Wilks' theorem.
const ASYMPTOTIC: Stroke<'_> = Stroke::solid(GREY, 1.3).dashed("6 4");
const OBSERVED: Stroke<'_> = Stroke::solid(INK, 1.9);

pub(crate) struct Belt {
    pub title: String,
    /// The parameter, with its unit.
    pub x_label: String,
    /// Confidence levels, in rising order.
    pub levels: Vec<BeltLevel>,
    /// Parameter and observed t, in rising order; t not finite where the fit failed.
    pub observed: Vec<(f64, f64)>,
}

#[derive(Clone)]
pub(crate) struct BeltLevel {
    pub level: f64,
    /// Quantiles from toys, in rising order of the parameter.
    pub points: Vec<BeltPoint>,
    /// The quantile by Wilks' theorem, for example 1.
    pub asymptotic: f64,
    /// Intervals of the confidence set; an infinite end reaches to the frame.
    pub intervals: Vec<(f64, f64)>,
}

/// The quantile of t at one value of the parameter.
#[derive(Clone)]
pub(crate) struct BeltPoint {
    pub parameter: f64,
    pub quantile: f64,
    /// Downward and upward error from the number of toys.
    pub errors: (f64, f64),
}

impl Belt {
    /// Draws the figure; an error if no level has a finite quantile.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let what = format!("belt of {}", self.x_label);
        let is_drawable = self.levels.iter().any(|l| l.finite().next().is_some());
        check::drawable(is_drawable, &what, "finite quantile")?;
        let (low, high) = self.x_range();
        let x = Axis::linear(low, high);
        let lanes = LANE * self.levels.len() as f64;
        let bars = Mark::Drawn(Box::new(|canvas, panel| {
            // The highest level at the bottom.
            for (index, level) in self.levels.iter().enumerate() {
                level.draw_lane(canvas, panel, index);
            }
        }));
        let chart = Chart::labelled(self.head(), &[370.0, lanes], GAP)
            .x(&self.x_label, x)
            .row("t_{μ}", Axis::linear(0.0, self.t_end()), self.marks(&x))
            .named_row(vec![bars]);
        Ok(chart.draw())
    }

    /// Range of the belt's points; what was observed beyond is not shown.
    fn x_range(&self) -> (f64, f64) {
        let points = self.levels.iter().flat_map(BeltLevel::finite);
        let (low, high) = ends(points.map(|point| point.parameter));
        let margin = match high - low {
            0.0 => 0.5,
            length => MARGIN * length,
        };
        (low - margin, high + margin)
    }

    /// End of the y axis: room above the belt for the observed curve to leave it.
    fn t_end(&self) -> f64 {
        let tops = self.levels.iter().flat_map(|level| {
            let quantiles = level.finite().map(|p| p.quantile + size(p.errors.1));
            quantiles.chain([level.asymptotic])
        });
        tops.filter(|top| top.is_finite()).fold(1.0, f64::max) / BELT_SHARE
    }

    fn marks(&self, x: &Axis) -> Vec<Mark<'_>> {
        let mut marks = Vec::new();
        for (index, level) in self.levels.iter().enumerate().rev() {
            for set in level.sets(x) {
                // On white: sets lie within each other, and tints would mix.
                marks.push(Mark::Column(set, Fill("#ffffff", 1.0)));
                marks.push(Mark::Column(set, Fill(colour(index), SET_OPACITY)));
            }
        }
        marks.extend(self.levels.iter().map(|level| {
            let label = percent(level.level);
            Mark::Level(level.asymptotic, ASYMPTOTIC, label)
        }));
        marks.push(Mark::Curve(self.observed.clone(), OBSERVED));
        for (index, level) in self.levels.iter().enumerate() {
            let points = level.points.iter().map(|p| (p.parameter, p.quantile));
            let dash = METHOD_DASHES[index % METHOD_DASHES.len()];
            let stroke = Stroke::solid(colour(index), 1.1).dashed(dash);
            marks.push(Mark::Line(points.collect(), stroke));
            let dot = |p: &BeltPoint| {
                let errors = (size(p.errors.0), size(p.errors.1));
                Dot::at(p.parameter, p.quantile, errors)
            };
            let dots = level.finite().map(dot).collect();
            marks.push(Mark::Errors(dots, marker(index), 1.4));
        }
        marks
    }

    fn head(&self) -> Head<'_> {
        let mut entries = Vec::new();
        let drawn = |(_, level): &(usize, &BeltLevel)| level.finite().next().is_some();
        for (index, level) in self.levels.iter().enumerate().filter(drawn) {
            let label = format!("{} quantile, toys", percent(level.level));
            entries.push(Entry::new(label, Key::Point(marker(index))));
        }
        entries.push(Entry::new("asymptotic", Key::Line(ASYMPTOTIC)));
        let all = self.observed.len();
        let fitted = self.observed.iter().filter(|(x, t)| (x + t).is_finite());
        let missing = all - fitted.count();
        if missing < all {
            entries.push(Entry::new("observed", Key::Line(OBSERVED)));
        }
        Head::new(&self.title, entries).counted(missing, all, "observed points")
    }
}

impl BeltLevel {
    fn finite(&self) -> impl Iterator<Item = &BeltPoint> {
        let finite = |p: &&BeltPoint| p.parameter.is_finite() && p.quantile.is_finite();
        self.points.iter().filter(finite)
    }

    /// The intervals as far as the axis shows them.
    fn sets(&self, x: &Axis) -> impl Iterator<Item = (f64, f64)> {
        let shown = |(low, high): &&(f64, f64)| low <= high && *high >= x.low && *low <= x.high;
        let cut = |(low, high): &(f64, f64)| (low.max(x.low), high.min(x.high));
        self.intervals.iter().filter(shown).map(cut)
    }

    /// The bar of the confidence set, and its level beside it.
    fn draw_lane(&self, canvas: &mut Canvas, Panel { x, y }: &Panel, index: usize) {
        let top = y.end + LANE * index as f64;
        for (low, high) in self.sets(x) {
            let corners = ((x.at(low), top + 5.0), (x.at(high), top + LANE - 5.0));
            canvas.rect(corners.0, corners.1, Fill(colour(index), 1.0));
        }
        let at = (x.start - 7.0, top + 0.5 * LANE + 0.36 * NOTE_SIZE);
        canvas.text(at, &percent(self.level), Type::end(NOTE_SIZE));
    }
}

fn colour(level: usize) -> &'static str {
    METHOD_COLOURS[level % METHOD_COLOURS.len()]
}

/// Points of the n-th level, hollow for every second.
fn marker(level: usize) -> Marker<'static> {
    Marker::dot(colour(level), 3.4).hollow(level % 2 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::examples;

    #[test]
    fn intervals_are_cut_at_the_frame() {
        let mut level = examples::belt(&[1.0]).levels.remove(0);
        level.intervals = vec![
            (f64::NEG_INFINITY, 2.0),
            (4.0, 5.0),
            (8.0, f64::INFINITY),
            (20.0, 30.0),
            (3.0, 1.0),
            (f64::NAN, 1.0),
        ];
        let sets: Vec<(f64, f64)> = level.sets(&Axis::linear(0.0, 10.0)).collect();
        assert_eq!(sets, [(0.0, 2.0), (4.0, 5.0), (8.0, 10.0)]);
    }

    #[test]
    fn the_axes_follow_the_belt() {
        let mut belt = examples::belt(&[1.2, 3.2, f64::NAN]);
        for level in &mut belt.levels {
            level.points[0].parameter = -1.0;
            level.points[1].errors = (0.1, 0.1);
        }
        let (low, high) = belt.x_range();
        assert!((low + 1.06).abs() < 1e-12 && (high - 1.06).abs() < 1e-12);
        assert!((belt.t_end() - 3.3 / BELT_SHARE).abs() < 1e-12);
        let svg = belt.draw().expect("two points").svg;
        assert!(svg.contains("asymptotic") && !svg.contains("NaN"));
        assert!(svg.contains("1 of 3 observed points without a fit, left out"));
    }
}
