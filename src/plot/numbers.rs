//! The numbers of a figure as they are drawn, panel by panel: for other programs.

use indexmap::IndexMap;
use serde::Serialize;

pub(super) const POINTS: &str = "points";

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
    /// Points of one name are one list, though they may be drawn one by one.
    pub(super) fn new(x: &str, y: &str, drawn: impl IntoIterator<Item = Lists>) -> Self {
        let mut joined: Vec<Lists> = Vec::new();
        for lists in drawn {
            let is_named = lists.what == POINTS && !lists.label.is_empty();
            let same = joined.iter().position(|known| known.is_like(&lists));
            match same.filter(|_| is_named) {
                Some(place) => joined[place].append(lists),
                None => joined.push(lists),
            }
        }
        Self {
            x: x.to_owned(),
            y: y.to_owned(),
            drawn: joined,
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

    /// Whether it has the name and the columns of another.
    fn is_like(&self, other: &Self) -> bool {
        let columns = self.columns.keys().eq(other.columns.keys());
        (self.what, &self.label) == (other.what, &other.label) && columns
    }

    fn append(&mut self, other: Self) {
        for (own, more) in self.columns.values_mut().zip(other.columns.into_values()) {
            match (own, more) {
                (Column::Numbers(own), Column::Numbers(more)) => own.extend(more),
                (Column::Words(own), Column::Words(more)) => own.extend(more),
                (Column::Rows(own), Column::Rows(more)) => own.extend(more),
                // columns of one name are of one kind
                _ => {}
            }
        }
    }

    /// With another label.
    pub(super) fn labelled(self, label: &str) -> Self {
        let label = label.to_owned();
        Self { label, ..self }
    }
}
