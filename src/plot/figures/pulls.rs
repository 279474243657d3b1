//! Pulls in one dimension: histograms of groups of bins, each beside the unit
//! normal it would follow if the errors were right.

use super::*;

const REACH: f64 = 5.0; // ends of the x axis; pulls beyond count in the end bins
/// Bins for few, for some and for many pulls: widths 1, 1/2 and 1/4.
const BINS: [usize; 3] = [10, 20, 40];
/// Pulls in the smallest group from which the next finer bins are used.
const ENOUGH: [usize; 2] = [30, 400];
const AREA_OPACITY: f64 = 0.2; // opacity of the area under a histogram
const CURVE_POINTS: usize = 121;
/// Colours of the groups' histograms.
const COLOURS: [&str; 4] = [BLUE, ORANGE, ALTERNATIVES[0], GREY];
const NORMAL: Stroke<'_> = Stroke::solid(GREY, 1.8).dashed("6 4");

/// Distributions of pulls, as fractions of each group.
pub(crate) struct Pulls {
    pub title: String,
    /// What was divided by what.
    pub x_label: String,
    /// Groups, for example inside and outside the region.
    pub groups: Vec<PullGroup>,
}

#[derive(Clone)]
pub(crate) struct PullGroup {
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
    /// Draws the figure; an error if there is no group.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let what = format!("distribution of {}", self.x_label);
        check::drawable(!self.groups.is_empty(), &what, "group of pulls")?;
        let moments: Vec<Moments> = self.groups.iter().map(|g| Moments::of(&g.values)).collect();
        let bins = bins(&moments);
        let width = 2.0 * REACH / bins as f64;
        let edges: Vec<f64> = (0..=bins).map(|edge| edge as f64 * width - REACH).collect();
        let heights: Vec<Vec<f64>> = self.groups.iter().map(|g| g.heights(bins)).collect();
        let mut peaks = Vec::new();
        let (mut areas, mut steps, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (heights, moments)) in heights.into_iter().zip(&moments).enumerate() {
            let nearest = edges.windows(2).map(|bin| bin[0].abs().min(bin[1].abs()));
            let tops = heights.iter().zip(nearest);
            let tops = tops.map(|(height, x)| height.max(width * normal(x)));
            peaks.extend(Peak::of_bins(&edges, tops));
            let look = Stroke::solid(COLOURS[index % COLOURS.len()], 2.0);
            let area = look.area(AREA_OPACITY);
            let label = format!("{} ({})", self.groups[index].label, moments.count);
            entries.push(Entry::new(label, Key::LineOnArea(look, area)));
            let lines = moments.lines().into_iter();
            entries.extend(lines.map(|line| Entry::new(line, BLANK)));
            let ends = [vec![0.0; bins], heights.clone()];
            areas.push(Mark::StepBand(&edges, ends, area));
            steps.push(Mark::Steps(&edges, heights, look));
        }
        entries.push(Entry::new("unit normal", Key::Line(NORMAL)));
        let step = 2.0 * REACH / (CURVE_POINTS - 1) as f64;
        let curve = (0..CURVE_POINTS).map(|point| point as f64 * step - REACH);
        let curve = curve.map(|x| (x, width * normal(x))).collect();
        let mut marks = areas;
        marks.extend(steps.into_iter().rev());
        marks.push(Mark::Line(curve, NORMAL));
        let decimals = usize::from(width < 1.0) + usize::from(width < 0.5);
        let y_label = format!("Fraction of bins / {}", fixed(width, decimals));
        let chart = Chart::around(Head::new(&self.title, entries), 480.0, 0.0)
            .x(&self.x_label, Axis::linear(-REACH, REACH))
            .head_row(&y_label, Clear::new(Scale::Linear, 0.0, peaks), marks);
        Ok(chart.draw())
    }
}

/// As many bins as the smallest group fills.
fn bins(moments: &[Moments]) -> usize {
    let counts = moments.iter().map(|m| m.count).filter(|count| *count > 0);
    let fewest = counts.min().unwrap_or(0);
    BINS[ENOUGH.iter().filter(|enough| fewest >= **enough).count()]
}

impl PullGroup {
    /// Parts of the group in each bin.
    fn heights(&self, bins: usize) -> Vec<f64> {
        let mut counts = vec![0.0; bins];
        let finite = self.values.iter().filter(|value| value.is_finite());
        for value in finite.clone() {
            let position = (value + REACH) / (2.0 * REACH) * bins as f64;
            counts[(position.max(0.0) as usize).min(bins - 1)] += 1.0;
        }
        let all = finite.count().max(1) as f64;
        counts.iter().map(|count| count / all).collect()
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
            let [value, error] = [value, error].map(|x| short(x, decimals(error)));
            format!("{name} {value} ± {error}")
        };
        if self.count == 0 || !self.mean.is_finite() {
            return Vec::new();
        }
        if !self.mean_error.is_finite() {
            return vec![format!("mean {}", short(self.mean, 2))];
        }
        vec![
            pair("mean", self.mean, self.mean_error),
            pair("width", self.width, self.width_error),
        ]
    }
}

fn normal(value: f64) -> f64 {
    (-0.5 * value * value).exp() / (2.0 * std::f64::consts::PI).sqrt()
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
        let heights = group.heights(10);
        assert_eq!((heights[0], heights[5], heights[9]), (0.4, 0.2, 0.4));
        assert_eq!(heights.iter().sum::<f64>(), 1.0);
    }

    #[test]
    fn the_normal_has_unit_area() {
        let points = (-500..500).map(|i| f64::from(i) * 0.01);
        let sum: f64 = points.map(|x| normal(x) * 0.01).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }
}
