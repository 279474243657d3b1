//! Lanes whose rows lie in segments, one segment behind the other: the elements of lists. A
//! number is repeated for all rows of its segment, rows are picked, and every segment gives
//! a number.

use super::floats::{Rows, is_true, truth};
use super::lane::{EXACT, Integers, Lane, Problem, Values, is_null};
use super::tree::{Fold, Number};
use arrow_buffer::NullBuffer;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// Segments of rows without a gap between them. One that is null is empty.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    /// Where each begins, from 0 on, and where the last ends; never falling.
    bounds: Arc<Vec<usize>>,
    pub(super) nulls: Option<NullBuffer>,
}

impl Segments {
    /// Segments of `rows` rows; none if the bounds are not theirs.
    pub(super) fn new(bounds: Vec<usize>, rows: usize) -> Option<Self> {
        let is_whole = bounds.first() == Some(&0) && bounds.last() == Some(&rows);
        (is_whole && bounds.is_sorted()).then(|| Self::of(bounds, None))
    }

    pub(super) fn none() -> Self {
        Self::of(vec![0], None)
    }

    fn of(bounds: Vec<usize>, nulls: Option<NullBuffer>) -> Self {
        Self {
            bounds: Arc::new(bounds),
            nulls: nulls.filter(|nulls| nulls.null_count() > 0),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.bounds.len() - 1
    }

    pub(super) fn is_null(&self, segment: usize) -> bool {
        is_null(self.nulls.as_ref(), Some(segment))
    }

    /// The rows of each.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.bounds.windows(2).map(|ends| ends[0]..ends[1])
    }

    /// The rows of each that is known.
    fn known_ranges<'a>(
        &'a self,
        known: Option<&'a NullBuffer>,
    ) -> impl Iterator<Item = Option<Range<usize>>> + 'a {
        let ranges = self.ranges().enumerate();
        ranges.map(move |(segment, range)| (!is_null(known, Some(segment))).then_some(range))
    }

    /// The segment that a row is in.
    pub(super) fn of_row(&self, row: usize) -> usize {
        let begun = self.bounds.partition_point(|&start| start <= row);
        begun.saturating_sub(1)
    }

    /// Whether they are as long as others.
    pub(super) fn match_lengths(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bounds, &other.bounds) || self.bounds == other.bounds
    }

    /// Segments of these rows of others, and the rows; null where there are none.
    fn gathered<R: Iterator<Item = usize>>(
        segments: impl Iterator<Item = Option<R>>,
    ) -> (Self, Vec<Option<usize>>) {
        let (mut bounds, mut known, mut rows) = (vec![0], Vec::new(), Vec::new());
        for segment in segments {
            known.push(segment.is_some());
            rows.extend(segment.into_iter().flatten().map(Some));
            bounds.push(rows.len());
        }
        (Self::of(bounds, Some(known.into())), rows)
    }

    /// The segments at these places, and their rows.
    pub(super) fn picked(&self, places: &[Option<usize>]) -> (Self, Vec<Option<usize>>) {
        let range = |place: usize| self.bounds[place]..self.bounds[place + 1];
        let places = places.iter().map(|&place| {
            let place = place.filter(|&place| !self.is_null(place))?;
            Some(range(place))
        });
        Self::gathered(places)
    }

    /// Whether none of the segments that are null in `nulls` has rows.
    pub(super) fn are_empty_at(&self, nulls: &NullBuffer) -> bool {
        let mut pairs = self.ranges().zip(nulls.iter());
        pairs.all(|(range, valid)| valid || range.is_empty())
    }
}

impl<T: Copy> Rows<T> {
    fn picked(&self, places: &[Option<usize>], none: T) -> Self {
        let picked = places
            .iter()
            .map(|place| place.map_or(none, |row| self.at(row)));
        Self::Each(Arc::new(picked.collect()))
    }

    fn spread(&self, segments: &Segments) -> Self {
        match self {
            Self::Same(value) => Self::Same(*value),
            Self::Each(values) => Self::Each(Arc::new(spread(segments, values.iter().copied()))),
        }
    }
}

/// A value of every segment, for each of its rows.
fn spread<T: Copy>(segments: &Segments, values: impl Iterator<Item = T>) -> Vec<T> {
    let mut rows = Vec::with_capacity(segments.bounds.last().copied().unwrap_or(0));
    for (range, value) in segments.ranges().zip(values) {
        rows.resize(range.end, value);
    }
    rows
}

impl Lane {
    /// The rows at these places, null where there are none.
    pub(super) fn picked(&self, places: &[Option<usize>]) -> Self {
        let values = match &self.values {
            Values::Real(x) => Values::Real(x.picked(places, f64::NAN)),
            Values::Whole(x, limit) => Values::Whole(x.picked(places, f64::NAN), *limit),
            Values::Wide(x) => Values::Wide(x.picked(places, 0)),
        };
        let is_known = |place: &Option<usize>| {
            place.is_some_and(|row| !is_null(self.nulls.as_ref(), Some(row)))
        };
        let known: Vec<bool> = places.iter().map(is_known).collect();
        Self::of(values, Some(known.into()))
    }

    /// A number of every segment, for each of its rows.
    pub(super) fn spread(&self, segments: &Segments) -> Self {
        let values = match &self.values {
            Values::Real(x) => Values::Real(x.spread(segments)),
            Values::Whole(x, limit) => Values::Whole(x.spread(segments), *limit),
            Values::Wide(x) => Values::Wide(x.spread(segments)),
        };
        let nulls = self.nulls.as_ref();
        let nulls = nulls.map(|nulls| NullBuffer::from(spread(segments, nulls.iter())));
        Self::of(values, nulls)
    }

    /// Segments of those rows where this is true; null where it is null for a row.
    pub(super) fn mask(self, segments: &Segments) -> (Segments, Vec<Option<usize>>) {
        let known = self.known(segments);
        let truths = &self.values.truths();
        let is_kept = |&row: &usize| is_true(truths.at(row));
        let lists = segments.known_ranges(known.as_ref());
        Segments::gathered(lists.map(|rows| Some(rows?.filter(is_kept))))
    }

    /// A row as a place in a list; none if it is null or NaN, below zero or infinite.
    pub(super) fn place(&self, row: usize) -> Result<Option<usize>, Problem> {
        if is_null(self.nulls.as_ref(), Some(row)) {
            return Ok(None);
        }
        match self.values.at(row) {
            Number::Integer(place) => Ok(usize::try_from(place).ok()),
            Number::Real(value) if value.is_finite() && value.fract() != 0.0 => {
                let row = self.rows().map(|_| row);
                Err(Problem::NoPlace { row, value })
            }
            Number::Real(value) => Ok((value >= 0.0).then_some(value as usize)),
        }
    }

    /// A number for every segment.
    pub(super) fn fold(self, operation: Fold, segments: &Segments) -> Result<Self, Problem> {
        match operation {
            Fold::Len => {
                let lists = segments.known_ranges(segments.nulls.as_ref());
                Ok(counts(lists.map(|rows| Some(rows?.len()))))
            }
            Fold::Count => {
                let known = self.known(segments);
                let truths = self.values.truths();
                let is_one = |row: &usize| is_true(truths.at(*row));
                let lists = segments.known_ranges(known.as_ref());
                Ok(counts(lists.map(|rows| Some(rows?.filter(is_one).count()))))
            }
            Fold::Sum => self.sum(segments),
            Fold::Any => Ok(self.decided(segments, true)),
            Fold::All => Ok(self.decided(segments, false)),
            Fold::Min => Ok(self.picked(&self.ends(segments, Ordering::Less))),
            Fold::Max => Ok(self.picked(&self.ends(segments, Ordering::Greater))),
            Fold::ArgMin => Ok(self.places(segments, Ordering::Less)),
            Fold::ArgMax => Ok(self.places(segments, Ordering::Greater)),
        }
    }

    /// Which segments neither are null nor have a row that is.
    fn known(&self, segments: &Segments) -> Option<NullBuffer> {
        let Some(nulls) = &self.nulls else {
            return segments.nulls.clone();
        };
        let known = segments.ranges().enumerate().map(|(segment, mut range)| {
            !segments.is_null(segment) && range.all(|row| nulls.is_valid(row))
        });
        Some(known.collect::<Vec<bool>>().into())
    }

    fn sum(self, segments: &Segments) -> Result<Self, Problem> {
        let known = self.known(segments);
        let longest = segments.ranges().map(|range| range.len()).max();
        let longest = longest.unwrap_or(0) as f64;
        let limit = |values: &Values| match values {
            Values::Whole(_, limit) => limit * longest,
            _ => f64::INFINITY,
        };
        let values = match self.values {
            values @ Values::Whole(..) if limit(&values) >= EXACT => values.tightened(),
            values => values,
        };
        let most = limit(&values);
        let values = match values {
            Values::Real(x) => Values::Real(added(x.values(), segments)),
            Values::Whole(x, _) if most < EXACT => Values::Whole(added(x.values(), segments), most),
            integers => {
                let x = integers.into_integers();
                let sum = |(segment, range): (usize, Range<usize>)| {
                    let mut rows = x.values()[range].iter();
                    match rows.try_fold(0_i128, |sum, &x| sum.checked_add(x)) {
                        Some(sum) => Ok(sum),
                        None if is_null(known.as_ref(), Some(segment)) => Ok(0),
                        None => Err(Problem::Overflow { row: Some(segment) }),
                    }
                };
                let sums = segments.ranges().enumerate().map(sum);
                let sums = sums.collect::<Result<Vec<i128>, Problem>>()?;
                Integers::Each(Arc::new(sums)).shrunk(known.as_ref())
            }
        };
        Ok(Self::of(values, known))
    }

    /// Whether a row of a segment is as `decisive` says; null if that is not known.
    fn decided(self, segments: &Segments, decisive: bool) -> Self {
        let Self { values, nulls } = self;
        let x = values.truths();
        let is_known = |row: usize| !is_null(nulls.as_ref(), Some(row));
        let (mut truths, mut known) = (Vec::new(), Vec::new());
        for (segment, mut range) in segments.ranges().enumerate() {
            let decides = |row| is_known(row) && is_true(x.at(row)) == decisive;
            let is_decided = range.clone().any(decides);
            truths.push(truth(is_decided == decisive));
            known.push(!segments.is_null(segment) && (is_decided || range.all(is_known)));
        }
        Self::whole(truths, 1.0, Some(known.into()))
    }

    /// The row of every segment that comes before or behind all others, the first of
    /// equal ones, or one that is NaN; none where one is null or none is there.
    fn ends(&self, segments: &Segments, wanted: Ordering) -> Vec<Option<usize>> {
        let known = self.known(segments);
        let end = |rows: Range<usize>| match &self.values {
            Values::Real(x) | Values::Whole(x, _) => end(x.values(), rows, wanted),
            Values::Wide(x) => end(x.values(), rows, wanted),
        };
        let lists = segments.known_ranges(known.as_ref());
        let ends = lists.map(|rows| rows.filter(|rows| !rows.is_empty()).map(end));
        ends.collect()
    }

    /// [`Self::ends`] counted from the first row of the segment; none where it is NaN.
    fn places(&self, segments: &Segments, wanted: Ordering) -> Self {
        let is_nan = |row: usize| matches!(self.values.at(row), Number::Real(x) if x.is_nan());
        let ends = self.ends(segments, wanted).into_iter();
        let places = ends.zip(segments.ranges()).map(|(end, rows)| {
            let end = end.filter(|&end| !is_nan(end))?;
            Some(end - rows.start)
        });
        counts(places)
    }
}

/// Integers, null where there is none.
fn counts(counts: impl Iterator<Item = Option<usize>>) -> Lane {
    let counts: Vec<Option<usize>> = counts.collect();
    let limit = counts.iter().flatten().max().copied().unwrap_or(0) as f64;
    let known: Vec<bool> = counts.iter().map(Option::is_some).collect();
    let value = |count: Option<usize>| count.map_or(f64::NAN, |count| count as f64);
    let values = counts.into_iter().map(value).collect();
    Lane::whole(values, limit, Some(known.into()))
}

/// The row that comes before or behind all others, the first of equal ones, or the
/// first that is NaN.
fn end<T: PartialOrd>(values: &[T], rows: Range<usize>, wanted: Ordering) -> usize {
    let mut end = rows.start;
    for row in rows {
        match values[row].partial_cmp(&values[end]) {
            None => return row,
            Some(order) if order == wanted => end = row,
            Some(_) => {}
        }
    }
    end
}

/// Sums of the rows of every segment, in their order.
fn added(values: &[f64], segments: &Segments) -> Rows<f64> {
    let sum = |rows: Range<usize>| values[rows].iter().fold(0.0, |sum, x| sum + x);
    Rows::Each(Arc::new(segments.ranges().map(sum).collect()))
}
