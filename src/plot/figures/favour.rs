//! Which events favour which value of a parameter: the mean of
//! −2 log p(x|tested)/p(x|reference) in bins of two observables.
//!
//! Where it is positive (red) events favour the reference value, where it is
//! negative (blue) the tested one. Bins with few events are left grey.

use super::plane::{BESIDE_BAR, Plane};
use super::*;
use serde::{Deserialize, Serialize};

const FEWEST: usize = 10; // fewest events of a bin that is shown
const LABEL_ROOM: f64 = 98.0; // room for the labels above and below the colour bar

/// Events with their log likelihood ratio in the plane of two observables.
pub(crate) struct Favour {
    pub title: String,
    pub x_label: String,
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
    pub weights: Vec<f64>,
    /// The tested hypothesis, for example "μ = 2".
    pub tested: String,
    /// The hypothesis it is compared with, for example "μ = 1".
    pub reference: String,
}

/// The same in bins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FavourMap {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    /// `nx + 1` rising edges.
    pub x_edges: Vec<f64>,
    /// `ny + 1` rising edges.
    pub y_edges: Vec<f64>,
    /// Means of −2 log p(x|tested)/p(x|reference), `[nx][ny]`; not finite of few events.
    pub values: Vec<Vec<f64>>,
    /// The tested hypothesis, for example "μ = 2".
    pub tested: String,
    /// The hypothesis it is compared with, for example "μ = 1".
    pub reference: String,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    events: usize,
    weight: f64,
    weighted: f64,
}

impl Favour {
    /// Draws the figure; an error as of [`Favour::map`].
    #[cfg(test)]
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        self.map()?.draw()
    }

    /// The means of bins; an error if edges do not rise, lists differ in length, or no bin has
    /// enough events.
    pub(crate) fn map(&self) -> Result<FavourMap, PlotError> {
        check::edges(&self.x_label, &self.x_edges)?;
        check::edges(&self.y_label, &self.y_edges)?;
        let name = format!("values of {}", self.y_label);
        let lists = [(&*name, &self.y), ("log likelihood ratios", &self.values)];
        let weights = [("weights of the events", &self.weights)];
        let weights = weights
            .into_iter()
            .filter(|(_, weights)| !weights.is_empty());
        check::lengths(
            lists.into_iter().chain(weights),
            str::to_owned,
            self.x.len(),
        )?;
        let map = FavourMap {
            title: self.title.clone(),
            x_label: self.x_label.clone(),
            y_label: self.y_label.clone(),
            x_edges: self.x_edges.clone(),
            y_edges: self.y_edges.clone(),
            values: self.means(FEWEST),
            tested: self.tested.clone(),
            reference: self.reference.clone(),
        };
        map.check()?;
        Ok(map)
    }

    /// Means `[nx][ny]`; not a number for bins with too few events, or whose
    /// weights do not sum to more than zero.
    fn means(&self, fewest: usize) -> Vec<Vec<f64>> {
        let (nx, ny) = (self.x_edges.len() - 1, self.y_edges.len() - 1);
        let mut bins = vec![vec![Bin::default(); ny]; nx];
        for (event, value) in self.values.iter().enumerate() {
            let weight = self.weights.get(event).copied().unwrap_or(1.0);
            let column = bin(&self.x_edges, self.x[event]);
            let row = bin(&self.y_edges, self.y[event]);
            if let (Some(i), Some(j), true) = (column, row, (weight * value).is_finite()) {
                let bin = &mut bins[i][j];
                bin.events += 1;
                bin.weight += weight;
                bin.weighted += weight * value;
            }
        }
        let mean = |bin: &Bin| match bin.events >= fewest && bin.weight > 0.0 {
            true => bin.weighted / bin.weight,
            false => f64::NAN,
        };
        let column = |column: &Vec<Bin>| column.iter().map(mean).collect();
        bins.iter().map(column).collect()
    }
}

impl FavourMap {
    /// Whether there is something to draw.
    fn check(&self) -> Result<(), PlotError> {
        let what = format!("map of {} against {}", self.tested, self.reference);
        let bin = format!("bin with {FEWEST} events and a positive weight");
        let is_drawable = self.values.iter().flatten().any(|value| value.is_finite());
        check::drawable(is_drawable, &what, &bin)
    }

    /// Draws the figure; an error if edges do not rise, or no bin has a value.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        self.check()?;
        let hypotheses = (&self.tested, &self.reference);
        let plane = Plane {
            title: self.full_title(),
            x_label: self.x_label.clone(),
            y_label: self.y_label.clone(),
            x_edges: self.x_edges.clone(),
            y_edges: self.y_edges.clone(),
            values: self.values.clone(),
            z_label: format!(
                "Mean of −2 log p(x|{}) / p(x|{})",
                hypotheses.0, hypotheses.1
            ),
            diverging: true,
            z_range: None,
            contours: Vec::new(),
        };
        let (end, above, below) = BESIDE_BAR;
        let mut canvas = plane.drawing(end - LABEL_ROOM - 10.0)?;
        for (y, hypothesis) in [(above, hypotheses.1), (below, hypotheses.0)] {
            let label = format!("favours {hypothesis}");
            canvas.fitted((end, y), &label, Type::end(NOTE_SIZE), LABEL_ROOM);
        }
        Ok(canvas.finish())
    }

    /// The title, and what grey bins mean if there are any.
    fn full_title(&self) -> String {
        let has_grey = self.values.iter().flatten().any(|value| !value.is_finite());
        let grey = format!("grey: fewer than {FEWEST} events");
        match (has_grey, self.title.as_str()) {
            (false, title) => title.to_owned(),
            (true, "") => grey,
            (true, title) => format!("{title}; {grey}"),
        }
    }
}

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
    use crate::plot::examples;

    #[test]
    fn means_are_weighted() {
        let mut favour = Favour {
            x_edges: vec![0.0, 1.0, 2.0],
            y_edges: vec![0.0, 1.0],
            x: vec![0.5, 0.5, 1.5, 2.0, f64::NAN, 5.0],
            y: vec![0.5, 1.0, 0.0, 0.5, 0.5, 0.5],
            values: vec![1.0, 4.0, -2.0, f64::INFINITY, 1.0, 1.0],
            weights: vec![1.0, 2.0, 1.0, 1.0, 1.0, 1.0],
            ..examples::favour(&[], 0)
        };
        assert_eq!(favour.means(1), [[3.0], [-2.0]]);
        assert!(favour.means(2)[1][0].is_nan());
        favour.weights[1] = -2.0;
        let means = favour.means(1);
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
        let mut favour = examples::favour(&[0.2; 10], 0);
        (favour.tested, favour.reference) = ("μ = 2".to_owned(), "μ = 1".to_owned());
        let svg = favour.draw().expect("a bin of ten").svg;
        assert!(svg.contains("favours μ = 1") && svg.contains("favours μ = 2"));
    }
}
