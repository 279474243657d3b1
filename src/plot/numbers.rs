//! The numbers of a figure as they are drawn, panel by panel: for other programs.

use indexmap::IndexMap;
use serde::Serialize;

/// All of a figure's.
#[derive(Debug, Default, Serialize)]
pub(super) struct Numbers {
    /// Title and notes.
    pub(super) heading: Vec<String>,
    pub(super) panels: Vec<PanelNumbers>,
}

impl Numbers {
    /// As JSON; what is not finite as a text.
    pub(super) fn to_json(&self) -> String {
        // lists of numbers under texts can always be written
        crate::files::to_text(self, false).unwrap_or_default()
    }
}

/// Those of a panel, with the labels of its axes.
#[derive(Debug, Serialize)]
pub(super) struct PanelNumbers {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) drawn: Vec<Lists>,
}

impl PanelNumbers {
    pub(super) fn new(x: &str, y: &str, drawn: impl IntoIterator<Item = Lists>) -> Self {
        Self {
            x: x.to_owned(),
            y: y.to_owned(),
            drawn: drawn.into_iter().collect(),
        }
    }
}

/// Lists that belong together: a histogram, points with errors.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Lists {
    pub(super) what: &'static str,
    /// Its name in the legend.
    pub(super) label: String,
    #[serde(flatten)]
    columns: IndexMap<&'static str, Column>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Column {
    Numbers(Vec<f64>),
    Words(Vec<String>),
    Rows(Vec<Vec<f64>>),
}

impl Lists {
    pub(super) fn new(what: &'static str, label: &str) -> Self {
        Self {
            what,
            label: label.to_owned(),
            columns: IndexMap::new(),
        }
    }

    /// Values in the cells of a plane, `[nx][ny]`.
    pub(super) fn cells(label: &str, edges: [&[f64]; 2], values: &[Vec<f64>]) -> Self {
        let [x, y] = edges.map(<[f64]>::to_vec);
        let edges = Self::new("cells", label)
            .list("x_edges", x)
            .list("y_edges", y);
        edges.rows("values", values.to_vec())
    }

    /// With a list of numbers.
    pub(super) fn list(
        mut self,
        name: &'static str,
        values: impl IntoIterator<Item = f64>,
    ) -> Self {
        let values = Column::Numbers(values.into_iter().collect());
        self.columns.insert(name, values);
        self
    }

    pub(super) fn words(mut self, name: &'static str, words: &[String]) -> Self {
        self.columns.insert(name, Column::Words(words.to_vec()));
        self
    }

    pub(super) fn rows(mut self, name: &'static str, rows: Vec<Vec<f64>>) -> Self {
        self.columns.insert(name, Column::Rows(rows));
        self
    }

    /// With another label.
    pub(super) fn labelled(self, label: &str) -> Self {
        let label = label.to_owned();
        Self { label, ..self }
    }
}
