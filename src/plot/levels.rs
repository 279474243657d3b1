//! Confidence levels: how they are written, and labels of level lines that
//! stand right of the frame, clear of whatever is drawn inside.

use super::canvas::{Anchor, Canvas, Type};
use super::panel::Panel;
use super::pulls::short;
use super::style::{LEFT, NOTE_SIZE, WIDTH};

/// Right margin of a figure with labels there.
pub(super) const LABEL_MARGIN: f64 = 66.0;
/// What stands above such a figure's frame may reach over the labels.
pub(super) const STRIP_ENDS: (f64, f64) = (LEFT, WIDTH - 10.0);
/// Distance of the labels from the frame.
const LABEL_GAP: f64 = 6.0;

/// A confidence level in per cent, "68.27 %"; empty if it is not finite.
pub(super) fn percent(level: f64) -> String {
    match level.is_finite() {
        true => format!("{} %", short(100.0 * level, 2)),
        false => String::new(),
    }
}

/// Writes `label` right of the frame at the height of `y`, if the panel shows it.
pub(super) fn write_beside(canvas: &mut Canvas, panel: &Panel, y: f64, label: &str) {
    if panel.y.shows(y) {
        let at = (panel.x.end + LABEL_GAP, panel.y.at(y) + 0.36 * NOTE_SIZE);
        canvas.text(at, label, Type::new(NOTE_SIZE, Anchor::Start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_two_decimals() {
        assert_eq!(percent(0.6827), "68.27 %");
        assert_eq!(percent(0.95), "95.00 %");
        assert_eq!(percent(f64::NAN), "");
    }
}
