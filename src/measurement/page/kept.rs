//! `page.json`: what the page shows and `measurement.json` does not have. Words of the
//! configuration are not in it, so that the page can be drawn again with others.

use super::super::result::ToysResult;
use crate::files::formats::PAGE;
use crate::plot::FavourMap;
use serde::{Deserialize, Serialize};

/// The whole of `page.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Kept {
    /// Version of the file.
    pub format: u32,
    /// Histograms before the fit and at the best fit.
    pub histograms: Vec<KeptHistogram>,
    /// Which events favour what, if there are two inputs to see it in.
    pub map: Option<FavourMap>,
    /// Why there is no map of them.
    pub no_map: Option<String>,
    /// t of the toys at one value.
    pub t: Vec<f64>,
}

/// A histogram at one point of the parameters: contents, not heights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct KeptHistogram {
    /// The name of the figure's files.
    pub file: String,
    /// The channel or region.
    pub name: String,
    /// The expression of its axis.
    pub observable: String,
    /// Whether the fit has it; it takes these events without bins if not.
    pub is_fitted: bool,
    /// At which point, in words.
    pub point: String,
    /// `n + 1` rising edges.
    pub edges: Vec<f64>,
    /// Counts, `[n]`, if there are any.
    pub observed: Option<Vec<f64>>,
    /// Processes and what is expected of each, `[n]`.
    pub processes: Vec<(String, Vec<f64>)>,
    /// Errors of their sum, `[n]`, if they are known.
    pub errors: Option<Vec<f64>>,
    pub notes: Vec<String>,
}

impl Kept {
    pub(super) fn new(
        histograms: Vec<KeptHistogram>,
        favours: Option<Result<FavourMap, String>>,
        toys: Option<&ToysResult>,
    ) -> Self {
        let (map, no_map) = match favours {
            None => (None, None),
            Some(Ok(map)) => (Some(map), None),
            Some(Err(reason)) => (None, Some(reason)),
        };
        let shown = toys.and_then(ToysResult::shown);
        Self {
            format: PAGE.written,
            histograms,
            map,
            no_map,
            t: shown.map(|point| point.t.clone()).unwrap_or_default(),
        }
    }
}
