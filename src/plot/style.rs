//! Sizes, strokes and the palette: the one place that decides how figures look.
//!
//! Colours are Petroff's six (arXiv:2107.02270), the set CMS adopted: they stay
//! apart for colour-blind readers and in grey.

/// Font families of the SVG; the PNG has only the first, embedded.
pub(super) const FONT: &str = "DejaVu Sans, Helvetica, Arial, sans-serif";

pub(super) const WIDTH: f64 = 640.0; // nominal width of a figure, in SVG units (CSS pixels)
pub(super) const LEFT: f64 = 84.0; // left margin: room for tick labels and a rotated axis label
pub(super) const RIGHT: f64 = 22.0;
pub(super) const TOP: f64 = 26.0; // top margin: room for the power of ten of the y axis
pub(super) const BOTTOM: f64 = 58.0; // bottom margin: tick labels and axis label
pub(super) const GAP: f64 = 10.0; // gap between the main panel and the one below it

pub(super) const AXIS_SIZE: f64 = 17.0; // height of the axis labels
pub(super) const TICK_SIZE: f64 = 14.5; // height of the tick labels
pub(super) const LEGEND_SIZE: f64 = 14.0; // height of the legend and of the line under the brand
pub(super) const NOTE_SIZE: f64 = 12.5;
pub(super) const BRAND_SIZE: f64 = 19.0; // height of the word "Sideband"
pub(super) const BRAND: &str = "Sideband"; // the word in bold in each figure's corner

pub(super) const MAJOR: f64 = 9.0; // length of a major tick
pub(super) const MINOR: f64 = 4.5; // length of a minor tick
pub(super) const INSET: f64 = 16.0; // distance of text inside a panel from its frame

pub(super) const INK: &str = "#000000"; // frame, text and data points
pub(super) const GREY: &str = "#717581"; // secondary text and reference lines
pub(super) const EMPTY_CELL: &str = "#ebebed"; // cells without a value
pub(super) const BLUE: &str = "#3f6fd8"; // the main prediction
pub(super) const ORANGE: &str = "#f08a00"; // what it is compared with: before the correction
pub(super) const RED: &str = "#e42536"; // failures

/// Colours for any number of further series, in order of use.
pub(super) const PALETTE: [&str; 6] = [BLUE, ORANGE, RED, "#964a8b", "#7a21dd", "#86868c"];

/// Colours for alternative predictions, apart from blue and orange.
pub(super) const ALTERNATIVES: [&str; 4] = ["#964a8b", RED, "#7a21dd", "#86868c"];

/// Dash patterns that go with the palette, so that grey prints stay readable.
pub(super) const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];
