//! A number for every row, or a list of them, or of lists. An operation on lists is the
//! operation on their elements, which lie one behind the other: a number of the row is
//! repeated for every element, and two lists of a row must be equally long.

use super::lane::{Lane, Problem};
use super::segments::Segments;
use super::tree::{Binary, Fold, Number, Unary, Value};
use arrow_buffer::NullBuffer;
use std::fmt;

/// What there is for every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// 0 for a number, 1 for a list of numbers, 2 for a list of such lists.
    pub depth: usize,
    /// Whether the elements of lists are truths, by which others can be selected.
    pub truths: bool,
}

impl Shape {
    /// That of a number, a truth or not.
    pub const NUMBER: Self = Self {
        depth: 0,
        truths: false,
    };
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.depth {
            0 => f.write_str("a number"),
            depth => write!(f, "a list{} of numbers", " of lists".repeat(depth - 1)),
        }
    }
}

/// A number or a list for every row.
#[derive(Clone, Debug)]
pub enum Column {
    /// A number for every row, or one for all.
    Numbers(Lane),
    /// A list for every row.
    Lists(Lists),
}

/// A list for every row.
#[derive(Clone, Debug)]
pub struct Lists {
    segments: Segments,
    /// The elements of all lists, as many as the segments have rows.
    elements: Box<Column>,
    /// Whether the innermost elements are 1 and 0.
    truths: bool,
}

impl Column {
    /// What has a shape, and no rows.
    pub(super) fn empty(shape: Shape) -> Self {
        let numbers = Self::Numbers(Lane::real(Vec::new(), None));
        (0..shape.depth).fold(numbers, |elements, _| {
            Self::Lists(Lists {
                segments: Segments::none(),
                elements: Box::new(elements),
                truths: shape.truths,
            })
        })
    }

    /// What it has for every row.
    pub fn shape(&self) -> Shape {
        match self {
            Self::Numbers(_) => Shape::NUMBER,
            Self::Lists(lists) => Shape {
                depth: 1 + lists.elements.shape().depth,
                truths: lists.truths,
            },
        }
    }

    /// The numbers, unless it has lists.
    pub fn into_numbers(self) -> Option<Lane> {
        match self {
            Self::Numbers(lane) => Some(lane),
            Self::Lists(_) => None,
        }
    }

    /// The numbers, those of all lists one behind the other.
    pub fn numbers(&self) -> &Lane {
        match self {
            Self::Numbers(lane) => lane,
            Self::Lists(lists) => lists.elements.numbers(),
        }
    }

    fn rows(&self) -> Option<usize> {
        match self {
            Self::Numbers(lane) => lane.rows(),
            Self::Lists(lists) => Some(lists.segments.count()),
        }
    }

    fn picked(&self, places: &[Option<usize>]) -> Self {
        match self {
            Self::Numbers(lane) => Self::Numbers(lane.picked(places)),
            Self::Lists(lists) => Self::Lists(lists.picked(places)),
        }
    }
}

impl Lists {
    /// The list of row `i` has the elements from `bounds[i]` up to `bounds[i + 1]`, which
    /// are truths or not; what a null list has is left out. None if the bounds are not
    /// those of the elements, from the first to the last.
    pub fn new(
        bounds: Vec<usize>,
        nulls: Option<NullBuffer>,
        elements: Column,
        truths: bool,
    ) -> Option<Self> {
        let lists = Self {
            segments: Segments::new(bounds, elements.rows()?)?,
            elements: Box::new(elements),
            truths,
        };
        let count = lists.segments.count();
        let fits = nulls.as_ref().is_none_or(|nulls| nulls.len() == count);
        fits.then(|| lists.with_nulls(nulls))
    }

    /// How long each is, unless it is null.
    pub fn lengths(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        let lists = self.segments.ranges().enumerate();
        lists.map(|(row, range)| (!self.segments.is_null(row)).then(|| range.len()))
    }

    /// The same with more of them null.
    fn with_nulls(mut self, nulls: Option<NullBuffer>) -> Self {
        let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
            return self;
        };
        if !self.segments.are_empty_at(&nulls) {
            let known = nulls.iter().enumerate();
            let known = known.map(|(row, valid)| valid.then_some(row));
            return self.picked(&known.collect::<Vec<_>>());
        }
        self.segments.nulls = NullBuffer::union(self.segments.nulls.as_ref(), Some(&nulls));
        self
    }

    /// The lists of these rows, null where there are none.
    fn picked(&self, places: &[Option<usize>]) -> Self {
        let (segments, rows) = self.segments.picked(places);
        Self {
            segments,
            elements: Box::new(self.elements.picked(&rows)),
            truths: self.truths,
        }
    }

    /// What is computed of the elements, in lists as these.
    fn mapped(
        self,
        truths: bool,
        compute: impl FnOnce(Column) -> Result<Column, Problem>,
    ) -> Result<Column, Problem> {
        let elements = compute(*self.elements);
        let elements = elements.map_err(|problem| problem.outside(&self.segments))?;
        Ok(Column::Lists(Self {
            elements: Box::new(elements),
            truths,
            ..self
        }))
    }

    /// What is computed of the elements of two lists of each row, which must be equally
    /// long unless one of them is null.
    fn zipped(
        self,
        other: Self,
        truths: bool,
        compute: impl FnOnce(Column, Column) -> Result<Column, Problem>,
    ) -> Result<Column, Problem> {
        let (a, b) = self.aligned(other)?;
        a.mapped(truths, |elements| compute(elements, *b.elements))
    }

    fn aligned(self, other: Self) -> Result<(Self, Self), Problem> {
        let nulls = [&self, &other].map(|lists| lists.segments.nulls.as_ref());
        let nulls = NullBuffer::union(nulls[0], nulls[1]);
        let (a, b) = (self.with_nulls(nulls.clone()), other.with_nulls(nulls));
        if !a.segments.match_lengths(&b.segments) {
            let lengths = |lists: &Self| -> Vec<usize> {
                lists.segments.ranges().map(|range| range.len()).collect()
            };
            let (of_a, of_b) = (lengths(&a), lengths(&b));
            let mut rows = of_a.into_iter().zip(of_b).enumerate();
            if let Some((row, (x, y))) = rows.find(|(_, (x, y))| x != y) {
                let lengths = [x, y];
                return Err(Problem::Lengths { row, lengths });
            }
        }
        Ok((a, b))
    }

    /// The element of each at a place, counted from 0; null where there is none.
    fn at(&self, place: &Lane) -> Result<Column, Problem> {
        let constant = place.same();
        if let Some(value) = constant.filter(|x| *x < 0.0 || x.fract() != 0.0) {
            return Err(Problem::NoPlace { row: None, value });
        }
        let mut places = Vec::with_capacity(self.segments.count());
        for (row, range) in self.segments.ranges().enumerate() {
            let place = place.place(row)?.filter(|&place| place < range.len());
            places.push(place.map(|place| range.start + place));
        }
        Ok(self.elements.picked(&places))
    }

    /// Those elements of each for which a truth of as many is true; null where one of
    /// the truths is.
    fn selected(self, truths: Self) -> Result<Column, Problem> {
        let (lists, mask) = self.aligned(truths)?;
        let Column::Numbers(truths) = *mask.elements else {
            return Err(Problem::NotMask);
        };
        let (segments, kept) = truths.mask(&mask.segments);
        Ok(Column::Lists(Self {
            segments,
            elements: Box::new(lists.elements.picked(&kept)),
            truths: lists.truths,
        }))
    }
}

impl Value for Column {
    type Problem = Problem;

    fn number(number: Number) -> Result<Self, Problem> {
        Lane::number(number).map(Self::Numbers)
    }

    fn unary(operation: Unary, of: Self) -> Result<Self, Problem> {
        match of {
            Self::Numbers(x) => Lane::unary(operation, x).map(Self::Numbers),
            Self::Lists(lists) => {
                let truths = operation == Unary::Not;
                lists.mapped(truths, |elements| Self::unary(operation, elements))
            }
        }
    }

    fn binary(operation: Binary, left: Self, right: Self) -> Result<Self, Problem> {
        let truths = operation.is_truth();
        match (left, right) {
            (Self::Numbers(x), Self::Numbers(y)) => {
                Lane::binary(operation, x, y).map(Self::Numbers)
            }
            (Self::Lists(lists), Self::Numbers(y)) => {
                let y = Self::Numbers(y.spread(&lists.segments));
                lists.mapped(truths, |x| Self::binary(operation, x, y))
            }
            (Self::Numbers(x), Self::Lists(lists)) => {
                let x = Self::Numbers(x.spread(&lists.segments));
                lists.mapped(truths, |y| Self::binary(operation, x, y))
            }
            (Self::Lists(a), Self::Lists(b)) => {
                a.zipped(b, truths, |x, y| Self::binary(operation, x, y))
            }
        }
    }

    /// Of the innermost lists.
    fn fold(operation: Fold, of: Self) -> Result<Self, Problem> {
        match of {
            Self::Numbers(_) => Err(Problem::NotList),
            Self::Lists(lists) => match *lists.elements {
                Self::Numbers(x) => x.fold(operation, &lists.segments).map(Self::Numbers),
                inner => {
                    let elements = Box::new(inner);
                    let lists = Lists { elements, ..lists };
                    lists.mapped(operation.is_truth(), |inner| Self::fold(operation, inner))
                }
            },
        }
    }

    /// Of the outermost list, at a number of its row; a list in brackets belongs to the
    /// elements: a truth says whether one stays, a number which of its own elements it
    /// becomes.
    fn index(of: Self, at: Self) -> Result<Self, Problem> {
        match (of, at) {
            (Self::Numbers(_), _) => Err(Problem::NotList),
            (Self::Lists(lists), Self::Numbers(place)) => lists.at(&place),
            (Self::Lists(lists), Self::Lists(at)) => {
                let is_innermost = |lists: &Lists| matches!(*lists.elements, Self::Numbers(_));
                if at.truths && is_innermost(&at) {
                    return lists.selected(at);
                }
                if is_innermost(&lists) {
                    return Err(Problem::NotMask);
                }
                let truths = lists.truths;
                lists.zipped(at, truths, Self::index)
            }
        }
    }
}

impl Problem {
    /// The same with the segment of a row in the place of the row.
    fn outside(self, segments: &Segments) -> Self {
        let outer = |row: Option<usize>| row.map(|row| segments.of_row(row));
        match self {
            Self::Inexact { second, row, value } => Self::Inexact {
                second,
                row: outer(row),
                value,
            },
            Self::Overflow { row } => Self::Overflow { row: outer(row) },
            Self::Lengths { row, lengths } => Self::Lengths {
                row: segments.of_row(row),
                lengths,
            },
            Self::NoPlace { row, value } => Self::NoPlace {
                row: outer(row),
                value,
            },
            Self::NotList | Self::NotMask => self,
        }
    }
}
