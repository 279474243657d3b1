//! Colour maps: viridis for amounts, blue-white-red for differences; cells in their
//! colours, and the bar that says what these mean.

use super::axes::Axis;
use super::canvas::{Canvas, Stroke, Type};
use super::style::{AXIS_SIZE, INK, MAJOR, MINOR, TICK_SIZE};
use super::ticks::Direction;

/// Viridis (van der Walt and Smith, matplotlib 2.0) at nine equal steps.
const VIRIDIS: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// Blue over white to red (ColorBrewer RdBu, reversed), white in the middle.
const BLUE_WHITE_RED: [[u8; 3]; 9] = [
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
    [209, 229, 240],
    [255, 255, 255],
    [253, 219, 199],
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
];

const LEVELS: usize = 128; // number of distinct colours; fine enough that no step is seen
const BAR_WIDTH: f64 = 20.0; // width of a colour bar

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColourMap {
    /// Dark to bright.
    Sequential,
    /// Blue below, white at, red above the centre.
    Diverging,
}

impl ColourMap {
    pub(super) fn colour(self, level: usize) -> String {
        let [red, green, blue] = self.rgb(level);
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// Whether black text is easier to read on a level than white.
    pub(super) fn is_light(self, level: usize) -> bool {
        let [red, green, blue] = self.rgb(level).map(f64::from);
        // Rec. 709 luma, in display values; good enough for a choice of two.
        0.2126 * red + 0.7152 * green + 0.0722 * blue > 130.0
    }

    /// Draws cells, two corners each, in the colours of their levels.
    pub(super) fn cells(
        self,
        canvas: &mut Canvas,
        cells: impl Iterator<Item = (Option<usize>, [(f64, f64); 2])>,
    ) {
        // One path a colour keeps large maps small.
        let mut by_level: Vec<Vec<[(f64, f64); 2]>> = vec![Vec::new(); LEVELS];
        for (level, corners) in cells {
            if let Some(level) = level {
                by_level[level].push(corners);
            }
        }
        let filled = by_level.iter().enumerate();
        for (level, cells) in filled.filter(|(_, cells)| !cells.is_empty()) {
            canvas.cells(cells, &self.colour(level));
        }
    }

    /// A colour bar over the pixels of `z`, its numbers on the right.
    pub(super) fn bar(self, canvas: &mut Canvas, left: f64, z: &Axis, label: &str) {
        let right = left + BAR_WIDTH;
        let height = (z.end - z.start) / LEVELS as f64;
        for level in 0..LEVELS {
            let bottom = z.start + level as f64 * height;
            let cell = [(left, bottom), (right, bottom + height)];
            canvas.cells(&[cell], &self.colour(level));
        }
        let ticks = z.ticks(Direction::Vertical(TICK_SIZE));
        let mut widest: f64 = 0.0;
        for tick in &ticks.ticks {
            let length = if tick.major { MAJOR } else { MINOR } * 0.6;
            let (from, to) = ((right, tick.at), (right - length, tick.at));
            canvas.line(from, to, Stroke::solid(INK, 1.0));
            if let Some(number) = &tick.label {
                let width =
                    canvas.centred((right + 6.0, tick.at), number, Type::start(TICK_SIZE), 52.0);
                widest = widest.max(width);
            }
        }
        canvas.outline((left, z.end), (right, z.start), Stroke::solid(INK, 1.2));
        let kind = Type::end(AXIS_SIZE).rotated(-90.0);
        let at = (right + 6.0 + widest + AXIS_SIZE + 2.0, z.end);
        canvas.fitted(at, &ticks.scaled(label), kind, z.length());
    }

    fn rgb(self, level: usize) -> [u8; 3] {
        let stops = match self {
            Self::Sequential => &VIRIDIS,
            Self::Diverging => &BLUE_WHITE_RED,
        };
        let position = level.min(LEVELS - 1) as f64 / (LEVELS - 1) as f64;
        let position = position * (stops.len() - 1) as f64;
        let below = (position.floor() as usize).min(stops.len() - 2);
        let weight = position - below as f64;
        let mix = |channel: usize| {
            let (from, to) = (stops[below][channel], stops[below + 1][channel]);
            (f64::from(from) * (1.0 - weight) + f64::from(to) * weight).round() as u8
        };
        [mix(0), mix(1), mix(2)]
    }
}

/// Level of a value on the axis of the colours; what is outside takes the ends, what is
/// not finite has none.
pub(super) fn level(z: &Axis, value: f64) -> Option<usize> {
    let level = (z.fraction(value).clamp(0.0, 1.0) * LEVELS as f64) as usize;
    value.is_finite().then_some(level.min(LEVELS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_begin_and_end_at_their_stops() {
        assert_eq!(ColourMap::Sequential.colour(0), "#440154");
        assert_eq!(ColourMap::Sequential.colour(LEVELS), "#fde725");
        assert_eq!(ColourMap::Diverging.colour(0), "#2166ac");
        assert!(ColourMap::Diverging.is_light(LEVELS / 2));
        assert!(!ColourMap::Diverging.is_light(0));
    }

    #[test]
    fn levels_cover_the_unit_interval() {
        let levels = [-1.0, f64::NAN, 1.0].map(|value| level(&Axis::linear(0.0, 1.0), value));
        assert_eq!(levels, [Some(0), None, Some(LEVELS - 1)]);
    }
}
