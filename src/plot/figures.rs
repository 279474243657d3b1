//! One file a figure. Each begins with `use super::*`: this is what figures are made of.

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Fill, Stroke, Type};
use super::chart::Chart;
use super::colours::ColourMap;
use super::density::{self, Cloud, Ramp, Sample};
use super::grid::{self, Side};
use super::heading::{HEADER, heading};
use super::layers::{Layer, over};
use super::legend::{BLANK, Clear, Entry, Head, Key, Peak};
use super::marks::{Dot, METHOD_COLOURS, METHOD_DASHES, Mark, Marker, size};
use super::numbers::{Lists, PanelNumbers};
use super::panel::Panel;
use super::style::*;
use super::ticks::fixed;
use super::{Figure, PlotError, check, colours, curve, layers, text};

pub(super) mod belt;
pub(super) mod calibration;
pub(super) mod cls_scan;
pub(super) mod comparison;
pub(super) mod corner;
pub(super) mod coverage;
pub(super) mod distribution;
pub(super) mod favour;
pub(super) mod flow_steps;
pub(super) mod impacts;
pub(super) mod likelihood_curve;
pub(super) mod limit_band;
pub(super) mod limit_plane;
pub(super) mod loss_curves;
pub(super) mod mass_plane;
pub(super) mod matrix;
pub(super) mod methods;
pub(super) mod plane;
pub(super) mod profile_contours;
pub(super) mod pulls;
pub(super) mod residuals;
pub(super) mod stack;
pub(super) mod t_distribution;

/// A number for a legend; numbers no pull should be are written with an exponent.
fn short(value: f64, decimals: usize) -> String {
    match value.abs() < 1e4 {
        true => fixed(value, decimals),
        false => format!("{value:.1e}").replace('-', "−"),
    }
}

/// Decimals that show two digits of a usual error.
fn decimals(error: f64) -> usize {
    if error < 0.0195 { 3 } else { 2 }
}

/// A confidence level in per cent, "68.27 %"; empty if it is not finite.
fn percent(level: f64) -> String {
    match level.is_finite() {
        true => format!("{} %", short(100.0 * level, 2)),
        false => String::new(),
    }
}

/// Lowest and highest value; infinite without any.
fn ends(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let none = (f64::INFINITY, f64::NEG_INFINITY);
    let join = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
    values.into_iter().fold(none, join)
}

/// Colour and dash of the n-th series.
fn series_look(series: usize, width: f64) -> Stroke<'static> {
    Stroke::solid(PALETTE[series % PALETTE.len()], width).dashed(DASHES[series % DASHES.len()])
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
