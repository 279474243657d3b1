//! Pulls in one dimension: histograms of groups of bins, each beside the unit
//! normal it would follow if the errors were right.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::legend::{Entry, Key, Peak, Topping};
use super::panel::Panel;
use super::shapes::{band, steps};
use super::style::{ALTERNATIVES, BLUE, BOTTOM, GREY, LEFT, ORANGE, RIGHT, TOP, WIDTH};
use super::ticks::fixed;
use super::{Figure, PlotError};

/// Height of the figure.
const HEIGHT: f64 = 480.0;
/// Ends of the x axis; pulls beyond count in the end bins.
const REACH: f64 = 5.0;
/// Bins for few, for some and for many pulls: widths 1, 1/2 and 1/4.
const BINS: [usize; 3] = [10, 20, 40];
/// Pulls in the smallest group from which the next finer bins are used.
const ENOUGH: [usize; 2] = [30, 400];
/// Opacity of the area under a histogram.
const AREA_OPACITY: f64 = 0.2;
/// Points of a curve.
const CURVE_POINTS: usize = 121;
/// Look of the groups' histograms.
const LOOKS: [Stroke<'static>; 4] = [
    Stroke::solid(BLUE, 2.0),
    Stroke::solid(ORANGE, 2.0),
    Stroke::solid(ALTERNATIVES[0], 2.0),
    Stroke::solid(GREY, 2.0),
];
/// The unit normal, as it stands in the legend.
const NORMAL: Stroke<'static> = Stroke::solid(GREY, 1.8).dashed("6 4");

/// Distributions of pulls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pulls {
    /// Line below the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the x axis: what was divided by what.
    pub x_label: String,
    /// What is counted, for the y axis; empty means "Bins".
    #[serde(default)]
    pub counted: String,
    /// Groups, for example inside and outside the region.
    pub groups: Vec<PullGroup>,
    /// Show parts of each group instead of numbers.
    #[serde(default)]
    pub normalised: bool,
    /// Small lines below the title.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Pulls of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PullGroup {
    /// Name in the legend.
    pub label: String,
    /// One pull a bin; what is not finite is left out and counts nowhere.
    pub values: Vec<f64>,
}

/// Mean and width of pulls, with errors that hold if they are normal.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moments {
    count: usize,
    mean: f64,
    mean_error: f64,
    width: f64,
    width_error: f64,
}

impl Pulls {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] if there is no group.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        if self.groups.is_empty() {
            return Err(PlotError::Empty {
                what: format!("distribution of {}", self.x_label),
                expected: "group of pulls".to_owned(),
            });
        }
        let moments: Vec<Moments> = self.groups.iter().map(|g| Moments::of(&g.values)).collect();
        let bins = self.bins(&moments);
        let width = 2.0 * REACH / bins as f64;
        let edges: Vec<f64> = (0..=bins).map(|edge| edge as f64 * width - REACH).collect();
        let heights: Vec<Vec<f64>> = self.groups.iter().map(|g| self.heights(g, bins)).collect();
        // Height of each group's normal curve at zero.
        let scales: Vec<f64> = moments
            .iter()
            .map(|m| width * if self.normalised { 1.0 } else { m.count as f64 })
            .collect();
        let x = Axis::new(Scale::Linear, -REACH, REACH, (LEFT, WIDTH - RIGHT));
        let mut peaks = Vec::new();
        for (heights, scale) in heights.iter().zip(&scales) {
            for (bin, height) in heights.iter().enumerate() {
                let nearest = edges[bin].abs().min(edges[bin + 1].abs());
                peaks.push(Peak {
                    from: x.at(edges[bin]),
                    to: x.at(edges[bin + 1]),
                    top: height.max(scale * normal(nearest)),
                });
            }
        }
        let topping = self.topping(&moments);
        let bottom = HEIGHT - BOTTOM;
        let placement = topping.place(&x, bottom - TOP, (Scale::Linear, 0.0), &peaks);
        let y = Axis::new(Scale::Linear, 0.0, placement.high, (bottom, TOP));
        let panel = Panel { x, y };
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        panel.clipped(&mut canvas, |canvas| {
            let floor = vec![0.0; bins];
            for (index, heights) in heights.iter().enumerate() {
                let ends = (floor.as_slice(), heights.as_slice());
                band(
                    canvas,
                    &panel,
                    &edges,
                    ends,
                    look(index).colour,
                    AREA_OPACITY,
                );
            }
            for (index, heights) in heights.iter().enumerate().rev() {
                steps(canvas, &panel, &edges, heights, look(index));
            }
            for (index, scale) in scales.iter().enumerate() {
                // All curves are the same one if the groups are.
                if !self.normalised || index == 0 {
                    canvas.polyline(&curve(&panel, *scale), self.curve_look(index));
                }
            }
        });
        panel.frame(&mut canvas, Some(&self.x_label), &self.y_label(width));
        topping.draw(&mut canvas, (x.start, TOP), &placement);
        Ok(canvas.finish())
    }

    /// As many bins as the smallest group fills.
    fn bins(&self, moments: &[Moments]) -> usize {
        let counts = moments.iter().map(|m| m.count).filter(|count| *count > 0);
        let fewest = counts.min().unwrap_or(0);
        BINS[ENOUGH.iter().filter(|enough| fewest >= **enough).count()]
    }

    fn heights(&self, group: &PullGroup, bins: usize) -> Vec<f64> {
        let mut counts = vec![0.0; bins];
        let finite = || group.values.iter().filter(|value| value.is_finite());
        for value in finite() {
            let position = (value + REACH) / (2.0 * REACH) * bins as f64;
            counts[(position.max(0.0) as usize).min(bins - 1)] += 1.0;
        }
        let unit = if self.normalised {
            finite().count().max(1)
        } else {
            1
        };
        counts.iter().map(|count| count / unit as f64).collect()
    }

    fn y_label(&self, width: f64) -> String {
        let counted = if self.counted.is_empty() {
            "Bins"
        } else {
            &self.counted
        };
        let decimals = if width < 0.5 {
            2
        } else {
            usize::from(width < 1.0)
        };
        let width = fixed(width, decimals);
        match self.normalised {
            true => format!("Fraction of {} / {width}", lower_case(counted)),
            false => format!("{counted} / {width}"),
        }
    }

    /// A common curve is grey, a group's own has its colour.
    fn curve_look(&self, group: usize) -> Stroke<'static> {
        Stroke {
            colour: if self.normalised {
                GREY
            } else {
                look(group).colour
            },
            ..NORMAL
        }
    }

    fn topping(&self, moments: &[Moments]) -> Topping<'static> {
        let mut entries = Vec::new();
        let entry = |label: String, key| Entry { label, key };
        for (index, (group, moments)) in self.groups.iter().zip(moments).enumerate() {
            let fill = look(index).colour.to_owned();
            let key = Key::LineOnArea(look(index), fill, AREA_OPACITY);
            entries.push(entry(format!("{} ({})", group.label, moments.count), key));
            // The second line of the entry stands below, without a symbol.
            let blank = Key::Area("none".to_owned(), 0.0);
            entries.extend(
                moments
                    .lines()
                    .into_iter()
                    .map(|line| entry(line, blank.clone())),
            );
        }
        let curves = if self.normalised {
            1
        } else {
            self.groups.len()
        };
        let label = if curves == 1 {
            "unit normal"
        } else {
            "unit normal, same area"
        };
        entries.push(entry(label.to_owned(), Key::Line(NORMAL)));
        Topping {
            branded: true,
            title: self.title.clone(),
            notes: self.notes.clone(),
            entries,
        }
    }
}

impl Moments {
    fn of(values: &[f64]) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let count = finite().count();
        let n = count as f64;
        let mean = finite().map(|value| value / n).sum::<f64>();
        let squares = finite().map(|value| (value - mean) * (value - mean) / (n - 1.0));
        let width = squares.sum::<f64>().sqrt();
        Self {
            count,
            mean,
            mean_error: width / n.sqrt(),
            width,
            width_error: width / (2.0 * (n - 1.0)).sqrt(),
        }
    }

    /// Mean and width for the legend, as far as there are any.
    fn lines(&self) -> Vec<String> {
        let pair = |name: &str, value: f64, error: f64| {
            let decimals = decimals(error);
            format!(
                "{name} {} ± {}",
                short(value, decimals),
                short(error, decimals)
            )
        };
        let mean = pair("mean", self.mean, self.mean_error);
        let width = pair("width", self.width, self.width_error);
        match (
            self.count > 0 && self.mean.is_finite(),
            self.mean_error.is_finite(),
        ) {
            (false, _) => Vec::new(),
            (true, true) => vec![mean, width],
            (true, false) => vec![format!("mean {}", short(self.mean, 2))],
        }
    }
}

/// Decimals that show two digits of a usual error.
fn decimals(error: f64) -> usize {
    if error < 0.0195 { 3 } else { 2 }
}

/// A number for the legend; numbers no pull should be are written with an exponent.
pub(super) fn short(value: f64, decimals: usize) -> String {
    if value.abs() < 1e4 {
        return fixed(value, decimals);
    }
    format!("{value:.1e}").replace('-', "−")
}

fn lower_case(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_lowercase().collect::<String>());
    first.unwrap_or_default() + letters.as_str()
}

/// Density of the unit normal.
fn normal(value: f64) -> f64 {
    (-0.5 * value * value).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

fn curve(panel: &Panel, scale: f64) -> Vec<(f64, f64)> {
    let step = 2.0 * REACH / (CURVE_POINTS - 1) as f64;
    (0..CURVE_POINTS)
        .map(|point| point as f64 * step - REACH)
        .map(|value| panel.at(value, scale * normal(value)))
        .collect()
}

fn look(group: usize) -> Stroke<'static> {
    LOOKS[group % LOOKS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_match_their_definitions() {
        let moments = Moments::of(&[1.0, f64::NAN, 3.0, 5.0, f64::INFINITY]);
        assert_eq!((moments.count, moments.mean, moments.width), (3, 3.0, 2.0));
        assert_eq!(moments.width_error, 1.0);
        assert!((moments.mean_error - 2.0 / 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(moments.lines(), ["mean 3.00 ± 1.15", "width 2.00 ± 1.00"]);
        assert_eq!(Moments::of(&[2.0]).lines(), ["mean 2.00"]);
        assert!(Moments::of(&[f64::NAN]).lines().is_empty());
    }

    #[test]
    fn pulls_beyond_the_axis_count_in_its_end_bins() {
        let group = PullGroup {
            label: String::new(),
            values: vec![-1e300, -4.9, 0.1, 5.0, 80.0, f64::NAN],
        };
        let mut pulls = Pulls {
            title: String::new(),
            x_label: String::new(),
            counted: String::new(),
            groups: Vec::new(),
            normalised: false,
            notes: Vec::new(),
        };
        let heights = pulls.heights(&group, 10);
        assert_eq!((heights[0], heights[5], heights[9]), (2.0, 1.0, 2.0));
        pulls.normalised = true;
        assert_eq!(pulls.heights(&group, 10).iter().sum::<f64>(), 1.0);
    }

    #[test]
    fn the_normal_has_unit_area() {
        let sum: f64 = (-500..500)
            .map(|i| normal(f64::from(i) * 0.01) * 0.01)
            .sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }
}
