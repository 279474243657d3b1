//! The region that is left out of the fit.
//!
//! Every kind is an open set. A closed rectangle meets it exactly if the point
//! of the rectangle that lies deepest in it belongs to it; that point is found
//! coordinate by coordinate, because each kind is a sum (or a maximum) of terms
//! that grow on both sides of the centre. In X_HH the term is
//! `|m - c|/(r m) = |1 - c/m|/r`, which falls below c and grows above it.

use super::grid::{PlaneGrid, Rectangle};
use crate::{ProcessError, fail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A region of the mass plane; masses in GeV.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Hole {
    /// `sqrt(sum_k ((m_k - centre_k) / (resolution m_k))^2) < below`, for
    /// positive masses.
    XHh {
        /// Centre (m1, m2).
        #[serde(default = "default_centre")]
        centre: [f64; 2],
        /// Relative mass resolution.
        #[serde(default = "default_resolution")]
        resolution: f64,
        /// Upper end of X_HH.
        #[serde(default = "default_below")]
        below: f64,
    },
    /// A disc.
    Circle {
        /// Centre (m1, m2).
        centre: [f64; 2],
        /// Radius.
        radius: f64,
    },
    /// A rectangle.
    Box {
        /// Ends in m1.
        m1: [f64; 2],
        /// Ends in m2.
        m2: [f64; 2],
    },
}

fn default_centre() -> [f64; 2] {
    [124.0, 117.0]
}
fn default_resolution() -> f64 {
    0.1
}
fn default_below() -> f64 {
    1.6
}

/// The signal region of the HH -> 4b analysis (paper).
impl Default for Hole {
    fn default() -> Self {
        Self::XHh {
            centre: default_centre(),
            resolution: default_resolution(),
            below: default_below(),
        }
    }
}

impl Hole {
    /// Fails for parameters that are none, and if the plane does not suit the kind.
    pub fn check(&self, grid: &PlaneGrid) -> Result<(), ProcessError> {
        let wrong = |what: &str, value: f64, expected: &str| {
            fail(format!("hole: {what} is {value}; {expected} is expected"))
        };
        let positive = |what, value: f64| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => wrong(what, value, "a finite number above 0"),
        };
        const CENTRE: [&str; 2] = ["centre in m1", "centre in m2"];
        match *self {
            Self::XHh {
                centre,
                resolution,
                below,
            } => {
                positive(CENTRE[0], centre[0])?;
                positive(CENTRE[1], centre[1])?;
                positive("resolution", resolution)?;
                positive("below", below)?;
                for (axis, edges) in ["m1", "m2"].into_iter().zip(grid.axes()) {
                    let low = edges.values()[0];
                    if low <= 0.0 {
                        return fail(format!(
                            "the plane begins at {axis} = {low} GeV, but X_HH is defined for \
                             positive masses only: move the box, or use a hole of kind `circle` \
                             or `box`"
                        ));
                    }
                }
                Ok(())
            }
            Self::Circle { centre, radius } => {
                if let Some(k) = centre.iter().position(|c| !c.is_finite()) {
                    return wrong(CENTRE[k], centre[k], "a finite number");
                }
                positive("radius", radius)
            }
            Self::Box { m1, m2 } => {
                positive("width in m1", m1[1] - m1[0])?;
                positive("width in m2", m2[1] - m2[0])
            }
        }
    }

    /// Whether a point lies in the region.
    pub fn contains(&self, m1: f64, m2: f64) -> bool {
        self.overlaps(&Rectangle {
            m1: [m1, m1],
            m2: [m2, m2],
        })
    }

    /// Whether any point of the closed rectangle lies in the region.
    pub fn overlaps(&self, rectangle: &Rectangle) -> bool {
        let Rectangle { m1, m2 } = *rectangle;
        let sides = [m1, m2];
        // NaN too
        if !sides.iter().all(|[low, high]| low <= high) {
            return false;
        }
        match *self {
            Self::XHh {
                centre,
                resolution,
                below,
            } => {
                // X_HH grows without bound towards mass zero
                if sides.iter().any(|[_, high]| *high <= 0.0) {
                    return false;
                }
                let square: f64 = (0..2)
                    .map(|k| {
                        let [low, high] = sides[k].map(|m| m.max(f64::MIN_POSITIVE));
                        let m = centre[k].clamp(low, high);
                        ((m - centre[k]) / (resolution * m)).powi(2)
                    })
                    .sum();
                square.sqrt() < below
            }
            Self::Circle { centre, radius } => {
                let [d1, d2] = [0, 1].map(|k: usize| {
                    let [low, high] = sides[k];
                    centre[k].clamp(low, high) - centre[k]
                });
                d1.hypot(d2) < radius
            }
            Self::Box { m1, m2 } => [m1, m2]
                .iter()
                .zip(sides)
                .all(|([from, to], [low, high])| low < *to && high > *from),
        }
    }

    /// Which bins of the plane it touches.
    pub fn touched(&self, grid: &PlaneGrid) -> Vec<bool> {
        let touched = |bin| self.overlaps(&grid.rectangle(bin));
        (0..grid.bins()).map(touched).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_numerics::random::Key;

    fn kinds() -> [Hole; 3] {
        [
            Hole::default(),
            Hole::Circle {
                centre: [125.0, 120.0],
                radius: 21.3,
            },
            Hole::Box {
                m1: [101.3, 140.2],
                m2: [97.7, 128.1],
            },
        ]
    }

    /// The formula, written once more and without a rectangle.
    fn inside(hole: &Hole, m1: f64, m2: f64) -> bool {
        match *hole {
            Hole::XHh {
                centre,
                resolution,
                below,
            } => {
                let x = |m: f64, c: f64| (m - c) / (resolution * m);
                x(m1, centre[0]).hypot(x(m2, centre[1])) < below
            }
            Hole::Circle { centre, radius } => {
                (m1 - centre[0]).powi(2) + (m2 - centre[1]).powi(2) < radius * radius
            }
            Hole::Box { m1: a, m2: b } => a[0] < m1 && m1 < a[1] && b[0] < m2 && m2 < b[1],
        }
    }

    #[test]
    fn overlap_is_what_dense_points_say() {
        // a rectangle the formula calls free holds no point of the region; one it
        // calls touched holds one on a fine lattice, or misses it by a margin that
        // a slightly smaller region resolves
        let key = Key::from_seed(3);
        let n = 60;
        for (k, hole) in kinds().iter().enumerate() {
            let (mut free, mut touched, mut narrow) = (0, 0, 0);
            for r in 0..3000 {
                let u = |c: u64| key.with(k as u64).with(r).uniform(c);
                let (a, b) = (80.0 + 90.0 * u(0), 80.0 + 90.0 * u(1));
                let (w, h) = (0.1 + 12.0 * u(2), 0.1 + 12.0 * u(3));
                let rectangle = Rectangle {
                    m1: [a, a + w],
                    m2: [b, b + h],
                };
                let lattice = (0..=n).any(|i| {
                    (0..=n).any(|j| {
                        let at = |low: f64, width: f64, i: i32| {
                            low + width * f64::from(i) / f64::from(n)
                        };
                        inside(hole, at(a, w, i), at(b, h, j))
                    })
                });
                match (hole.overlaps(&rectangle), lattice) {
                    (false, seen) => {
                        assert!(!seen, "{hole:?} {rectangle:?}");
                        free += 1;
                    }
                    (true, true) => touched += 1,
                    (true, false) => narrow += 1,
                }
            }
            assert!(free > 500 && touched > 200, "{free} {touched}");
            // a lattice of 61 points a side misses at most slivers
            assert!(narrow < 30, "{narrow}");
        }
    }

    #[test]
    fn a_rectangle_that_only_touches_the_corner_of_the_region_is_free() {
        let hole = Hole::Box {
            m1: [1.0, 2.0],
            m2: [1.0, 2.0],
        };
        let at = |m1, m2| hole.overlaps(&Rectangle { m1, m2 });
        assert!(!at([2.0, 3.0], [1.0, 2.0]));
        assert!(!at([0.0, 1.0], [0.0, 1.0]));
        assert!(at([2.0_f64.next_down(), 3.0], [1.0, 2.0]));
        // a thin sliver that no bin centre sees
        let sliver = Hole::Circle {
            centre: [0.0, 0.0],
            radius: 1.0,
        };
        let bin = |low| Rectangle {
            m1: [low, 2.0],
            m2: [-1.0, 1.0],
        };
        assert!(sliver.overlaps(&bin(1.0 - 1e-12)));
        assert!(!sliver.overlaps(&bin(1.0)));
    }

    #[test]
    fn x_hh_is_the_signal_region() {
        let hole = Hole::default();
        // X_HH along m1 alone is 1.6 at 124/(1 -+ 0.16)
        for (m1, expected) in [
            (124.0 / 0.84 - 1e-9, true),
            (124.0 / 0.84 + 1e-9, false),
            (124.0 / 1.16 + 1e-9, true),
            (124.0 / 1.16 - 1e-9, false),
            (0.0, false),
            (-124.0, false),
            (f64::NAN, false),
        ] {
            assert_eq!(hole.contains(m1, 117.0), expected, "{m1}");
        }
    }

    #[test]
    fn written_in_a_configuration() {
        let hole: Hole = toml::from_str("kind = \"x_hh\"").unwrap();
        assert_eq!(hole, Hole::default());
        for hole in kinds() {
            let text = toml::to_string(&hole).unwrap();
            assert_eq!(toml::from_str::<Hole>(&text).unwrap(), hole, "{text}");
        }
        for wrong in [
            "kind = \"ellipse\"",
            "kind = \"x_hh\"\nradius = 3.0",
            "kind = \"circle\"\nradius = 3.0",
        ] {
            assert!(toml::from_str::<Hole>(wrong).is_err(), "{wrong}");
        }
        let schema = serde_json::to_string(&schemars::schema_for!(Hole)).unwrap();
        assert!(schema.contains("x_hh"), "{schema}");
    }

    #[test]
    fn unusable_holes_say_why() {
        let plane = PlaneGrid::new([80.0, 170.0], [80.0, 170.0], [5, 5]).unwrap();
        let low = PlaneGrid::new([0.0, 90.0], [80.0, 170.0], [5, 5]).unwrap();
        let message = Hole::default().check(&low).unwrap_err().to_string();
        assert!(
            message.starts_with("the plane begins at m1 = 0 GeV"),
            "{message}"
        );
        for hole in kinds() {
            assert_eq!(hole.check(&plane), Ok(()));
        }
        let circle = |centre, radius| Hole::Circle { centre, radius };
        let x_hh = |centre, resolution, below| Hole::XHh {
            centre,
            resolution,
            below,
        };
        for wrong in [
            circle([125.0, f64::NAN], 3.0),
            circle([125.0, 120.0], 0.0),
            x_hh([0.0, 117.0], 0.1, 1.6),
            x_hh([124.0, 117.0], -0.1, 1.6),
            x_hh([124.0, 117.0], 0.1, f64::INFINITY),
            Hole::Box {
                m1: [2.0, 1.0],
                m2: [1.0, 2.0],
            },
        ] {
            let message = wrong.check(&plane).unwrap_err().to_string();
            assert!(message.starts_with("hole: "), "{wrong:?}: {message}");
        }
    }
}
