//! What blind regions hide, for every method and command.

use super::raw::RegionConfig;
use crate::events::{Compiled, Hidden};
use indexmap::IndexMap;

/// Whose events are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleRole {
    /// Events that are there to be predicted or measured: the target, the observation.
    Data,
    /// Events that the data are compared with: the source. Blind regions show them,
    /// other regions only what they show of the data.
    Model,
    /// Simulated samples of a measurement: shown everywhere.
    Simulation,
}

/// What may be looked at: the one place that decides it.
///
/// An event of the data is hidden if a region that is blind selects it, or if that
/// region's selection of it is neither true nor false; whatever other regions it is in.
/// Hidden events are read by nobody: a [`ScanRequest`](crate::events::ScanRequest) of data
/// is made with [`hidden`](Self::hidden). A region that is not blind but shares events
/// with one that is loses them on both sides, data and model, so that what is compared
/// is of the same events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blinding {
    /// Whether each region is blind, in the configuration's order.
    blind: Vec<(String, bool)>,
    unblind: bool,
}

impl Blinding {
    /// Of the regions of a configuration; `unblind`: what the user says on the command
    /// line.
    #[must_use]
    pub(crate) fn new(regions: &IndexMap<String, RegionConfig>, unblind: bool) -> Self {
        let blind = regions.iter().map(|(name, r)| (name.clone(), r.blind));
        Self {
            blind: blind.collect(),
            unblind,
        }
    }

    /// Whether anything is hidden.
    #[must_use]
    pub(crate) fn is_closed(&self) -> bool {
        self.hidden_regions().next().is_some()
    }

    /// What is hidden, in words; none if nothing is.
    #[must_use]
    pub(crate) fn describe(&self) -> Option<String> {
        let hidden: Vec<&str> = self.hidden_regions().collect();
        (!hidden.is_empty()).then(|| {
            format!(
                "{}: target events there are hidden, and no other region has events of it",
                hidden.join(", ")
            )
        })
    }

    /// Names of the regions whose data are hidden.
    pub(crate) fn hidden_regions(&self) -> impl Iterator<Item = &str> {
        let blind = self.blind_regions();
        blind.filter(|_| !self.unblind).map(|(_, name)| name)
    }

    /// The regions that are blind, opened or not: number and name.
    pub(crate) fn blind_regions(&self) -> impl Iterator<Item = (usize, &str)> {
        let all = self.blind.iter().enumerate();
        all.filter(|(_, (_, blind))| *blind)
            .map(|(number, (name, _))| (number, name.as_str()))
    }

    /// Whether the data of a region may be looked at, by its number.
    #[must_use]
    pub(crate) fn shows(&self, region: usize) -> bool {
        self.unblind || self.blind.get(region).is_none_or(|(_, blind)| !blind)
    }

    /// What a scan of events hides. `regions`: the selections of all regions, in the
    /// configuration's order, as flags of the scan. `training`: the number of the
    /// region that is trained on.
    ///
    /// With [`HIDDEN`](crate::events::HIDDEN) in their flags are left: all events of blind
    /// regions if those are open, those of the model otherwise, in no other region but
    /// blind ones.
    #[must_use]
    pub(crate) fn hidden(
        &self,
        role: SampleRole,
        regions: &[(String, Compiled)],
        training: Option<usize>,
    ) -> Hidden {
        let blind = self.blind_regions().map(|(number, _)| number);
        let selections = blind.filter_map(|number| Some(regions.get(number)?.1.clone()));
        let selections: Vec<Compiled> = selections.collect();
        let watched = training.map_or(0, |training| 1 << training);
        match role {
            SampleRole::Data if !self.unblind => Hidden::rejected(selections),
            SampleRole::Data => Hidden::marked(selections).watching(watched),
            SampleRole::Model => Hidden::marked(selections)
                .closing(self.closed())
                .watching(watched),
            SampleRole::Simulation => Hidden::marked(selections),
        }
    }

    /// Regions, a bit each, in which nothing hidden is compared: none if all is open.
    #[must_use]
    pub(crate) fn closed(&self) -> u64 {
        let open = self.blind.iter().enumerate();
        let open = open.filter(|(_, (_, blind))| !self.unblind && !blind);
        open.fold(0, |mask, (number, _)| mask | 1 << number)
    }
}
