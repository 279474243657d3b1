//! Lists: what each text gives, and random texts against one row at a time.

use super::super::*;
use crate::random::SplitMix64;
use arrow_buffer::NullBuffer;
use std::collections::BTreeMap;

/// A value of one row; a null list is not a null number.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Number(f64),
    NoList,
    List(Vec<Cell>),
}

use Cell::{List, NoList, Null, Number as Of};

fn list(numbers: &[f64]) -> Cell {
    List(numbers.iter().map(|&x| Of(x)).collect())
}

/// A column of cells, of lists `depth` deep, with elements where a null list hides them.
fn column(cells: &[Cell], depth: usize, truths: bool) -> Column {
    if depth == 0 {
        let value = |cell: &Cell| if let Of(x) = cell { *x } else { f64::NAN };
        let values: Vec<f64> = cells.iter().map(value).collect();
        let known: Vec<bool> = cells.iter().map(|cell| *cell != Null).collect();
        let is_whole = values.iter().all(|x| x.is_nan() || x.fract() == 0.0);
        let has_nan = cells.iter().any(|cell| matches!(cell, Of(x) if x.is_nan()));
        let lane = match is_whole && !has_nan {
            true => Lane::whole(values, 1e15, Some(known.into())),
            false => Lane::real(values, Some(known.into())),
        };
        return Column::Numbers(lane);
    }
    let (mut elements, mut bounds, mut known) = (Vec::new(), vec![0], Vec::new());
    for (row, cell) in cells.iter().enumerate() {
        known.push(*cell != NoList);
        match cell {
            List(own) => elements.extend_from_slice(own),
            // some null lists hide an element
            _ if row % 2 == 0 && depth == 1 => elements.push(Of(17.0)),
            _ => {}
        }
        bounds.push(elements.len());
    }
    let elements = column(&elements, depth - 1, truths);
    Column::Lists(Lists::new(bounds, Some(known.into()), elements, truths).unwrap())
}

type Columns = BTreeMap<&'static str, Column>;

fn evaluate(text: &str, columns: &Columns) -> Result<Column, Option<Fault<Problem>>> {
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let variables = expression.variables().iter();
    let variables: Vec<Column> = variables
        .map(|name| columns[name.as_str()].clone())
        .collect();
    let shapes: Vec<Shape> = variables.iter().map(Column::shape).collect();
    let found = expression.evaluate(&variables);
    if let Ok(found) = &found {
        assert_eq!(expression.shape(&shapes).unwrap(), found.shape(), "{text}");
    }
    found
}

/// The numbers of an expression, none where null.
fn numbers(text: &str, columns: &Columns, rows: usize) -> Vec<Option<f64>> {
    let found = evaluate(text, columns).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    let lane = found.into_numbers().expect(text);
    let nulls = lane.nulls.clone();
    let values = lane.into_rows(rows).unwrap();
    let values = values.iter().enumerate();
    let known = |row| {
        nulls
            .as_ref()
            .is_none_or(|nulls: &NullBuffer| nulls.is_valid(row))
    };
    values.map(|(row, &x)| known(row).then_some(x)).collect()
}

#[track_caller]
fn assert_same(found: &[Option<f64>], expected: &[Option<f64>], text: &str) {
    let same = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
        (Some(a), Some(b)) => a == b || a.is_nan() && b.is_nan(),
        (a, b) => a == b,
    };
    let all = found.len() == expected.len() && found.iter().zip(expected).all(same);
    assert!(all, "{text}: {found:?}, expected {expected:?}");
}

const NAN: f64 = f64::NAN;

fn events() -> Columns {
    let a = [
        list(&[1.0, 2.0, 3.0]),
        list(&[]),
        NoList,
        List(vec![Of(4.0), Null]),
        list(&[NAN, 5.0]),
    ];
    let b = [
        list(&[10.0, 20.0, 30.0]),
        list(&[]),
        list(&[7.0]),
        list(&[1.0, 2.0]),
        list(&[3.0, 4.0]),
    ];
    let p = [
        List(vec![list(&[1.0, 2.0]), list(&[3.0]), list(&[])]),
        list(&[]),
        NoList,
        List(vec![list(&[]), NoList]),
        List(vec![list(&[4.0]), List(vec![Null])]),
    ];
    let x = [2.0, 5.0, 1.0, NAN, 1.0].map(|x| if x.is_nan() { Null } else { Of(x) });
    let i = [-1.0, 0.0, 0.0, 7.0, 1.0].map(Of);
    BTreeMap::from([
        ("a", column(&a, 1, false)),
        ("b", column(&b, 1, false)),
        ("p", column(&p, 2, false)),
        ("x", column(&x, 0, false)),
        ("i", column(&i, 0, false)),
    ])
}

#[test]
fn every_form() {
    let columns = events();
    // n stands for null, ? for NaN
    for (text, expected) in [
        ("a[0]", "1 n n 4 ?"),
        ("a[1]", "2 n n n 5"),
        ("a[len(a) - 1]", "3 n n n 5"),
        ("a[i]", "n n n n 5"),
        ("a[x]", "3 n n n 5"),
        ("a[1e300]", "n n n n n"),
        ("len(a)", "3 0 n 2 2"),
        ("sum(a)", "6 0 n n ?"),
        ("max(a)", "3 n n n ?"),
        ("min(a)", "1 n n n ?"),
        ("argmax(a)", "2 n n n n"),
        ("argmin(a)", "0 n n n n"),
        ("argmax(b * 0)", "0 n 0 0 0"),
        ("b[argmax(a)]", "30 n n n n"),
        ("b[argmin(b)] + max(b)", "40 n 14 3 7"),
        ("any(a > 2)", "1 0 n 1 1"),
        ("any(a > 9)", "0 0 n n 0"),
        ("all(a > 2)", "0 1 n n 0"),
        ("all(a > 9)", "0 1 n 0 0"),
        ("all(b)", "1 1 1 1 1"),
        ("count(a > 1)", "2 0 n n 1"),
        ("count(!(a > 1))", "1 0 n n 1"),
        ("count(b > 1 && b < 30)", "2 0 1 1 2"),
        ("count(a > 1 || b >= 1)", "3 0 n 2 2"),
        ("sum(a > 1)", "2 0 n n 1"),
        ("sum(a[a > 1])", "5 0 n n 5"),
        ("sum(a[b > 1])", "6 0 n n ?"),
        ("len(a[b > 1])", "3 0 n 1 2"),
        ("sum(b[b > x])", "60 0 7 n 7"),
        ("b[b > 10][0]", "20 n n n n"),
        ("sum(a * b - a)", "134 0 n n ?"),
        ("sum(a * x)", "12 0 n n ?"),
        ("len(a * x)", "3 0 n 2 2"),
        ("sum(x - b)", "-54 0 -6 n -5"),
        ("min(max(a, 2))", "2 n n n ?"),
        ("max(min(a, b))", "3 n n n ?"),
        ("sum(abs(-b) ^ 2)", "1400 0 49 5 25"),
        ("sqrt(sum(b)) > 2 && any(b > 3)", "1 0 1 0 1"),
        ("sum(sum(p))", "6 0 n n n"),
        ("len(len(p))", "3 0 n 2 2"),
        ("sum(len(p))", "3 0 n n 2"),
        ("len(p[0])", "2 n n 0 1"),
        ("sum(p[1])", "3 n n n n"),
        ("p[0][1]", "2 n n n n"),
        ("p[0][0] + max(p[1])", "4 n n n n"),
        ("sum(p[argmax(p)])", "n 0 n n n"),
        ("p[argmax(p)][1]", "3 n n n n"),
        ("sum(p[p > 1][0])", "2 n n 0 4"),
        ("len(len(p[len(p) > 0]))", "2 0 n n 2"),
        ("sum(sum(p * a))", "9 0 n n n"),
        ("sum(sum(p[len(p) > 0] / x))", "3 0 n n n"),
    ] {
        let number = |word: &str| match word {
            "n" => None,
            "?" => Some(NAN),
            word => Some(word.parse().unwrap()),
        };
        let expected: Vec<Option<f64>> = expected.split(' ').map(number).collect();
        assert_same(&numbers(text, &columns, 5), &expected, text);
    }
}

/// Lists of integers of any size.
fn wide(lists: &[&[i128]]) -> Column {
    let ends = lists.iter().scan(0, |end, list| {
        *end += list.len();
        Some(*end)
    });
    let bounds = [0].into_iter().chain(ends).collect();
    let elements = Column::Numbers(Lane::wide(lists.concat(), None));
    Column::Lists(Lists::new(bounds, None, elements, false).unwrap())
}

#[test]
fn integers_of_lists_are_exact_or_refused_with_their_row() {
    const LARGE: i128 = 1 << 60;
    const HALF: i128 = 1 << 52;
    let columns = BTreeMap::from([
        ("w", wide(&[&[LARGE + 1, -1], &[], &[3, LARGE + 7]])),
        ("h", wide(&[&[HALF, HALF, 1], &[2, 3], &[-HALF]])),
        ("k", wide(&[&[1], &[2, 3], &[4 * LARGE, 4 * LARGE]])),
        ("y", column(&[Of(0.5), Of(0.5), Of(0.5)], 0, false)),
    ]);
    for (text, expected) in [
        ("sum(w) == 1152921504606846976", [1.0, 0.0, 0.0]),
        ("max(w) % 2", [1.0, NAN, 1.0]),
        ("w[argmax(w)] - max(w)", [0.0, NAN, 0.0]),
        ("w[1] == 1152921504606846983", [0.0, NAN, 1.0]),
        ("count(w > 1152921504606846977)", [0.0, 0.0, 1.0]),
        // 2^53 + 1
        ("sum(h) % 2 == 1", [1.0, 1.0, 0.0]),
        ("sum(h) == 9007199254740993", [1.0, 0.0, 0.0]),
    ] {
        let expected = expected.map(|x| (!x.is_nan()).then_some(x));
        assert_same(&numbers(text, &columns, 3), &expected, text);
    }
    let problem = |text: &str| evaluate(text, &columns).unwrap_err().unwrap().problem;
    for (text, at) in [
        ("w * y", 0),
        ("sqrt(w)", 0),
        ("w[w > 3] / 2", 0),
        ("(k + 1) * y", 2),
    ] {
        let found = problem(text);
        let is_there = matches!(found, Problem::Inexact { row: Some(row), .. } if row == at);
        assert!(is_there, "{text}: {found:?}");
    }
    for (text, row) in [
        ("(w * w)[0] * max(w)", 0),
        ("k * k * k", 2),
        ("sum(k * 1152921504606846976 * 16)", 2),
    ] {
        assert_eq!(
            problem(text),
            Problem::Overflow { row: Some(row) },
            "{text}"
        );
    }
}

#[test]
fn rows_that_cannot_be_computed_are_named() {
    let mut columns = events();
    let d = [
        list(&[1.0, 2.0, 3.0]),
        list(&[]),
        list(&[]),
        list(&[1.0]),
        list(&[1.0]),
    ];
    columns.insert("d", column(&d, 1, false));
    columns.insert(
        "f",
        column(&[Of(0.0), Of(1.0), Of(0.5), Null, Null], 0, false),
    );
    let q = [
        List(vec![list(&[1.0, 2.0]), list(&[3.0]), list(&[])]),
        list(&[]),
        list(&[]),
        List(vec![list(&[9.0]), NoList]),
        List(vec![list(&[4.0]), list(&[1.0])]),
    ];
    columns.insert("q", column(&q, 2, false));
    let lengths = |row, lengths| Problem::Lengths { row, lengths };
    for (text, expected, operands) in [
        // a null list goes with a list of any length
        ("a + d", lengths(3, [2, 1]), ["a", "d"]),
        ("b < abs(d * 2)", lengths(2, [1, 0]), ["b", "abs(d * 2)"]),
        (
            "(a + 1) * (d[d > 1])",
            lengths(0, [3, 2]),
            ["a + 1", "d[d > 1]"],
        ),
        ("(a - 1) / 2 - d", lengths(3, [2, 1]), ["(a - 1) / 2", "d"]),
        ("a[d > 0]", lengths(3, [2, 1]), ["a", "d > 0"]),
        ("sum(p * q)", lengths(3, [0, 1]), ["p", "q"]),
        ("p[q > 0]", lengths(3, [0, 1]), ["p", "q > 0"]),
        ("p + d", lengths(3, [2, 1]), ["p", "d"]),
    ] {
        let fault = evaluate(text, &columns).unwrap_err().unwrap();
        assert_eq!(fault.problem, expected, "{text}");
        let expression = Expression::parse(text).unwrap();
        let spans = [false, true].map(|second| expression.operand_of(&fault, second).0);
        assert_eq!(spans.map(|span| &text[span]), operands);
    }
    let found = evaluate("a[f]", &columns).unwrap_err().unwrap().problem;
    let (row, value) = (Some(2), 0.5);
    assert_eq!(found, Problem::NoPlace { row, value });
}

#[test]
fn lists_and_numbers_in_each_others_places_are_refused_without_rows() {
    let shape = |depth, truths| Shape { depth, truths };
    let shapes = BTreeMap::from([
        ("a", shape(1, false)),
        ("t", shape(1, true)),
        ("p", shape(2, false)),
        ("x", Shape::NUMBER),
    ]);
    let shape_of = |text: &str| {
        let expression = Expression::parse(text).unwrap();
        let variables = expression.variables().iter();
        let shapes: Vec<Shape> = variables.map(|name| shapes[name.as_str()]).collect();
        expression.shape(&shapes).map(|shape| (expression, shape))
    };
    for (text, message, place) in [
        (
            "sum(x)",
            "`sum` makes a number of a list, and `x` is a number",
            "sum(x)",
        ),
        (
            "1 + max(2 * x)",
            "of two numbers it is `max(a, b)`",
            "max(2 * x)",
        ),
        ("len(sum(a))", "`sum(a)` is a number", "len(sum(a))"),
        ("x[0]", "`x` is a number and has no elements", "x[0]"),
        ("pi[0]", "`pi` is a number", "pi[0]"),
        ("a[0][1] > 2", "`a[0]` is a number", "a[0][1]"),
        (
            "a[a]",
            "write one place, counted from 0, or a condition such as `a[a > 0]`",
            "a[a]",
        ),
        ("a[p > 0]", "the list `p > 0` in brackets", "a[p > 0]"),
        ("a[-1]", "`-1` is no place in a list", "a[-1]"),
        ("a[-1]", "the last is `a[len(a) - 1]`", "a[-1]"),
        (
            "(a + t)[-1]",
            "the last is `(a + t)[len(a + t) - 1]`",
            "(a + t)[-1]",
        ),
        ("a[0.5]", "`0.5` is no place in a list", "a[0.5]"),
        ("p[0][a]", "the list `a` in brackets", "p[0][a]"),
    ] {
        let error = shape_of(text).unwrap_err();
        assert!(error.message.contains(message), "{error}");
        assert_eq!(&text[error.span.clone()], place, "{error}");
    }
    for (text, depth, truths, instead) in [
        (
            "a",
            1,
            false,
            "`a[0]`, or a number of all: `max(a)`, `sum(a)`, `len(a)`",
        ),
        ("2 * a", 1, false, "`(2 * a)[0]`"),
        (
            "a > 2",
            1,
            true,
            "`any(a > 2)`, `all(a > 2)`, `count(a > 2)`",
        ),
        ("!a", 1, true, "any"),
        ("t", 1, true, "any"),
        ("t[t]", 1, true, "any"),
        ("t + t", 1, false, "max"),
        ("a[t]", 1, false, "max"),
        ("sum(p)", 1, false, "max"),
        ("any(p > 0)", 1, true, "any"),
        ("p[argmax(p)]", 1, false, "max"),
        (
            "p",
            2,
            false,
            "is a list of lists of numbers for every event",
        ),
        (
            "p[0 < a]",
            2,
            false,
            "`(p[0 < a])[0][0]`, or a number of all: `max(max(",
        ),
        ("p * a", 2, false, "max"),
    ] {
        let (expression, found) = shape_of(text).unwrap();
        assert_eq!(found, shape(depth, truths), "{text}");
        let error = expression.refuse_list(found);
        assert!(error.message.contains(instead), "{error}");
    }
    // said where it is computed
    let (_, found) = shape_of("x / 1152921504606846977").unwrap();
    assert_eq!(found, Shape::NUMBER);
}

#[test]
fn bounds_that_are_none_are_refused() {
    let elements = || column(&[Of(1.0), Of(2.0)], 0, false);
    let lists = |bounds: &[usize], nulls: Option<NullBuffer>| {
        Lists::new(bounds.to_vec(), nulls, elements(), false)
    };
    for bounds in [&[][..], &[0], &[0, 1], &[0, 3], &[1, 2], &[0, 2, 1, 2]] {
        assert!(lists(bounds, None).is_none(), "{bounds:?}");
    }
    assert!(lists(&[0, 2], Some(NullBuffer::new_valid(2))).is_none());
    let lists = lists(&[0, 0, 2], None).unwrap();
    assert_eq!(lists.lengths().collect::<Vec<_>>(), [Some(0), Some(2)]);
}

// -- a second evaluator: one row, null as none ----------------------------------------

enum Formula {
    Column(&'static str, usize),
    Literal(&'static str, f64),
    One(&'static str, Box<Formula>),
    Two(&'static str, Box<Formula>, Box<Formula>),
    Fold(&'static str, Box<Formula>),
    At(Box<Formula>, Box<Formula>),
    Where(Box<Formula>, Box<Formula>),
}

/// Lists of one row that are not equally long.
#[derive(Debug)]
struct Unequal;

impl Formula {
    fn text(&self) -> String {
        match self {
            Self::Column(name, _) | Self::Literal(name, _) => (*name).to_owned(),
            Self::One(word, of) | Self::Fold(word, of) => format!("{word}({})", of.text()),
            Self::Two(word @ ("min" | "max"), a, b) => {
                format!("{word}({}, {})", a.text(), b.text())
            }
            Self::Two(word, a, b) => format!("({} {word} {})", a.text(), b.text()),
            Self::At(of, at) | Self::Where(of, at) => format!("({})[{}]", of.text(), at.text()),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Column(_, depth) => *depth,
            Self::Literal(..) => 0,
            Self::One(_, of) | Self::Where(of, _) => of.depth(),
            Self::Two(_, a, b) => a.depth().max(b.depth()),
            Self::Fold(_, of) | Self::At(of, _) => of.depth() - 1,
        }
    }

    fn value(&self, row: &BTreeMap<&str, Cell>) -> Result<Cell, Unequal> {
        Ok(match self {
            Self::Column(name, _) => row[name].clone(),
            Self::Literal(_, x) => Of(*x),
            Self::One(word, of) => one(word, of.value(row)?),
            Self::Two(word, a, b) => two(word, a.value(row)?, b.value(row)?)?,
            Self::Fold(word, of) => fold(word, of.value(row)?, of.depth()),
            Self::At(of, at) => {
                let none = if of.depth() == 1 { Null } else { NoList };
                match (of.value(row)?, at.value(row)?) {
                    (List(cells), Of(at)) if at >= 0.0 => {
                        cells.get(at as usize).cloned().unwrap_or(none)
                    }
                    _ => none,
                }
            }
            Self::Where(of, at) => selected(of.value(row)?, at.value(row)?)?,
        })
    }
}

fn one(word: &str, of: Cell) -> Cell {
    match of {
        List(cells) => List(cells.into_iter().map(|cell| one(word, cell)).collect()),
        Of(x) => Of(match word {
            "abs" => x.abs(),
            "-" => -x,
            _ => f64::from(!is_true(x)),
        }),
        nothing => nothing,
    }
}

fn two(word: &str, a: Cell, b: Cell) -> Result<Cell, Unequal> {
    Ok(match (a, b) {
        (NoList, _) | (_, NoList) => NoList,
        (List(a), List(b)) if a.len() != b.len() => return Err(Unequal),
        (List(a), List(b)) => {
            let pairs = a.into_iter().zip(b);
            List(
                pairs
                    .map(|(a, b)| two(word, a, b))
                    .collect::<Result<_, _>>()?,
            )
        }
        (List(a), b) => {
            let cells = a.into_iter().map(|a| two(word, a, b.clone()));
            List(cells.collect::<Result<_, _>>()?)
        }
        (a, List(b)) => {
            let cells = b.into_iter().map(|b| two(word, a.clone(), b));
            List(cells.collect::<Result<_, _>>()?)
        }
        (a, b) if word == "&&" || word == "||" => {
            let truth = |cell: &Cell| {
                if let Of(x) = cell {
                    Some(is_true(*x))
                } else {
                    None
                }
            };
            let decisive = word == "||";
            match (truth(&a), truth(&b)) {
                (Some(a), _) if a == decisive => Of(f64::from(decisive)),
                (_, Some(b)) if b == decisive => Of(f64::from(decisive)),
                (Some(_), Some(_)) => Of(f64::from(!decisive)),
                _ => Null,
            }
        }
        (Of(x), Of(y)) => Of(match word {
            "+" => x + y,
            "-" => x - y,
            "*" => x * y,
            "<" => f64::from(x < y),
            "!=" => f64::from(x.partial_cmp(&y).is_some_and(std::cmp::Ordering::is_ne)),
            _ if x.is_nan() || y.is_nan() => NAN,
            "min" => x.min(y),
            _ => x.max(y),
        }),
        _ => Null,
    })
}

fn fold(word: &str, of: Cell, depth: usize) -> Cell {
    let cells = match of {
        List(cells) => cells,
        _ if depth > 1 => return NoList,
        _ => return Null,
    };
    if depth > 1 {
        return List(
            cells
                .into_iter()
                .map(|cell| fold(word, cell, depth - 1))
                .collect(),
        );
    }
    let numbers: Vec<f64> = cells
        .iter()
        .filter_map(|cell| if let Of(x) = cell { Some(*x) } else { None })
        .collect();
    let has_null = numbers.len() < cells.len();
    let mut known = numbers.iter();
    match word {
        "len" => return Of(cells.len() as f64),
        "any" if known.any(|x| is_true(*x)) => return Of(1.0),
        "all" if known.any(|x| !is_true(*x)) => return Of(0.0),
        _ if has_null => return Null,
        "any" => return Of(0.0),
        "all" => return Of(1.0),
        "sum" => return Of(numbers.iter().fold(0.0, |sum, x| sum + x)),
        "count" => return Of(numbers.iter().filter(|x| is_true(**x)).count() as f64),
        _ if numbers.is_empty() => return Null,
        _ => {}
    }
    let is_least = word.ends_with("min");
    let mut best = 0;
    for (place, x) in numbers.iter().enumerate() {
        let is_better = if is_least {
            *x < numbers[best]
        } else {
            *x > numbers[best]
        };
        best = if is_better { place } else { best };
    }
    match (word.starts_with("arg"), numbers.iter().any(|x| x.is_nan())) {
        (true, true) => Null,
        (false, true) => Of(NAN),
        (true, false) => Of(best as f64),
        (false, false) => Of(numbers[best]),
    }
}

fn selected(of: Cell, at: Cell) -> Result<Cell, Unequal> {
    let (List(cells), List(truths)) = (of, at) else {
        return Ok(NoList);
    };
    if cells.len() != truths.len() {
        return Err(Unequal);
    }
    if truths.iter().any(|truth| matches!(truth, List(_) | NoList)) {
        let pairs = cells.into_iter().zip(truths);
        let inner = pairs.map(|(cell, truth)| selected(cell, truth));
        return Ok(List(inner.collect::<Result<_, _>>()?));
    }
    if truths.contains(&Null) {
        return Ok(NoList);
    }
    let pairs = cells.into_iter().zip(truths);
    let kept = pairs.filter(|(_, truth)| matches!(truth, Of(x) if is_true(*x)));
    Ok(List(kept.map(|(cell, _)| cell).collect()))
}

/// A formula of lists `depth` deep, or of numbers.
fn formula(random: &mut SplitMix64, depth: usize, fuel: u32) -> Formula {
    fn pick<T: Copy>(random: &mut SplitMix64, from: &[T]) -> T {
        from[(random.bits() % from.len() as u64) as usize]
    }
    let choice = if fuel == 0 { 0 } else { random.bits() % 8 };
    let below = fuel.saturating_sub(1);
    let words = ["+", "-", "*", "min", "max", "<", "!=", "&&", "||"];
    let folds = [
        "len", "sum", "min", "max", "argmin", "argmax", "any", "all", "count",
    ];
    let boxed = |random: &mut SplitMix64, depth| Box::new(formula(random, depth, below));
    match choice {
        0 | 1 if depth == 0 && random.bits().is_multiple_of(2) => {
            let (text, x) = pick(random, &[("0", 0.0), ("1", 1.0), ("2", 2.0), ("0.5", 0.5)]);
            Formula::Literal(text, x)
        }
        0 | 1 => {
            let names: &[&str] = [&["x", "n"][..], &["a", "b", "t"], &["p", "q"]][depth];
            Formula::Column(pick(random, names), depth)
        }
        2 => Formula::One(pick(random, &["abs", "-", "!"]), boxed(random, depth)),
        3 | 4 if depth < 2 => Formula::Fold(pick(random, &folds), boxed(random, depth + 1)),
        5 if depth < 2 => {
            let at = match random.bits() % 3 {
                0 => Formula::Literal("1", 1.0),
                1 => Formula::Column("n", 0),
                _ => Formula::Fold("argmax", Box::new(Formula::Column("b", 1))),
            };
            Formula::At(boxed(random, depth + 1), Box::new(at))
        }
        6 if depth > 0 => {
            let inside = 1 + (random.bits() % depth as u64) as usize;
            let (a, b) = (boxed(random, inside), boxed(random, 0));
            let truths = Box::new(Formula::Two(pick(random, &["<", "!="]), a, b));
            Formula::Where(boxed(random, depth), truths)
        }
        _ => {
            let other = (random.bits() % (depth as u64 + 1)) as usize;
            let (a, b) = match random.bits() % 2 {
                0 => (depth, other),
                _ => (other, depth),
            };
            let (a, b) = (boxed(random, a), boxed(random, b));
            Formula::Two(pick(random, &words), a, b)
        }
    }
}

#[test]
fn random_lists_agree_with_a_row_by_row_evaluator() {
    const ROWS: usize = 30;
    let mut random = SplitMix64(3);
    let mut number = |is_whole: bool| match random.bits() % 9 {
        0 => Null,
        1 if !is_whole => Of(NAN),
        bits if is_whole => Of(bits as f64 - 4.0),
        bits => Of((bits as f64 - 4.0) / 2.0),
    };
    let row = |row: usize| {
        let length = [2, 0, 1, 3][row % 4];
        let mut list = |is_whole: bool, is_null: bool, length: usize| match is_null {
            true => NoList,
            false => List((0..length).map(|_| number(is_whole)).collect()),
        };
        let (a, b) = (
            list(false, row % 5 == 3, length),
            list(true, row % 7 == 2, length),
        );
        let t = one("!", list(true, false, length));
        let mut lists = |is_whole| {
            let inner = (0..length).map(|k| list(is_whole, (row + k) % 6 == 5, (row + k) % 3));
            List(inner.collect())
        };
        let (p, q) = (lists(false), lists(true));
        let x = number(false);
        BTreeMap::from([
            ("x", x),
            ("n", number(true)),
            ("a", a),
            ("b", b),
            ("t", t),
            ("p", if row % 8 == 6 { NoList } else { p }),
            ("q", q),
        ])
    };
    let rows: Vec<BTreeMap<&str, Cell>> = (0..ROWS).map(row).collect();
    let column = |name: &'static str, depth: usize, truths: bool| {
        let cells: Vec<Cell> = rows.iter().map(|row| row[name].clone()).collect();
        (name, column(&cells, depth, truths))
    };
    let columns: Columns = [
        column("x", 0, false),
        column("n", 0, false),
        column("a", 1, false),
        column("b", 1, false),
        column("t", 1, true),
        column("p", 2, false),
        column("q", 2, false),
    ]
    .into();
    let mut random = SplitMix64(11);
    let (mut unequal, mut known, mut null) = (0, 0, 0);
    for _ in 0..6000 {
        let formula = formula(&mut random, 0, 5);
        let text = formula.text();
        if text.len() > MAX_LENGTH {
            continue;
        }
        let outcomes: Result<Vec<Cell>, Unequal> =
            rows.iter().map(|row| formula.value(row)).collect();
        let Ok(outcomes) = outcomes else {
            let problem = evaluate(&text, &columns).unwrap_err().unwrap().problem;
            assert!(
                matches!(problem, Problem::Lengths { .. }),
                "{text}: {problem:?}"
            );
            unequal += 1;
            continue;
        };
        let expected = outcomes.iter().map(|cell| match cell {
            Of(x) => Some(*x),
            _ => None,
        });
        let expected: Vec<Option<f64>> = expected.collect();
        assert_same(&numbers(&text, &columns, ROWS), &expected, &text);
        known += expected.iter().flatten().count();
        null += expected.iter().filter(|x| x.is_none()).count();
    }
    // the test looks at something
    assert!(
        unequal > 200 && known > 20_000 && null > 20_000,
        "{unequal} {known} {null}"
    );
}
