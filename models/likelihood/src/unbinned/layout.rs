//! Which process of a sample responds to which parameter.

use super::sample::{Events, LANES};
use crate::Interpolation;
use std::ops::Range;

/// The processes of a sample, their responses and the parameters of these.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    /// Per process its responses, as a range of `responses`.
    pub(super) processes: Vec<Range<usize>>,
    /// Those of the first process, then those of the second, ...
    pub(super) responses: Vec<Response>,
    /// Per slot the place of its parameter in the model.
    pub(super) slots: Vec<usize>,
}

/// A response of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Response {
    /// Number of the parameter among those that change densities.
    pub(super) slot: usize,
    pub(super) interpolation: Interpolation,
}

impl Layout {
    pub(super) fn new(events: &Events<'_>) -> Self {
        let mut layout = Self {
            processes: Vec::new(),
            responses: Vec::new(),
            slots: Vec::new(),
        };
        for process in &events.processes {
            let first = layout.responses.len();
            for response in &process.responses {
                let slot = layout.slot(response.parameter);
                layout.responses.push(Response::of(response, slot));
            }
            layout.processes.push(first..layout.responses.len());
        }
        layout
    }

    /// Parameters along which a slope may jump at zero.
    pub(super) fn kinks(&self) -> impl Iterator<Item = usize> {
        let kinked = |response: &&Response| response.interpolation.has_kink();
        let kinked = self.responses.iter().filter(kinked);
        kinked.map(|response| self.slots[response.slot])
    }

    fn slot(&mut self, parameter: usize) -> usize {
        let known = self.slots.iter().position(|slot| *slot == parameter);
        known.unwrap_or_else(|| {
            self.slots.push(parameter);
            self.slots.len() - 1
        })
    }

    /// Dimension of the space of rates and slots.
    pub(super) fn dimension(&self) -> usize {
        self.processes.len() + self.slots.len()
    }

    /// Numbers of a chunk of weights and ratios.
    pub(super) fn stride(&self) -> usize {
        (1 + self.processes.len()) * LANES
    }

    /// The largest place of a parameter.
    pub(super) fn last_parameter(&self) -> Option<usize> {
        self.slots.iter().copied().max()
    }
}
