//! Events in two variables as a small map of their density.
//!
//! A map is a histogram drawn in a few shades, dark where many events are. The
//! shade goes with the square root of the density, so that tails are seen.
//! Bins are as fine as the number of events and the size of the file allow.

use std::fmt::Write as _;

use super::PlotError;
use super::axes::Axis;
use super::canvas::Canvas;
use super::check;
use super::numbers::{Lists, PanelNumbers};
use super::panel::Panel;

const LEVELS: usize = 8; // shades of a map
const BUDGET: usize = 230_000; // most bytes all maps of a figure may take
const FEWEST_BINS: usize = 4; // fewest bins along an axis
/// Bins along an axis, in fourth roots of the number of events: in two variables
/// the best width of bins falls with that power (Scott, Biometrika 66 (1979) 605).
const BINS: f64 = 3.4;
const DARKEST: f64 = 0.1; // part of the events that the darkest shade is for
const SHOWN: (f64, f64) = (0.004, 0.996); // quantiles of each list that a range shows
const MARGIN: f64 = 0.04; // space beyond them, in lengths of the range
/// How far a list that does not lead may stretch the range, in lengths of the range.
const STRETCH: f64 = 0.5;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    /// Name in the legend, or above the column.
    pub label: String,
    /// One list a variable, `[D][N]`; an event with a value that is not finite
    /// is left out where that variable is drawn.
    pub values: Vec<Vec<f64>>,
}

impl Sample {
    pub(super) fn events(&self) -> usize {
        self.values.first().map_or(0, Vec::len)
    }

    /// Checks that there are `variables` lists of one length.
    pub(super) fn check(&self, variables: usize) -> Result<(), PlotError> {
        let label = &self.label;
        let what = format!("variables of \"{label}\"");
        check::length(&what, self.values.len(), variables)?;
        let lists = self.values.iter().enumerate();
        check::lengths(
            lists,
            |i| format!("variable {i} of \"{label}\""),
            self.events(),
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ramp {
    /// Greys, for what was observed.
    Observed,
    /// Blues, for what was predicted.
    Predicted,
}

impl Ramp {
    /// Colour of a level below [`LEVELS`].
    fn colour(self, level: usize) -> String {
        let stops: [[f64; 3]; 3] = match self {
            Self::Observed => [[234.0, 234.0, 237.0], [136.0, 138.0, 146.0], [17.0; 3]],
            Self::Predicted => [
                [224.0, 232.0, 250.0],
                [88.0, 133.0, 224.0],
                [13.0, 30.0, 92.0],
            ],
        };
        let position = 2.0 * level.min(LEVELS - 1) as f64 / (LEVELS - 1) as f64;
        let below = usize::from(position >= 1.0);
        let weight = position - below as f64;
        let mix = |channel: usize| {
            let (from, to) = (stops[below][channel], stops[below + 1][channel]);
            (from * (1.0 - weight) + to * weight).round() as u8
        };
        format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
    }

    pub(super) fn middle(self) -> String {
        self.colour(LEVELS / 2)
    }
}

/// Two variables of a sample, and where they will be drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cloud<'a> {
    pub(super) sample: &'a Sample,
    /// Indices of the variables along x and y.
    pub(super) variables: (usize, usize),
    pub(super) panel: Panel,
    pub(super) ramp: Ramp,
    /// Clouds of the same scale share what the darkest shade means.
    pub(super) scale: usize,
}

/// A cloud turned into outlines.
#[derive(Debug)]
pub(super) struct Map {
    panel: Panel,
    ramp: Ramp,
    bins: usize,
    /// Events in each bin, row after row.
    counts: Vec<f64>,
    /// Levels and outlines, palest first.
    layers: Vec<(usize, String)>,
}

impl Cloud<'_> {
    /// The events of its map, in bins between the ends of both axes.
    pub(super) fn numbers(&self, map: &Map, variables: &[String]) -> PanelNumbers {
        let Panel { x, y } = self.panel;
        let rows = map.counts.chunks(map.bins).map(<[f64]>::to_vec);
        let lists = Lists::new("events", &self.sample.label)
            .list("x_ends", [x.low, x.high])
            .list("y_ends", [y.low, y.high])
            .rows("rows", rows.collect());
        let [x, y] = [self.variables.0, self.variables.1].map(|k| variables[k].as_str());
        PanelNumbers::new(x, y, [lists])
    }
}

impl Map {
    pub(super) fn draw(&self, canvas: &mut Canvas) {
        let Panel { x, y } = self.panel;
        let bins = self.bins as f64;
        let cell = ((x.end - x.start) / bins, (y.end - y.start) / bins);
        let layers = self.layers.iter();
        let layers = layers.map(|(level, path)| (self.ramp.colour(*level), path.as_str()));
        canvas.regions((x.start, y.start), cell, layers);
    }
}

/// Maps of clouds with at most `finest` bins along an axis.
pub(super) fn maps(clouds: &[Cloud<'_>], finest: usize) -> Vec<Map> {
    let events = clouds.iter().map(|cloud| cloud.sample.events());
    let fewest = events.filter(|events| *events > 0).min().unwrap_or(0);
    let wanted = (BINS * (fewest as f64).powf(0.25)) as usize;
    let mut bins = wanted.clamp(FEWEST_BINS, finest.max(FEWEST_BINS));
    loop {
        let maps = maps_with(clouds, bins);
        let bytes: usize = maps.iter().flat_map(|m| &m.layers).map(|l| l.1.len()).sum();
        if bytes <= BUDGET || bins == FEWEST_BINS {
            return maps;
        }
        bins = (bins * 3 / 4).max(FEWEST_BINS);
    }
}

fn maps_with(clouds: &[Cloud<'_>], bins: usize) -> Vec<Map> {
    let counted: Vec<Vec<f64>> = clouds.iter().map(|cloud| counts(cloud, bins)).collect();
    let densities: Vec<Vec<f64>> = counted.iter().map(|counts| density(counts)).collect();
    let scales = clouds.iter().map(|cloud| cloud.scale).max().unwrap_or(0) + 1;
    let mut highest = vec![0.0f64; scales];
    for (cloud, density) in clouds.iter().zip(&densities) {
        highest[cloud.scale] = highest[cloud.scale].max(dense(density));
    }
    let map = |((cloud, density), counts): ((&Cloud<'_>, &Vec<f64>), _)| Map {
        panel: cloud.panel,
        ramp: cloud.ramp,
        bins,
        counts,
        layers: layers(density, highest[cloud.scale], bins),
    };
    clouds
        .iter()
        .zip(&densities)
        .zip(counted)
        .map(map)
        .collect()
}

/// Events in each bin, row after row.
fn counts(cloud: &Cloud<'_>, bins: usize) -> Vec<f64> {
    let mut counts = vec![0.0; bins * bins];
    let list = |variable: usize| cloud.sample.values.get(variable).into_iter().flatten();
    for (x, y) in list(cloud.variables.0).zip(list(cloud.variables.1)) {
        let Panel {
            x: columns,
            y: rows,
        } = &cloud.panel;
        if let (Some(i), Some(j)) = (bin(columns, *x, bins), bin(rows, *y, bins)) {
            counts[j * bins + i] += 1.0;
        }
    }
    counts
}

/// The same as part of all within the panel.
fn density(counts: &[f64]) -> Vec<f64> {
    let sum: f64 = counts.iter().sum();
    counts.iter().map(|count| count / sum.max(1.0)).collect()
}

/// The density above which the densest events lie; unlike the highest it does
/// not follow a single bin.
fn dense(density: &[f64]) -> f64 {
    let mut falling: Vec<f64> = density.iter().copied().filter(|d| *d > 0.0).collect();
    falling.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = falling.iter().sum();
    let mut sum = 0.0;
    let reaches = |density: &&f64| {
        sum += **density;
        sum >= DARKEST * total
    };
    falling.iter().find(reaches).copied().unwrap_or(0.0)
}

/// Bin of a value, if the axis shows it.
pub(super) fn bin(axis: &Axis, value: f64, bins: usize) -> Option<usize> {
    let shown = value.is_finite() && axis.shows(value);
    shown.then(|| ((axis.fraction(value) * bins as f64) as usize).min(bins - 1))
}

/// Outline of what reaches each level.
fn layers(density: &[f64], highest: f64, bins: usize) -> Vec<(usize, String)> {
    let level = |density: &f64| {
        let part = (density / highest).clamp(0.0, 1.0);
        ((part.sqrt() * LEVELS as f64) as usize).min(LEVELS - 1)
    };
    let reach = |least: usize| -> Vec<bool> {
        let cells = density.iter();
        cells.map(|d| *d > 0.0 && level(d) >= least).collect()
    };
    (0..LEVELS)
        .map(|least| (least, outline(&reach(least), bins)))
        .filter(|(_, path)| !path.is_empty())
        .collect()
}

/// Range that shows nearly all of the values of `leading` lists, and of the
/// others as far as they do not stretch it much.
pub(super) fn range(leading: &[&[f64]], others: &[&[f64]]) -> (f64, f64) {
    let join = |lists: &[&[f64]]| {
        let bulks = lists.iter().filter_map(|values| bulk(values));
        bulks.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    };
    let (low, high) = match (join(leading), join(others)) {
        (Some((low, high)), Some((below, above))) => {
            let (least, most) = (low - STRETCH * (high - low), high + STRETCH * (high - low));
            (low.min(below.max(least)), high.max(above.min(most)))
        }
        (Some(range), None) | (None, Some(range)) => range,
        (None, None) => (0.0, 1.0),
    };
    let margin = MARGIN * (high - low);
    (low - margin, high + margin)
}

/// The values that hold all but the outermost ones.
fn bulk(values: &[f64]) -> Option<(f64, f64)> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let last = finite.len().checked_sub(1)? as f64;
    let mut quantile = |probability: f64| {
        let index = (probability * last).round() as usize;
        *finite.select_nth_unstable_by(index, f64::total_cmp).1
    };
    Some((quantile(SHOWN.0), quantile(SHOWN.1)))
}

/// East, south, west, north: steps along the outline.
const STEPS: [(i64, i64); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];

/// Outline of the cells that are `true` in a grid of `columns`, row after row,
/// as SVG path data in units of cells. Cells that touch at a corner only stay apart.
fn outline(inside: &[bool], columns: usize) -> String {
    let rows = inside.len().checked_div(columns).unwrap_or(0);
    let mut edges = Edges::around(inside, columns, rows);
    let mut path = String::new();
    for start in 0..edges.leaving.len() {
        // In reading order the first corner of a loop is its upper left one,
        // from which the outline goes east, or south around a hole.
        while let Some(first) = (0..4).find(|way| edges.has(start, *way)) {
            let (x, y) = (start % edges.width, start / edges.width);
            let _ = write!(path, "M{x} {y}");
            edges.follow(start, first, &mut path);
        }
    }
    path
}

/// Directed edges between cells inside and outside, the inside on the right hand.
struct Edges {
    /// Bit `way` of a corner: an edge leaves in that direction of [`STEPS`].
    leaving: Vec<u8>,
    /// Corners in a row.
    width: usize,
}

impl Edges {
    fn around(inside: &[bool], columns: usize, rows: usize) -> Self {
        let width = columns + 1;
        let mut leaving = vec![0u8; width * (rows + 1)];
        // What lies left of the first column or above the first row wraps to a huge number.
        let is_inside = |x: usize, y: usize| x < columns && y < rows && inside[y * columns + x];
        let cells = (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y)));
        for (x, y) in cells.filter(|(x, y)| is_inside(*x, *y)) {
            let corner = y * width + x;
            let sides = [
                (corner, (x, y.wrapping_sub(1))),
                (corner + 1, (x + 1, y)),
                (corner + width + 1, (x, y + 1)),
                (corner + width, (x.wrapping_sub(1), y)),
            ];
            for (way, (from, (x, y))) in sides.into_iter().enumerate() {
                leaving[from] |= u8::from(!is_inside(x, y)) << way;
            }
        }
        Self { leaving, width }
    }

    fn has(&self, corner: usize, way: usize) -> bool {
        self.leaving[corner] & (1 << way) != 0
    }

    /// Writes one closed loop and removes its edges.
    fn follow(&mut self, start: usize, first: usize, path: &mut String) {
        let (mut corner, mut way, mut length) = (start, first, 0);
        loop {
            self.leaving[corner] &= !(1 << way);
            length += 1;
            let (dx, dy) = STEPS[way];
            corner = (corner as i64 + dx + dy * self.width as i64) as usize;
            // To the right first: around a corner that two cells share.
            let turns = [(way + 1) % 4, way, (way + 3) % 4];
            let next = turns.into_iter().find(|way| self.has(corner, *way));
            let Some(next) = next.filter(|_| corner != start) else {
                break;
            };
            if next != way {
                let _ = match dx {
                    0 => write!(path, "v{}", dy * length),
                    _ => write!(path, "h{}", dx * length),
                };
                length = 0;
            }
            way = next;
        }
        // The last side is drawn by closing.
        path.push('z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: [Vec<f64>; 2]) -> Sample {
        Sample {
            values: values.to_vec(),
            ..Sample::default()
        }
    }

    fn cloud(sample: &Sample) -> Cloud<'_> {
        let axis = Axis::linear(0.0, 2.0).over((0.0, 100.0));
        Cloud {
            sample,
            variables: (0, 1),
            panel: Panel { x: axis, y: axis },
            ramp: Ramp::Observed,
            scale: 0,
        }
    }

    fn noise() -> impl FnMut() -> f64 {
        let mut state = 1u32;
        move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24)
        }
    }

    #[test]
    fn densities_are_parts_of_what_is_shown() {
        let sample = sample([
            vec![0.5, 0.5, 0.5, 1.5, 9.0, f64::NAN],
            vec![0.5, 1.5, 1.2, 2.0, 0.5, 0.5],
        ]);
        let density = |sample: &Sample| density(&counts(&cloud(sample), 2));
        assert_eq!(density(&sample), [0.25, 0.0, 0.5, 0.25]);
        assert_eq!(density(&Sample::default()), [0.0; 4]);
    }

    #[test]
    fn one_hot_bin_does_not_set_the_shades() {
        let mut density = vec![0.0098; 100];
        assert_eq!(dense(&density), 0.0098);
        density[3] = 0.03;
        assert_eq!(dense(&density), 0.0098);
        assert_eq!(dense(&[0.9, 0.1]), 0.9);
        assert_eq!(dense(&[0.0, -1.0]), 0.0);
    }

    #[test]
    fn darker_layers_lie_within_paler_ones() {
        let density = [0.01, 0.2, 1.0, 0.0];
        let layers = layers(&density, 1.0, 2);
        assert_eq!(layers.len(), LEVELS);
        assert_eq!(layers[0].1, "M0 0h2v1h-1v1h-1z");
        assert_eq!(layers[LEVELS - 1].1, "M0 1h1v1h-1z");
    }

    #[test]
    fn many_maps_of_noise_stay_within_the_budget() {
        let mut next = noise();
        let mut list = || (0..6000).map(|_| 2.0 * next()).collect();
        let sample = sample([list(), list()]);
        let clouds = vec![cloud(&sample); 132];
        let maps = maps(&clouds, 60);
        let bytes: usize = maps.iter().flat_map(|m| &m.layers).map(|l| l.1.len()).sum();
        assert!(bytes <= BUDGET, "{bytes}");
        assert!(maps[0].bins > FEWEST_BINS, "{}", maps[0].bins);
    }

    #[test]
    fn ranges_follow_the_bulk_of_the_leading_lists() {
        let mut values: Vec<f64> = (0..=1000).map(f64::from).collect();
        values[1000] = 1e9;
        let (low, high) = range(&[&values], &[]);
        assert!(low < 5.0 && high < 1100.0, "{low} {high}");
        let (_, wide) = range(&[&values], &[&[5e6]]);
        assert!(wide > high && wide < 1600.0, "{wide}");
        assert_eq!(range(&[&[f64::NAN], &[]], &[]), (-0.04, 1.04));
    }

    #[test]
    fn outlines_go_around_regions_and_holes() {
        for (rows, expected) in [
            (&["..", ".."][..], ""),
            (&["#"], "M0 0h1v1h-1z"),
            (&["##.", "##.", "..."], "M0 0h2v2h-2z"),
            (&["###", "#.#", "###"], "M0 0h3v3h-3zM1 1v1h1v-1z"),
            (&["#.", ".#"], "M0 0h1v1h-1zM1 1h1v1h-1z"),
            (&["#.", "##"], "M0 0h1v1h1v1h-2z"),
        ] {
            let cells: Vec<bool> = rows.concat().chars().map(|c| c == '#').collect();
            assert_eq!(outline(&cells, rows[0].len()), expected);
        }
        assert_eq!(outline(&[], 0), "");
    }

    /// Cells whose centre a loop encloses, by the even-odd rule, from the path alone.
    fn filled(path: &str, columns: usize, rows: usize) -> Vec<bool> {
        let mut inside = vec![false; columns * rows];
        for part in path.split_terminator('z') {
            let words = part[1..].replace('h', " h ").replace('v', " v ");
            let words: Vec<&str> = words.split(' ').collect();
            let number = |word: &str| word.parse::<i64>().expect("a whole number");
            let mut corners = vec![(number(words[0]), number(words[1]))];
            for step in words[2..].chunks(2) {
                let ((x, y), by) = (corners[corners.len() - 1], number(step[1]));
                corners.push(if step[0] == "h" {
                    (x + by, y)
                } else {
                    (x, y + by)
                });
            }
            // Closing is one straight side.
            corners.push(corners[0]);
            for side in corners.windows(2) {
                let ((x, from), (end, to)) = (side[0], side[1]);
                assert!(x == end || from == to, "{path}");
                let crossed = (from.min(to)..from.max(to)).filter(|_| x == end);
                for (row, column) in
                    crossed.flat_map(|row| (x..columns as i64).map(move |c| (row, c)))
                {
                    inside[row as usize * columns + column as usize] ^= true;
                }
            }
        }
        inside
    }

    #[test]
    fn outlines_of_any_pattern_enclose_exactly_its_cells() {
        let (columns, rows) = (9, 7);
        let mut next = noise();
        for density in [0.1, 0.3, 0.5, 0.7, 0.9] {
            for _ in 0..40 {
                let cells: Vec<bool> = (0..columns * rows).map(|_| next() < density).collect();
                assert_eq!(filled(&outline(&cells, columns), columns, rows), cells);
            }
        }
    }
}
