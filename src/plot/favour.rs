//! Which events favour which value of a parameter: the mean of
//! −2 log p(x|tested)/p(x|reference) in bins of two observables.
//!
//! Where it is positive (red) events favour the reference value, where it is
//! negative (blue) the tested one. Bins with few events are left grey.

use serde::{Deserialize, Serialize};

use super::canvas::{Anchor, Type};
use super::plane::{Plane, beside_bar};
use super::style::NOTE_SIZE;
use super::text;
use super::{Figure, PlotError, check_edges, check_length};

/// Fewest events of a bin that is shown unless told otherwise.
const FEWEST: usize = 10;

/// Events with their log likelihood ratio in the plane of two observables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Favour {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the first observable.
    pub x_label: String,
    /// Label of the second observable.
    pub y_label: String,
    /// `nx + 1` rising edges.
    pub x_edges: Vec<f64>,
    /// `ny + 1` rising edges.
    pub y_edges: Vec<f64>,
    /// First observable `[N]`.
    pub x: Vec<f64>,
    /// Second observable `[N]`.
    pub y: Vec<f64>,
    /// −2 log p(x|tested)/p(x|reference) `[N]`; events where it is not finite are left out.
    pub values: Vec<f64>,
    /// Weights `[N]`, of either sign; empty means one each.
    #[serde(default)]
    pub weights: Vec<f64>,
    /// The tested hypothesis, for example "μ = 2".
    pub tested: String,
    /// The hypothesis it is compared with, for example "μ = 1".
    pub reference: String,
    /// Fewest events of a bin that is shown; `None` means 10.
    #[serde(default)]
    pub fewest: Option<usize>,
    /// Largest size of the colour bar; `None` takes it from the bins.
    #[serde(default)]
    pub reach: Option<f64>,
}

/// Sums of one bin.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    events: usize,
    weight: f64,
    weighted: f64,
}

impl Favour {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError`] if edges do not rise, lists differ in length, or no bin has enough events.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        self.check()?;
        let values = self.means();
        if values.iter().flatten().all(|value| !value.is_finite()) {
            return Err(PlotError::Empty {
                what: format!("map of {} against {}", self.tested, self.reference),
                expected: format!("bin with {} events and a positive weight", self.fewest()),
            });
        }
        let plane = Plane {
            title: self.full_title(&values),
            x_label: self.x_label.clone(),
            y_label: self.y_label.clone(),
            x_edges: self.x_edges.clone(),
            y_edges: self.y_edges.clone(),
            values,
            z_label: format!(
                "Mean of −2 log p(x|{}) / p(x|{})",
                self.tested, self.reference
            ),
            diverging: true,
            center: 0.0,
            log_z: false,
            z_range: self.reach.map(|reach| (-reach.abs(), reach.abs())),
            contours: Vec::new(),
        };
        let (end, above, below) = beside_bar();
        let mut canvas = plane.drawing(end - LABEL_ROOM - 10.0)?;
        for (y, hypothesis) in [(above, &self.reference), (below, &self.tested)] {
            let label = format!("favours {hypothesis}");
            let (label, size) = text::fit(&label, NOTE_SIZE, false, LABEL_ROOM);
            canvas.text((end, y), &label, Type::new(size, Anchor::End));
        }
        Ok(canvas.finish())
    }

    fn check(&self) -> Result<(), PlotError> {
        check_edges(&format!("edges of {}", self.x_label), &self.x_edges)?;
        check_edges(&format!("edges of {}", self.y_label), &self.y_edges)?;
        let events = self.x.len();
        check_length(&format!("values of {}", self.y_label), self.y.len(), events)?;
        check_length("log likelihood ratios", self.values.len(), events)?;
        if self.weights.is_empty() {
            return Ok(());
        }
        check_length("weights of the events", self.weights.len(), events)
    }

    /// The title, and what grey bins mean if there are any.
    fn full_title(&self, values: &[Vec<f64>]) -> String {
        if values.iter().flatten().all(|value| value.is_finite()) {
            return self.title.clone();
        }
        let grey = format!("grey: fewer than {} events", self.fewest());
        match self.title.as_str() {
            "" => grey,
            title => format!("{title}; {grey}"),
        }
    }

    fn fewest(&self) -> usize {
        self.fewest.unwrap_or(FEWEST).max(1)
    }

    /// Means `[nx][ny]`; not a number for bins with too few events, or whose
    /// weights do not sum to more than zero.
    fn means(&self) -> Vec<Vec<f64>> {
        let (nx, ny) = (self.x_edges.len() - 1, self.y_edges.len() - 1);
        let mut bins = vec![vec![Bin::default(); ny]; nx];
        for (event, value) in self.values.iter().enumerate() {
            let weight = self.weights.get(event).copied().unwrap_or(1.0);
            let column = bin(&self.x_edges, self.x[event]);
            let row = bin(&self.y_edges, self.y[event]);
            if let (Some(i), Some(j), true) = (column, row, (weight * value).is_finite()) {
                bins[i][j].events += 1;
                bins[i][j].weight += weight;
                bins[i][j].weighted += weight * value;
            }
        }
        let mean = |bin: &Bin| match bin.events >= self.fewest() && bin.weight > 0.0 {
            true => bin.weighted / bin.weight,
            false => f64::NAN,
        };
        let column = |column: &Vec<Bin>| column.iter().map(mean).collect();
        bins.iter().map(column).collect()
    }
}

/// Room for the labels above and below the colour bar.
const LABEL_ROOM: f64 = 98.0;

/// Bin of a value, the last one closed; none outside.
fn bin(edges: &[f64], value: f64) -> Option<usize> {
    let last = edges.len() - 1;
    match edges.partition_point(|edge| *edge <= value) {
        0 => None,
        above if above <= last => Some(above - 1),
        _ => (value == edges[last]).then(|| last - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn favour() -> Favour {
        Favour {
            title: String::new(),
            x_label: "x".to_owned(),
            y_label: "y".to_owned(),
            x_edges: vec![0.0, 1.0, 2.0],
            y_edges: vec![0.0, 1.0],
            x: vec![0.5, 0.5, 1.5, 2.0, f64::NAN, 5.0],
            y: vec![0.5, 1.0, 0.0, 0.5, 0.5, 0.5],
            values: vec![1.0, 4.0, -2.0, f64::INFINITY, 1.0, 1.0],
            weights: vec![1.0, 2.0, 1.0, 1.0, 1.0, 1.0],
            tested: "μ = 2".to_owned(),
            reference: "μ = 1".to_owned(),
            fewest: Some(1),
            reach: None,
        }
    }

    #[test]
    fn means_are_weighted() {
        assert_eq!(favour().means(), [[3.0], [-2.0]]);
        let negative = Favour {
            weights: vec![1.0, -2.0, 1.0, 1.0, 1.0, 1.0],
            ..favour()
        };
        let means = negative.means();
        assert!(means[0][0].is_nan() && means[1][0] == -2.0);
    }

    #[test]
    fn values_outside_have_no_bin() {
        let edges = [0.0, 1.0, 3.0];
        let bins = [-0.1, 0.0, 1.0, 3.0, 3.1, f64::NAN].map(|value| bin(&edges, value));
        assert_eq!(bins, [None, Some(0), Some(1), Some(1), None, None]);
    }

    #[test]
    fn the_map_says_what_its_signs_mean() {
        let svg = favour().draw().expect("two bins").svg;
        assert!(svg.contains("favours μ = 1") && svg.contains("favours μ = 2"));
    }

    #[test]
    fn too_few_events_and_wrong_lists_are_errors() {
        let few = Favour {
            fewest: None,
            ..favour()
        };
        assert_eq!(
            few.draw().expect_err("few events").to_string(),
            "map of μ = 2 against μ = 1: nothing to draw; \
             give at least one bin with 10 events and a positive weight"
        );
        let short = Favour {
            values: vec![0.0],
            ..favour()
        };
        assert!(matches!(short.draw(), Err(PlotError::Length { .. })));
    }
}
