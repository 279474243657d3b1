//! What every result says first: of which workspace, patch, measurement and data it is.

use super::opened::{Opened, PatchLabel};
use crate::files::formats::LIKELIHOOD;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sideband_likelihood::Interpolation;

/// The data that a result is of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DataKind {
    /// The observations of the workspace.
    Observed,
    /// Expected counts and auxiliary measurements.
    Asimov,
}

impl DataKind {
    /// What it is called in figures.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Asimov => "Asimov data",
        }
    }

    /// What its row of a table of samples is called.
    pub(super) fn row(self) -> &'static str {
        match self {
            Self::Observed => "(observed)",
            Self::Asimov => "(Asimov data)",
        }
    }
}

/// Interpolation codes, as pyhf names them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Codes {
    pub(crate) normsys: Interpolation,
    pub(crate) histosys: Interpolation,
}

/// The beginning of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Version of the file.
    pub(crate) format: u32,
    /// The command.
    pub(crate) method: String,
    /// The file of the workspace.
    pub(crate) workspace: String,
    /// SHA-256 of the patched document, as pyhf has it.
    pub(crate) digest: String,
    /// The last of the patches.
    pub(crate) patch: Option<PatchLabel>,
    /// Those that were applied before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) patched_before: Vec<PatchLabel>,
    pub(crate) measurement: String,
    pub(crate) poi: Option<String>,
    pub(crate) codes: Codes,
    pub(crate) data: DataKind,
    /// Parameters that the command fixes beside those of the measurement.
    pub(crate) fixed: IndexMap<String, f64>,
    /// What is odd.
    pub(crate) notes: Vec<String>,
}

impl Head {
    /// The beginning of a command's result.
    pub(super) fn new(method: &str, opened: &Opened, data: DataKind) -> Self {
        let imported = &opened.imported;
        let is_own = |fixed: &&(usize, f64)| !imported.model.fixed.contains(fixed);
        let fixed = opened.settings.fixed.iter().filter(is_own);
        let name = |place: usize| opened.parameters()[place].name.clone();
        let unused = imported.unused.iter().map(|name| {
            format!(
                "measurement `{}` sets parameter `{name}`, which no sample has",
                imported.measurement
            )
        });
        let mut patches = opened.patches.clone();
        let patch = patches.pop();
        Self {
            format: LIKELIHOOD.written,
            method: method.to_owned(),
            workspace: opened.name.clone(),
            digest: opened.digest.clone(),
            patch,
            patched_before: patches,
            measurement: imported.measurement.clone(),
            poi: opened.poi().map(str::to_owned),
            codes: Codes {
                normsys: opened.codes[0],
                histosys: opened.codes[1],
            },
            data,
            fixed: fixed.map(|(place, value)| (name(*place), *value)).collect(),
            notes: imported.notes.iter().cloned().chain(unused).collect(),
        }
    }

    /// Of what it is, for people.
    pub(crate) fn words(&self) -> String {
        let Self {
            workspace,
            measurement,
            ..
        } = self;
        let mut text = format!("{workspace}: measurement {measurement}");
        for patch in self.patched_before.iter().chain(&self.patch) {
            let name = patch.name.as_ref().unwrap_or(&patch.file);
            text += &format!(", patch {name}");
            let values = patch.values.iter();
            let values: Vec<String> = values.map(|(label, x)| format!("{label} = {x}")).collect();
            if !values.is_empty() {
                text += &format!(" ({})", values.join(", "));
            }
        }
        if self.data == DataKind::Asimov {
            text += ", Asimov data";
        }
        let fixed = self.fixed.iter();
        let fixed: Vec<String> = fixed.map(|(name, x)| format!("{name} = {x}")).collect();
        if !fixed.is_empty() {
            text += &format!("; fixed {}", fixed.join(", "));
        }
        text
    }
}
