//! What a scan does with events that may not be looked at.

use super::definitions::Compiled;

/// Flag of a row that lies in a blind region, or whose selection there is neither true
/// nor false.
pub(crate) const HIDDEN: u64 = 1 << 62;
/// Flag of a hidden row that would be in the watched region: see [`Hidden::watching`].
pub(crate) const HIDDEN_IN_WATCHED: u64 = 1 << 61;

/// The events that a scan hides: those for which any of the selections is *not false*.
/// What cannot be decided is hidden.
///
/// A [`ScanRequest`](super::ScanRequest) is not made without one, so that whoever reads
/// events says what of them may be seen.
#[derive(Clone, Debug)]
pub struct Hidden {
    pub(super) selections: Vec<Compiled>,
    treatment: Treatment,
}

#[derive(Clone, Copy, Debug)]
enum Treatment {
    /// Gone before anything else, and never counted.
    Reject,
    /// Kept with a flag, outside of the closed regions.
    Mark { closed: u64, watched: u64 },
}

impl Hidden {
    /// Hides nothing: of simulated events, and of what the user asks about by name.
    #[must_use]
    pub fn nothing() -> Self {
        Self::marked(Vec::new())
    }

    /// Rows that are gone before anything is counted.
    #[must_use]
    pub fn rejected(selections: Vec<Compiled>) -> Self {
        Self {
            selections,
            treatment: Treatment::Reject,
        }
    }

    /// Rows that are kept, with the flag [`HIDDEN`].
    #[must_use]
    pub fn marked(selections: Vec<Compiled>) -> Self {
        Self {
            selections,
            treatment: Treatment::Mark {
                closed: 0,
                watched: 0,
            },
        }
    }

    /// The same, with hidden rows taken out of the regions of a mask.
    #[must_use]
    pub fn closing(mut self, regions: u64) -> Self {
        if let Treatment::Mark { closed, .. } = &mut self.treatment {
            *closed = regions;
        }
        self
    }

    /// The same, with the flag [`HIDDEN_IN_WATCHED`] for hidden rows that one of the
    /// regions of a mask selects, closed or not.
    #[must_use]
    pub fn watching(mut self, regions: u64) -> Self {
        if let Treatment::Mark { watched, .. } = &mut self.treatment {
            *watched = regions;
        }
        self
    }

    /// The same selections, with their rows gone.
    #[must_use]
    pub fn as_rejected(&self) -> Self {
        Self::rejected(self.selections.clone())
    }

    /// Whether hidden rows are gone.
    pub(super) fn rejects(&self) -> bool {
        matches!(self.treatment, Treatment::Reject) && !self.selections.is_empty()
    }

    /// The flags of a hidden row that is kept, from those of its regions.
    pub(super) fn flags(&self, regions: u64) -> u64 {
        let Treatment::Mark { closed, watched } = self.treatment else {
            return regions;
        };
        let seen = if regions & watched == 0 {
            0
        } else {
            HIDDEN_IN_WATCHED
        };
        regions & !closed | HIDDEN | seen
    }
}
