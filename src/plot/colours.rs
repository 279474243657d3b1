//! Colour maps: viridis for amounts, blue-white-red for differences.

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

/// Number of distinct colours; fine enough that no step is seen.
pub(super) const LEVELS: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColourMap {
    /// Dark to bright.
    Sequential,
    /// Blue below, white at, red above the centre.
    Diverging,
}

impl ColourMap {
    /// Colour of a level below [`LEVELS`].
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

/// Level of a position between 0 and 1; positions outside take the ends.
pub(super) fn level(position: f64) -> usize {
    ((position.clamp(0.0, 1.0) * LEVELS as f64) as usize).min(LEVELS - 1)
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
        assert_eq!(level(-1.0), 0);
        assert_eq!(level(f64::NAN), 0);
        assert_eq!(level(1.0), LEVELS - 1);
    }
}
