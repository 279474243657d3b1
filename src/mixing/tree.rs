//! Nearest neighbours in four dimensions: exact, and those at equal distance by their rows.

use std::ops::Range;

/// Points of a leaf, at most.
const LEAF: usize = 16;

/// Points, cut in two along the dimension in which they reach farthest, again and again.
#[derive(Debug)]
pub struct Tree {
    scales: [f64; 4],
    /// Coordinates and rows, leaf by leaf.
    points: Vec<([f64; 4], usize)>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
enum Node {
    Leaf(Range<usize>),
    /// The lower part comes next.
    Cut {
        dimension: usize,
        at: f64,
        higher: usize,
    },
}

/// The nearest points found so far, by distance squared and row.
struct Nearest {
    found: Vec<(f64, usize)>,
    count: usize,
}

impl Nearest {
    fn is_out_of_reach(&self, distance: f64) -> bool {
        let is_full = self.found.len() == self.count;
        is_full && self.found.last().is_none_or(|(last, _)| distance > *last)
    }

    fn add(&mut self, distance: f64, row: usize) {
        if self.is_out_of_reach(distance) {
            return;
        }
        let is_nearer = |other: &(f64, usize)| *other < (distance, row);
        let place = self.found.partition_point(is_nearer);
        self.found.insert(place, (distance, row));
        self.found.truncate(self.count);
    }
}

impl Tree {
    /// Of points with their rows, and what a distance in each dimension is divided by.
    #[must_use]
    pub fn new(points: Vec<([f64; 4], usize)>, scales: [f64; 4]) -> Self {
        let mut tree = Self {
            scales,
            nodes: Vec::new(),
            points,
        };
        tree.cut(0..tree.points.len());
        tree
    }

    fn cut(&mut self, range: Range<usize>) {
        let own = &mut self.points[range.clone()];
        if own.len() <= LEAF {
            self.nodes.push(Node::Leaf(range));
            return;
        }
        let reach = |k: usize| {
            let none = (f64::INFINITY, f64::NEG_INFINITY);
            let join = |(low, high): (f64, f64), x: f64| (low.min(x), high.max(x));
            let (low, high) = own.iter().map(|(point, _)| point[k]).fold(none, join);
            (high - low) / self.scales[k]
        };
        let reaches = [0, 1, 2, 3].map(reach);
        let wider = |best: usize, k: usize| if reaches[k] > reaches[best] { k } else { best };
        let dimension = (1..4).fold(0, wider);
        let middle = own.len() / 2;
        own.select_nth_unstable_by(middle, |(a, _), (b, _)| {
            a[dimension].total_cmp(&b[dimension])
        });
        let at = own[middle].0[dimension];
        let place = self.nodes.len();
        self.nodes.push(Node::Cut {
            dimension,
            at,
            higher: 0,
        });
        let middle = range.start + middle;
        self.cut(range.start..middle);
        let next = self.nodes.len();
        if let Node::Cut { higher, .. } = &mut self.nodes[place] {
            *higher = next;
        }
        self.cut(middle..range.end);
    }

    /// The `count` nearest of those points whose rows are wanted, with their distances squared.
    pub fn nearest(
        &self,
        to: &[f64; 4],
        count: usize,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Vec<(f64, usize)> {
        let mut nearest = Nearest {
            found: Vec::with_capacity(count + 1),
            count,
        };
        if count > 0 {
            self.visit(0, to, &is_wanted, &mut nearest);
        }
        nearest.found
    }

    fn visit(
        &self,
        node: usize,
        to: &[f64; 4],
        is_wanted: &impl Fn(usize) -> bool,
        nearest: &mut Nearest,
    ) {
        match &self.nodes[node] {
            Node::Leaf(range) => {
                for (point, row) in &self.points[range.clone()] {
                    if is_wanted(*row) {
                        nearest.add(self.distance(point, to), *row);
                    }
                }
            }
            Node::Cut {
                dimension,
                at,
                higher,
            } => {
                let away = (at - to[*dimension]) / self.scales[*dimension];
                let children = [node + 1, *higher];
                let [near, far] = match to[*dimension] > *at {
                    true => [children[1], children[0]],
                    false => children,
                };
                self.visit(near, to, is_wanted, nearest);
                // no point beyond the cut is nearer, in f64 too: each step rounds alike
                if !nearest.is_out_of_reach(away * away) {
                    self.visit(far, to, is_wanted, nearest);
                }
            }
        }
    }

    fn distance(&self, point: &[f64; 4], to: &[f64; 4]) -> f64 {
        let parts = point.iter().zip(to).zip(&self.scales);
        parts.map(|((a, b), scale)| ((a - b) / scale).powi(2)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_numerics::random::Key;

    /// Points on a coarse grid, so that many are equal and many distances too.
    fn points(count: usize) -> Vec<([f64; 4], usize)> {
        let key = Key::from_seed(3);
        let coordinate = |i: usize, k: usize| (8.0 * key.uniform((4 * i + k) as u64)).floor();
        let point = |i: usize| [0, 1, 2, 3].map(|k| coordinate(i, k));
        (0..count).map(|i| (point(i), i)).collect()
    }

    #[test]
    fn neighbours_are_those_of_looking_at_all() {
        for count in [1, 16, 17, 2000] {
            let (all, scales) = (points(count), [1.0, 0.7, 2.0, 1.3]);
            let tree = Tree::new(all.clone(), scales);
            for (query, (to, own)) in all.iter().take(200).enumerate() {
                let mut slow: Vec<(f64, usize)> = all
                    .iter()
                    .filter(|(_, row)| row != own)
                    .map(|(point, row)| (tree.distance(point, to), *row))
                    .collect();
                slow.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                slow.truncate(7);
                assert_eq!(tree.nearest(to, 7, |row| row != *own), slow, "{query}");
            }
        }
        assert!(
            Tree::new(Vec::new(), [1.0; 4])
                .nearest(&[0.0; 4], 3, |_| true)
                .is_empty()
        );
    }

    #[test]
    fn equal_points_make_no_deep_tree() {
        let all = (0..10_000).map(|row| ([1.0; 4], row)).collect();
        let tree = Tree::new(all, [1.0; 4]);
        let rows: Vec<usize> = tree
            .nearest(&[0.0; 4], 3, |row| row > 4)
            .into_iter()
            .map(|(_, row)| row)
            .collect();
        assert_eq!(rows, [5, 6, 7]);
    }
}
