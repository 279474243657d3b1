//! What a plan with a plane knows of its events.

use super::plane::{CATEGORY, Plane, X, Y, settings};
use crate::settings::{InterpolationConfig, PredictedPart};
use crate::workflow::plan::Plan;

impl Plan {
    pub(super) fn interpolation(&self) -> &InterpolationConfig {
        settings(&self.config)
    }

    pub(super) fn plane(&self) -> &Plane {
        let plane = self.plane.as_ref();
        plane.expect("the plan of an interpolation has one")
    }

    /// Plane coordinates of an event.
    pub(super) fn masses(&self, row: usize) -> [f64; 2] {
        let column = |name| self.target().column(name);
        [X, Y].map(|name| column(name).map_or(f64::NAN, |values| values[row]))
    }

    /// Category of an event, by its place in the list.
    pub(super) fn category(&self, row: usize) -> Option<usize> {
        let Some(values) = self.target().column(CATEGORY) else {
            return Some(0);
        };
        let mut known = self.interpolation().categories().iter();
        known.position(|v| *v == values[row])
    }

    /// Whether an event lies in the box, and what the regions select of it aside.
    pub(super) fn is_in_box(&self, row: usize) -> bool {
        self.target().is_in(row, self.config.regions.len())
    }

    /// Whether an event lies in a hole of the box.
    pub(super) fn is_in_hole(&self, row: usize) -> bool {
        self.target().is_in(row, self.config.regions.len() + 1)
    }

    /// Whether a point is cut out of fit and training.
    pub(super) fn cuts_out(&self, [x, y]: [f64; 2]) -> bool {
        let mut holes = self.interpolation().plane.holes.iter();
        holes.any(|hole| hole.contains(x, y))
    }

    /// Whether a point is predicted.
    pub(super) fn predicts(&self, [x, y]: [f64; 2]) -> bool {
        let is_whole = self.interpolation().predict == PredictedPart::Box;
        self.plane().grid.find(x, y).is_some() && (is_whole || self.cuts_out([x, y]))
    }

    /// Context `[C]` of a point, as the networks read it.
    pub(super) fn context(&self, masses: [f64; 2], category: usize) -> Vec<f32> {
        let mut context = masses.map(|m| m as f32).to_vec();
        let count = self.interpolation().categories().len();
        if count > 1 {
            context.extend((0..count).map(|k| f32::from(u8::from(k == category))));
        }
        context
    }
}
