//! A smooth function through given values.

use crate::error::{Error, ensure};

/// The natural cubic spline through values, linear beyond them: two continuous
/// derivatives everywhere. Two values make a line, one a constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Spline {
    nodes: Vec<(f64, f64)>,
    /// Second derivatives at the nodes, zero at both ends.
    curvatures: Vec<f64>,
}

impl Spline {
    /// The spline through `nodes`: places, rising, and values.
    ///
    /// # Errors
    /// If there is no node, one is not finite, or places do not rise.
    pub fn new(nodes: Vec<(f64, f64)>) -> Result<Self, Error> {
        ensure(!nodes.is_empty(), || {
            "a function needs at least one value to go through".to_owned()
        })?;
        for (index, (x, y)) in nodes.iter().enumerate() {
            ensure(x.is_finite() && y.is_finite(), || {
                format!("value {index} of the function is ({x}, {y}); both must be finite")
            })?;
            ensure(index == 0 || *x > nodes[index - 1].0, || {
                format!("place {index} of the function, {x}, is not above the one before")
            })?;
        }
        let curvatures = curvatures(&nodes);
        Ok(Self { nodes, curvatures })
    }

    /// The nodes: places, rising, and values.
    pub fn nodes(&self) -> &[(f64, f64)] {
        &self.nodes
    }

    /// Value, first and second derivative at a place.
    pub fn jet(&self, x: f64) -> [f64; 3] {
        let last = self.nodes.len() - 1;
        if last == 0 {
            return [self.nodes[0].1, 0.0, 0.0];
        }
        let within = x.clamp(self.nodes[0].0, self.nodes[last].0);
        let above = self.nodes.partition_point(|node| node.0 <= within);
        let [value, slope, curvature] = self.inside(above.clamp(1, last) - 1, within);
        if x == within {
            return [value, slope, curvature];
        }
        [value + slope * (x - within), slope, 0.0]
    }

    /// The cubic between a node and the next.
    fn inside(&self, node: usize, x: f64) -> [f64; 3] {
        let ((x0, y0), (x1, y1)) = (self.nodes[node], self.nodes[node + 1]);
        let (m0, m1) = (self.curvatures[node], self.curvatures[node + 1]);
        let h = x1 - x0;
        let (a, b) = ((x1 - x) / h, (x - x0) / h);
        let cubic = |u: f64| u * u * u - u;
        let square = |u: f64| 3.0 * u * u - 1.0;
        [
            a * y0 + b * y1 + h * h / 6.0 * (cubic(a) * m0 + cubic(b) * m1),
            (y1 - y0) / h + h / 6.0 * (square(b) * m1 - square(a) * m0),
            a * m0 + b * m1,
        ]
    }
}

/// Second derivatives at the nodes: the tridiagonal equations of continuous slopes, by
/// elimination.
fn curvatures(nodes: &[(f64, f64)]) -> Vec<f64> {
    let n = nodes.len();
    let mut found = vec![0.0; n];
    if n < 3 {
        return found;
    }
    let (mut above, mut right) = (vec![0.0; n], vec![0.0; n]);
    for i in 1..n - 1 {
        let (h0, h1) = (nodes[i].0 - nodes[i - 1].0, nodes[i + 1].0 - nodes[i].0);
        let slope = |k: usize, h: f64| (nodes[k + 1].1 - nodes[k].1) / h;
        let diagonal = 2.0 * (h0 + h1) - h0 * above[i - 1];
        above[i] = h1 / diagonal;
        right[i] = (6.0 * (slope(i, h1) - slope(i - 1, h0)) - h0 * right[i - 1]) / diagonal;
    }
    for i in (1..n - 1).rev() {
        found[i] = right[i] - above[i] * found[i + 1];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{assert_near, assert_refused};

    fn spline() -> Spline {
        let nodes = [(0.0, 1.0), (0.5, 0.2), (1.5, 0.4), (1.8, -0.3), (3.0, 0.0)];
        Spline::new(nodes.to_vec()).unwrap()
    }

    #[test]
    fn it_goes_through_its_nodes_and_ends_straight() {
        let spline = spline();
        for (x, y) in spline.nodes() {
            assert_near(spline.jet(*x)[0], y, 1e-14);
        }
        for end in [0.0, 3.0] {
            assert!(spline.jet(end)[2].abs() < 1e-12);
        }
        let [value, slope, curvature] = spline.jet(5.0);
        let [at_end, end_slope, _] = spline.jet(3.0);
        assert!((value - at_end - 2.0 * slope).abs() < 1e-14 && slope == end_slope);
        assert_eq!(curvature, 0.0);
    }

    #[test]
    fn derivatives_agree_with_differences_and_are_continuous() {
        let (spline, step) = (spline(), 1e-6);
        for x in [-0.7, 0.1, 0.5, 0.9, 1.5, 1.7, 2.5, 3.4] {
            let [_, slope, curvature] = spline.jet(x);
            let (below, above) = (spline.jet(x - step), spline.jet(x + step));
            assert_near(slope, (above[0] - below[0]) / (2.0 * step), 1e-8);
            assert_near(above[1] - below[1], 2.0 * step * curvature, 1e-9);
            // the third derivative, up to a few hundred, jumps at nodes
            assert_near(above[2], below[2], 1e-3);
        }
    }

    #[test]
    fn a_parabola_with_many_nodes_is_kept_in_its_middle() {
        let nodes = (0..41).map(|i| f64::from(i) / 10.0).map(|x| (x, x * x));
        let spline = Spline::new(nodes.collect()).unwrap();
        let [value, slope, curvature] = spline.jet(2.03);
        assert!((value - 2.03 * 2.03).abs() < 1e-9 && (slope - 4.06).abs() < 1e-9);
        assert_near(curvature, 2.0, 1e-8);
    }

    #[test]
    fn few_values_and_bad_ones() {
        assert_eq!(
            Spline::new(vec![(1.0, 0.3)]).unwrap().jet(7.0),
            [0.3, 0.0, 0.0]
        );
        let line = Spline::new(vec![(1.0, 0.0), (2.0, 2.0)]).unwrap();
        assert_eq!(line.jet(4.0), [6.0, 2.0, 0.0]);
        for (nodes, words) in [
            (vec![], "at least one value"),
            (vec![(1.0, 0.0), (1.0, 2.0)], "place 1 of the function, 1,"),
            (vec![(1.0, f64::NAN)], "both must be finite"),
        ] {
            assert_refused(Spline::new(nodes), words);
        }
    }
}
