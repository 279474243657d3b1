//! Integers are exact, null propagates, a name means one thing.

use crate::support::events::reweighting;
use crate::support::{Columns, Done, Numbers, Workplace, contains, doubles, integers};
use arrow::array::{
    Array, BooleanArray, Decimal128Array, Int32Array, ListArray, StringArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use sideband::error::Result;
use sideband::events::{Dataset, EventTable, Hidden, LossKind, Resolver, ScanRequest};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// 2^60, near which consecutive integers are one `f64`.
const LARGE: i64 = 1 << 60;

/// Events of a file that a selection keeps, read through the library.
struct Events {
    dataset: Dataset,
    resolver: Resolver,
    _folder: TempDir,
}

impl Events {
    /// Of columns and `row`.
    fn of(columns: &Columns) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.parquet");
        let rows = integers(0..columns.len() as i64);
        columns.clone().with("row", rows).write_parquet(&path);
        let dataset = Dataset::open(&[path.display().to_string()], Path::new("")).unwrap();
        Self {
            resolver: Resolver::new(dataset.columns(), &BTreeMap::new()).unwrap(),
            dataset,
            _folder: folder,
        }
    }

    fn select(&self, text: &str) -> Result<EventTable> {
        let request = ScanRequest {
            selection: Some(self.resolver.compile(text)?),
            columns: vec![("row".to_owned(), self.resolver.compile("row")?)],
            ..ScanRequest::new(Hidden::nothing())
        };
        self.dataset.scan(&request, None)
    }

    /// The rows that are selected, and how many have no value.
    fn rows(&self, text: &str) -> Result<(Vec<usize>, u64)> {
        let table = self.select(text)?;
        let rows = table.columns[0].1.iter().map(|&row| row as usize);
        let mut undecided = 0;
        for loss in &table.report.losses {
            assert_eq!(loss.kind, LossKind::Selection);
            undecided += loss.events;
        }
        Ok((rows.collect(), undecided))
    }
}

// -- a second evaluator: one row, integers of 128 bits, null as none ----------------

#[derive(Clone, Copy, Debug)]
enum Number {
    Whole(i128),
    Real(f64),
}

use Number::{Real, Whole};

/// An integer that would be rounded, or a result beyond 128 bits.
#[derive(Debug)]
struct Refused;

type Outcome = Result<Option<Number>, Refused>;

enum Formula {
    Column(&'static str),
    Literal(&'static str, Number),
    One(&'static str, Box<Formula>),
    Two(&'static str, Box<Formula>, Box<Formula>),
}

impl Number {
    fn real(self) -> Result<f64, Refused> {
        match self {
            Real(x) => Ok(x),
            Whole(n) => {
                let x = n as f64;
                // no test comes near the ends of i128
                if x as i128 == n { Ok(x) } else { Err(Refused) }
            }
        }
    }

    fn is_true(self) -> bool {
        match self {
            Real(x) => x.abs() > 0.0,
            Whole(n) => n != 0,
        }
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Real(x), Real(y)) => x.partial_cmp(&y),
            (Whole(x), Whole(y)) => Some(x.cmp(&y)),
            (Real(_), Whole(_)) => other.order(self).map(Ordering::reverse),
            (Whole(n), Real(y)) => {
                if y.is_nan() || y.abs() > 1e37 {
                    return 0.0.partial_cmp(&y);
                }
                let floor = y.floor();
                let below = floor.total_cmp(&y);
                Some(n.cmp(&(floor as i128)).then(below))
            }
        }
    }
}

fn truth(value: bool) -> Option<Number> {
    Some(Whole(i128::from(value)))
}

impl Formula {
    fn text(&self) -> String {
        match self {
            Self::Column(name) | Self::Literal(name, _) => (*name).to_owned(),
            Self::One(word, of) => format!("({word}({}))", of.text()),
            Self::Two(word @ ("min" | "max" | "atan2" | "hypot"), a, b) => {
                format!("{word}({}, {})", a.text(), b.text())
            }
            Self::Two(word, a, b) => format!("({} {word} {})", a.text(), b.text()),
        }
    }

    fn is_constant(&self) -> bool {
        match self {
            Self::Column(_) => false,
            Self::Literal(..) => true,
            Self::One(_, of) => of.is_constant(),
            Self::Two(_, a, b) => a.is_constant() && b.is_constant(),
        }
    }

    fn value(&self, row: &BTreeMap<&str, Option<Number>>) -> Outcome {
        match self {
            Self::Column(name) => Ok(row[name]),
            Self::Literal(_, number) => Ok(Some(*number)),
            Self::One(word, of) => {
                let Some(x) = of.value(row)? else {
                    return Ok(None);
                };
                one(word, x).map(Some)
            }
            Self::Two(word, a, b) => {
                let (x, y) = (a.value(row)?, b.value(row)?);
                if let "&&" | "||" = *word {
                    return Ok(logic(*word == "||", x, y));
                }
                let (Some(left), Some(right)) = (x, y) else {
                    // a number for all rows is looked at once
                    for (formula, value) in [(a, x), (b, y)] {
                        let other = if std::ptr::eq(formula, a) { b } else { a };
                        let real = matches!(*word, "/" | "^") || other.is_real();
                        let compares = matches!(*word, "<" | "<=" | ">" | ">=" | "==" | "!=");
                        if let (true, Some(value)) = (formula.is_constant(), value)
                            && real
                            && !compares
                        {
                            value.real()?;
                        }
                    }
                    return Ok(None);
                };
                if let ("%", Whole(_), Whole(0)) = (*word, left, right) {
                    return Ok(self.is_constant().then_some(Real(f64::NAN)));
                }
                two(word, left, right)
            }
        }
    }

    /// Whether the values are floating-point numbers, null or not.
    fn is_real(&self) -> bool {
        match self {
            Self::Column(name) => matches!(*name, "f" | "g"),
            Self::Literal(_, number) => matches!(number, Real(_)),
            Self::One("!", _) => false,
            Self::One("sqrt" | "exp", _) => true,
            Self::One(_, of) => of.is_real(),
            Self::Two("/" | "^", ..) => true,
            Self::Two("+" | "-" | "*" | "%" | "min" | "max", a, b) => a.is_real() || b.is_real(),
            Self::Two(..) => false,
        }
    }
}

fn one(word: &str, x: Number) -> Result<Number, Refused> {
    Ok(match (word, x) {
        ("!", x) => Whole(i128::from(!x.is_true())),
        ("-", Whole(n)) => Whole(n.checked_neg().ok_or(Refused)?),
        ("-", Real(x)) => Real(-x),
        ("abs", Whole(n)) => Whole(n.checked_abs().ok_or(Refused)?),
        ("abs", Real(x)) => Real(x.abs()),
        ("sign", Whole(n)) => Whole(n.signum()),
        ("sign", Real(x)) if x == 0.0 || x.is_nan() => Real(x),
        ("sign", Real(x)) => Real(x.signum()),
        ("floor" | "ceil" | "round", Whole(n)) => Whole(n),
        ("floor", Real(x)) => Real(x.floor()),
        ("ceil", Real(x)) => Real(x.ceil()),
        ("round", Real(x)) => Real(x.round()),
        ("sqrt", x) => Real(x.real()?.sqrt()),
        (_, x) => Real(x.real()?.exp()),
    })
}

/// SQL's table, written out.
fn logic(is_or: bool, x: Option<Number>, y: Option<Number>) -> Option<Number> {
    match (is_or, x.map(Number::is_true), y.map(Number::is_true)) {
        (true, Some(true), _) | (true, _, Some(true)) => truth(true),
        (false, Some(false), _) | (false, _, Some(false)) => truth(false),
        (_, None, _) | (_, _, None) => None,
        (true, ..) => truth(false),
        (false, ..) => truth(true),
    }
}

fn two(word: &str, x: Number, y: Number) -> Outcome {
    let order = x.order(y);
    match word {
        "==" => return Ok(truth(order == Some(Ordering::Equal))),
        "!=" => return Ok(truth(order.is_some_and(Ordering::is_ne))),
        "<" => return Ok(truth(order.is_some_and(Ordering::is_lt))),
        "<=" => return Ok(truth(order.is_some_and(Ordering::is_le))),
        ">" => return Ok(truth(order.is_some_and(Ordering::is_gt))),
        ">=" => return Ok(truth(order.is_some_and(Ordering::is_ge))),
        _ => {}
    }
    if let (Whole(a), Whole(b)) = (x, y) {
        let exact = match word {
            "+" => Some(a.checked_add(b)),
            "-" => Some(a.checked_sub(b)),
            "*" => Some(a.checked_mul(b)),
            "%" => Some(a.checked_rem(b)),
            "min" => Some(Some(a.min(b))),
            "max" => Some(Some(a.max(b))),
            _ => None,
        };
        if let Some(exact) = exact {
            return exact.map(|n| Some(Whole(n))).ok_or(Refused);
        }
    }
    let (a, b) = (x.real()?, y.real()?);
    let is_nan = a.is_nan() || b.is_nan();
    Ok(Some(Real(match word {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "%" => a % b,
        "^" if b == 2.0 => a * a,
        "^" => a.powf(b),
        _ if is_nan => f64::NAN,
        "min" => a.min(b),
        _ => a.max(b),
    })))
}

fn formula(numbers: &mut Numbers, depth: u32) -> Formula {
    fn pick<T: Copy>(numbers: &mut Numbers, from: &[T]) -> T {
        from[(numbers.bits() % from.len() as u64) as usize]
    }
    let literals = [
        ("0", Whole(0)),
        ("1", Whole(1)),
        ("2", Whole(2)),
        ("3", Whole(3)),
        ("9007199254740993", Whole(9_007_199_254_740_993)),
        ("1152921504606846977", Whole(1_152_921_504_606_846_977)),
        ("18446744073709551615", Whole(u64::MAX.into())),
        ("0.5", Real(0.5)),
        ("2.0", Real(2.0)),
        ("9007199254740992.0", Real(9_007_199_254_740_992.0)),
    ];
    let columns = ["i", "u", "n", "s", "b", "f", "g"];
    let choice = if depth == 0 {
        numbers.bits() % 4
    } else {
        numbers.bits() % 16
    };
    match choice {
        0 => {
            let (text, number) = pick(numbers, &literals);
            Formula::Literal(text, number)
        }
        1..=3 => Formula::Column(pick(numbers, &columns)),
        4 | 5 => {
            let words = [
                "!", "-", "abs", "sign", "floor", "ceil", "round", "sqrt", "exp",
            ];
            Formula::One(pick(numbers, &words), Box::new(formula(numbers, depth - 1)))
        }
        _ => {
            let words = [
                "+", "-", "*", "%", "+", "-", "*", "%", "/", "^", "<", "<=", ">", ">=", "==", "!=",
                "<", "==", "!=", "&&", "||", "&&", "||", "min", "max",
            ];
            let word = pick(numbers, &words);
            let left = Box::new(formula(numbers, depth - 1));
            Formula::Two(word, left, Box::new(formula(numbers, depth - 1)))
        }
    }
}

#[test]
fn random_expressions_agree_with_a_row_by_row_evaluator() {
    const ROWS: usize = 40;
    let mut numbers = Numbers::new(15);
    let mut draw = |from: &[i128], nullable: bool| -> Vec<Option<i128>> {
        let mut one = || from[(numbers.bits() % from.len() as u64) as usize];
        let values: Vec<i128> = (0..ROWS).map(|_| one()).collect();
        let values = values.into_iter().enumerate();
        values
            .map(|(row, x)| (!nullable || row % 3 != 1).then_some(x))
            .collect()
    };
    let large = i128::from(LARGE);
    let least = i64::MIN.into();
    let i = [0, 1, -1, 2, -7, large, large + 1, -large - 3, least];
    let i = draw(&i, false);
    let u = draw(&[0, 1, 5, large + 1, u64::MAX.into()], false);
    let n = draw(&[0, 1, -3, large + 7], true);
    let s = draw(&[0, 1, 2, -2_147_483_648, 2_147_483_647], true);
    let b = draw(&[0, 1], true);
    let reals = [
        0.0,
        -0.0,
        0.5,
        -1.5,
        2.0,
        f64::NAN,
        f64::INFINITY,
        9_007_199_254_740_992.0,
    ];
    let real = |row: usize, step: usize| reals[row * step % reals.len()];
    let f: Vec<f64> = (0..ROWS).map(|row| real(row, 3)).collect();
    let g = (0..ROWS).map(|row| (row % 4 != 0).then_some(real(row, 5)));
    let g: Vec<Option<f64>> = g.collect();

    let ints = |values: &[Option<i128>]| integers(values.iter().map(|x| x.map(|x| x as i64)));
    let unsigned = u.iter().map(|x| x.map(|x| x as u64));
    let short = s.iter().map(|x| x.map(|x| x as i32));
    let flags = b.iter().map(|x| x.map(|x| x == 1));
    let columns = Columns::default()
        .with("i", ints(&i))
        .with("u", Arc::new(unsigned.collect::<UInt64Array>()))
        .with("n", ints(&n))
        .with("s", Arc::new(short.collect::<Int32Array>()))
        .with("b", Arc::new(flags.collect::<BooleanArray>()))
        .with("f", doubles(f.iter().copied()))
        .with("g", doubles(g.iter().copied()));
    let events = Events::of(&columns);
    let whole = |values: &[Option<i128>], row: usize| values[row].map(Whole);
    let row = |row| {
        BTreeMap::from([
            ("i", whole(&i, row)),
            ("u", whole(&u, row)),
            ("n", whole(&n, row)),
            ("s", whole(&s, row)),
            ("b", whole(&b, row)),
            ("f", Some(Real(f[row]))),
            ("g", g[row].map(Real)),
        ])
    };
    let rows: Vec<BTreeMap<&str, Option<Number>>> = (0..ROWS).map(row).collect();
    let mut numbers = Numbers::new(7);
    let (mut refused, mut undecided, mut selected) = (0, 0, 0);
    for _ in 0..4000 {
        let formula = formula(&mut numbers, 4);
        let text = formula.text();
        if text.len() > 4000 {
            continue;
        }
        let outcomes: Result<Vec<Option<Number>>, Refused> =
            rows.iter().map(|row| formula.value(row)).collect();
        let found = events.rows(&text);
        let Ok(outcomes) = outcomes else {
            let message = found.expect_err(&text).to_string();
            let is_named = message.contains("row") && message.contains("column `");
            assert!(
                is_named || message.contains("the number"),
                "{text}: {message}"
            );
            refused += 1;
            continue;
        };
        let (kept, without) = found.unwrap_or_else(|error| panic!("{text}: {error}"));
        let is_true = |x: &Option<Number>| x.is_some_and(Number::is_true);
        let expected: Vec<usize> = (0..ROWS).filter(|&row| is_true(&outcomes[row])).collect();
        assert_eq!(kept, expected, "{text}");
        let lacks = |x: &&Option<Number>| match x {
            None => true,
            Some(Real(x)) => x.is_nan(),
            Some(Whole(_)) => false,
        };
        let lacking = outcomes.iter().filter(lacks).count() as u64;
        assert_eq!(without, lacking, "{text}");
        selected += kept.len();
        undecided += without;
    }
    // the test looks at something
    assert!(
        refused > 100 && undecided > 1000 && selected > 1000,
        "{refused} {undecided} {selected}"
    );
}

/// Every pair of true, false and null: what SQL says.
#[test]
fn null_has_the_truth_values_of_sql() {
    let values = [Some(true), Some(false), None];
    let pairs = values.map(|a| values.map(|b| [a, b])).concat();
    let side = |k: usize| pairs.iter().map(|pair| pair[k]).collect::<BooleanArray>();
    let columns = Columns::default()
        .with("a", Arc::new(side(0)))
        .with("b", Arc::new(side(1)))
        .with("x", cast(&side(0), &DataType::Float64).unwrap());
    let events = Events::of(&columns);
    // of TT TF TN FT FF FN NT NF NN: T true, F false, N null
    for (text, expected) in [
        ("a && b", "TFNFFFNFN"),
        ("a || b", "TTTTFNTNN"),
        ("!a", "FFFTTTNNN"),
        ("a == b", "TFNFTNNNN"),
        ("a != b", "FTNTFNNNN"),
        ("a < b", "FFNTFNNNN"),
        ("a + b", "TTNTFNNNN"),
        ("0 * a == 0", "TTTTTTNNN"),
        ("min(a, 1) + 1 > 0", "TTTTTTNNN"),
        ("max(a, b) >= 0", "TTNTTNNNN"),
        ("x == x", "TTTTTTNNN"),
        ("x == 0 || !(x == 0)", "TTTTTTNNN"),
        ("x ^ 0 == 1", "TTTTTTNNN"),
        ("atan2(0, x) < 9", "TTTTTTNNN"),
        ("!(x > 5) && b", "TFNTFNNFN"),
        ("(x > 5) || !b", "FTNFTNNTN"),
        ("a % b == 0", "TNNTNNNNN"),
    ] {
        let (kept, without) = events.rows(text).unwrap();
        let all = |letter| (0..9).filter(move |&row| expected.as_bytes()[row] == letter);
        assert_eq!(kept, all(b'T').collect::<Vec<_>>(), "{text}");
        assert_eq!(without, all(b'N').count() as u64, "{text}");
    }
}

/// The small configuration with other columns in both samples.
fn place(change: impl Fn(&mut Columns)) -> Workplace {
    let place = Workplace::with_events(120);
    place.edit_both(change);
    place
}

/// Events of the training region by `plan`, of source and target.
fn counts(done: &Done) -> Vec<u64> {
    let lines = done.stdout.lines();
    let lines = lines.filter(|line| line.starts_with("cr, trained on"));
    let count = |line: &str| line.split_whitespace().nth(4).unwrap().parse().unwrap();
    lines.map(count).collect()
}

/// Adds a column of numbers by row.
fn number_by_row(columns: &mut Columns, number: impl Fn(i64) -> i64) {
    let rows = columns.len() as i64;
    columns.set("number", integers((0..rows).map(number)));
}

#[test]
fn large_event_numbers_are_split_and_vetoed_one_by_one() {
    let place = place(|columns| number_by_row(columns, |row| LARGE + row));
    for (selection, expected) in [
        ("number % 2 == 0", 60),
        ("number != 1152921504606846977", 119),
        ("number == 1152921504606846977", 1),
        ("number < 1152921504606846977.5", 2),
        ("number - 1152921504606846976 < 50", 50),
        ("number > 1152921504606846976 + 99", 20),
        ("!(number % 3)", 40),
        ("number", 120),
    ] {
        let selection = format!("regions.cr.selection={selection}");
        let done = place.plan(&[&selection, "regions.sr.selection=mass > 2 || pt < 9"]);
        if done.exit == Some(0) {
            assert_eq!(counts(&done), [expected; 2], "{selection}: {done:?}");
        } else {
            // too few to train on: the count is what matters
            assert!(expected < 20, "{selection}: {done:?}");
            done.warns([expected.to_string()]);
        }
    }
}

#[test]
fn an_integer_that_would_be_rounded_is_refused_by_column_and_row() {
    let place = place(|columns| {
        number_by_row(columns, |row| if row == 17 { LARGE + 1 } else { row });
    });
    let is_refused = |settings: &[&str]| {
        let done = place.plan(settings);
        assert!(matches!(done.exit, Some(3 | 4)), "{settings:?}: {done:?}");
        let value = (LARGE + 1).to_string();
        done.warns(["`number`", "row 17 of source.parquet", &value]);
    };
    for setting in [
        "features.inputs=['pt', 'number']",
        "data.source.weight='number'",
        "regions.cr.selection='number / 2 < 1e30'",
        "regions.cr.selection='sqrt(number) >= 0'",
        "regions.cr.selection='number * mass < 1e30'",
        "report.variables=[{ name = 'number', bins = 4 }]",
    ] {
        is_refused(&[setting]);
    }
    let defined = "data.define={ d = 'number + 0.5' }";
    is_refused(&[defined, "features.inputs=['pt', 'd']"]);
    let overflow = "regions.cr.selection='number * number * number > 0'";
    place.plan(&[overflow]).warns(["`number`", "row 17"]);
}

#[test]
fn integers_of_every_kind_of_column_are_exact() {
    let signed = integers((0..8).map(|row| LARGE + row));
    let decimals = (0..8).map(|row| i128::from(LARGE + row));
    let decimals = Decimal128Array::from_iter_values(decimals);
    let decimals = decimals.with_precision_and_scale(38, 0).unwrap();
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Int64));
    let unsigned = UInt64Array::from_iter_values((0..8).map(|row| u64::MAX - row));
    let columns = Columns::default()
        .with("i", signed.clone())
        .with("d", Arc::new(decimals))
        .with("k", cast(&signed, &dictionary).unwrap())
        .with("u", Arc::new(unsigned))
        .with("negative", integers([-1; 8]));
    let events = Events::of(&columns);
    for (text, expected) in [
        ("i % 2 == 1", vec![1, 3, 5, 7]),
        ("d % 2 == 1", vec![1, 3, 5, 7]),
        ("k == 1152921504606846979", vec![3]),
        ("u == 18446744073709551613", vec![2]),
        ("u > 18446744073709551613", vec![0, 1]),
        ("negative < u && u % 5 == 0", vec![0, 5]),
        ("i * i - d * k == 0", (0..8).collect()),
        ("u * 2 - u > 18446744073709551614", vec![0]),
    ] {
        assert_eq!(events.rows(text).unwrap(), (expected, 0), "{text}");
    }
}

/// Words that mean something in expressions, or might, each as a column's name.
#[test]
fn a_column_is_never_taken_for_something_else() {
    let words = "pi e inf nan NaN true false null and or not AND if log log10 exp sqrt abs min \
                 max floor sign atan2 hypot x_hh r_cr in_sr in_cr quadrant in_cr1 x_wt_category \
                 hh_category a-b pt-eta pt*eta 2x pt[GeV] a.b µ !pt 1 w(x) pt+ -pt";
    let flag = |k: usize| doubles((0..8).map(|row| (row % k) as f64));
    for name in words.split(' ').chain(["jet pt", "min(pt, eta)"]) {
        let half = doubles((0..8).map(|row| f64::from(row / 4)));
        let columns = Columns::default().with("pt", flag(3)).with("eta", flag(5));
        let events = Events::of(&columns.with(name, half));
        let half: Vec<usize> = (4..8).collect();
        let quoted = format!("{{{name}}} > 0.5");
        assert_eq!(events.rows(&quoted).unwrap(), (half.clone(), 0), "{quoted}");
        match events.rows(&format!("{name} > 0.5")) {
            Ok((rows, _)) if name == "1" => assert_eq!(rows.len(), 8),
            Ok(rows) => assert_eq!(rows, (half, 0), "{name}"),
            Err(error) => contains(&error.to_string(), [format!("{{{name}}}")]),
        }
    }
}

#[test]
fn a_column_with_an_operator_in_its_name_is_named() {
    let place = place(|columns| {
        for name in ["a-b", "and"] {
            columns.set(name, columns.get("pt").clone());
        }
    });
    let said = "there is a column `a-b`: write {a-b}";
    place.refuses(&["features.inputs=['pt', 'a-b']"], &[said]);
    let quoted = "features.inputs=['pt', '{a-b}', '{and}']";
    place.plan(&[quoted]).exits(0);
    let done = place.plan(&["features.one_hot={ 'a-b' = [0, 1] }"]);
    done.warns_not("no column");
}

#[test]
fn values_of_a_matrix_are_exact_keep_their_precedence_and_may_be_labels() {
    let with = |matrix: &str| {
        let place = place(|columns| {
            number_by_row(columns, |row| 9_007_199_254_740_992 + row % 2);
        });
        place.configure(&[("[report]", &format!("[matrix]\n{matrix}\n[report]"))]);
        place
    };
    let unequal = "regions.cr.selection=number != ${c}";
    let done = with("c = [9007199254740993]").plan(&[unequal, "data.target.label='${c}'"]);
    let done = done.exits(0);
    assert_eq!(counts(&done), [60, 60], "{done:?}");

    let place = with("v = [{ name = 'either', cut = 'pt < 9 || pt > 9', c = -3 }]");
    let none = "regions.cr.selection=pt > 9 && ${v.cut}";
    place.plan(&[none]).fails().warns(["no event"]);
    let all = "regions.cr.selection=${v.c}^2 == 9 && 10 - ${v.c} == 13 && 2^${v.c} == 0.125";
    let done = place.plan(&[all, "data.target.label='${v.c}'"]).exits(0);
    assert_eq!(counts(&done), [120, 120], "{done:?}");
}

#[test]
fn an_integer_of_the_configuration_is_exact_or_refused() {
    let place = Workplace::with_events(120);
    let found = "found 9007199254740993";
    let one_hot = "features.one_hot={ kind = [9007199254740993] }";
    place.refuses(&[one_hot], &["features.one_hot.kind[0]", found]);
    let bins = "report.variables=[{ name = 'mass', bins = [0, 9007199254740993] }]";
    place.refuses(&[bins], &["report.variables[0].bins[1]", found]);
    place.plan(&["experiment.seed=9007199254740993"]).exits(0);
    let digits = format!("regions.cr.selection=mass < {}", "9".repeat(45));
    place.refuses(&[&digits], &["too large to be exact"]);
}

#[test]
fn inspect_prints_integers_as_they_are() {
    let place = Workplace::with_events(20);
    place.edit("source.parquet", |columns| {
        number_by_row(columns, |row| LARGE + row);
        let unsigned = (0..20).map(|row| u64::MAX - row);
        columns.set("u", Arc::new(UInt64Array::from_iter_values(unsigned)));
    });
    let inspect = ["inspect", "source.parquet", "--json"];
    let ranges = [LARGE as u64, LARGE as u64 + 19, u64::MAX, u64::MAX - 19];
    let done = place.sideband(&inspect).exits(0);
    done.says(ranges.map(|end| end.to_string()));
    let done = place.sideband(&inspect[..2]).exits(0);
    done.says(["1152921504606846995"]);
}

/// Numbers in lists, behind another one each.
fn lists(numbers: &[f64]) -> Arc<dyn Array> {
    let lists = numbers.iter().map(|x| Some([Some(x - 1.0), Some(*x)]));
    Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists))
}

/// What is taken out of lists is what was put into them, in every key and command.
#[test]
fn lists_are_computed_with_from_the_plan_to_a_prediction() {
    let place = Workplace::new();
    place.edit_both(|columns| {
        for [one, many] in [["pt", "pts"], ["mass", "masses"], ["weight", "weights"]] {
            let numbers = columns.numbers(one);
            columns.set(many, lists(&numbers));
        }
    });
    let of_lists = [
        "data.define={ last = 'len(pts) - 1', heavy = 'masses[masses > 0.7]' }",
        "data.source.weight='weights[1]'",
        "data.target.weight='max(weights)'",
        "features.inputs=['pts[last]', 'eta']",
        "regions.cr.selection='len(heavy) == 0'",
        "regions.sr.selection='any(masses > 0.7)'",
    ];
    let streamed = ["data.stream.window=64"];
    for (number, more) in [&[][..], &streamed[..]].into_iter().enumerate() {
        let with_lists = [&of_lists[..], more].concat();
        let predicted = [more, &with_lists[..]].map(|settings| {
            let run = format!("{}-{number}", settings.len());
            place.run(&run, settings).exits(0);
            let out = format!("{run}.parquet");
            place.predict(&run, "target.parquet", &out);
            let table = place.events(&out);
            ["weight", "member_0000", "member_0001"].map(|name| table.numbers(name))
        });
        assert_eq!(predicted[0], predicted[1], "{more:?}");
    }
    let list = "features.inputs=['pts', 'eta']";
    place.refuses(&[list], &["features.inputs", "`max(pts)`"]);
    let unequal = "regions.cr.selection='any(pts > masses[masses > 0.7])'";
    let done = place.plan(&[unequal]).fails();
    done.warns([
        "`pts`",
        "`masses[masses > 0.7]`",
        "on row ",
        "source.parquet",
    ]);
}

#[test]
fn inspect_lists_every_column() {
    let place = Workplace::with_events(20);
    place.edit("source.parquet", |columns| {
        let numbers = columns.numbers("pt");
        columns.set("pts", lists(&numbers));
        let names = (0..20).map(|row| format!("{row}"));
        columns.set("name", Arc::new(StringArray::from_iter_values(names)));
    });
    let seen = place.sideband(&["inspect", "source.parquet", "--json"]);
    let seen = seen.exits(0).json();
    let columns = seen["columns"].as_array().unwrap();
    let pts = columns.iter().find(|column| column["name"] == "pts");
    let lengths = &pts.unwrap()["lengths"];
    assert_eq!(
        (&lengths["min"], &lengths["elements"]),
        (&2.into(), &40.into())
    );
    assert_eq!(seen["unusable"][0]["name"], "name");
    let done = place.sideband(&["inspect", "source.parquet"]).exits(0);
    done.says(["shortest", "Utf8", "it holds text; write a number for each"]);
}

#[test]
fn events_whose_region_is_null_are_counted() {
    let mut columns = reweighting(1, 0, 200, 0.0);
    let (mass, weights) = (columns.numbers("mass"), columns.numbers("weight"));
    let flags = mass.iter().enumerate();
    let flags = flags.map(|(row, m)| (row % 4 != 0).then_some(*m > 0.7));
    columns.set("sr", Arc::new(flags.collect::<BooleanArray>()));
    let Events {
        dataset, resolver, ..
    } = &Events::of(&columns);
    let named = |name: &str, text: &str| (name.to_owned(), resolver.compile(text).unwrap());
    let request = ScanRequest {
        flags: vec![named("signal", "sr == 1"), named("control", "!sr")],
        require_any_flag: true,
        weight: Some(resolver.compile("weight").unwrap()),
        ..ScanRequest::new(Hidden::nothing())
    };
    let table = dataset.scan(&request, None).unwrap();
    assert_eq!(table.len(), 150);
    let lost: f64 = weights.iter().step_by(4).sum();
    let losses = &table.report.losses;
    let names: Vec<&str> = losses.iter().map(|loss| loss.name.as_str()).collect();
    assert_eq!(names, ["signal", "control"]);
    for loss in losses {
        assert_eq!((loss.kind, loss.events), (LossKind::Region, 50));
        let off = (loss.weight - lost).abs();
        assert!(off < 1e-9 * lost, "{} {lost}", loss.weight);
    }
    // a condition on blinding that has no value hides the row, from every count
    let request = ScanRequest::new(Hidden::rejected(vec![resolver.compile("sr").unwrap()]));
    let table = dataset.scan(&request, None).unwrap();
    assert!(table.report.losses.is_empty());
    assert_eq!(table.report.rows_read, table.len() as u64);
    let open = mass.iter().enumerate();
    let open = open.filter(|(row, m)| row % 4 != 0 && **m <= 0.7).count();
    assert_eq!(table.len(), open);
}

/// One name means one thing in observed and in sampled events.
#[test]
fn a_name_with_two_meanings_is_refused() {
    let place = Workplace::interpolation();
    let twice = [
        "data.define.sum='pt + 1'",
        "interpolation.derived.sum='pt + 2'",
    ];
    place.refuses(&twice, &["the same as data.define.sum"]);
    let column = "interpolation.derived.m1='1'";
    place.refuses(&[column], &["interpolation.derived.m1"]);
    let place = Workplace::with_events(120);
    let twice = "data.define={ twice = '2 * mass' }";
    let mass = "report.variables=[{ name = 'mass', expression = '2 * mass', bins = 4 }]";
    place.refuses(&[mass], &["`mass`"]);
    let other = "report.variables=[{ name = 'twice', expression = 'mass', bins = 4 }]";
    place.refuses(&[twice, other], &["`twice`"]);
}

#[test]
fn a_built_in_column_is_computed_for_both_samples_or_read_from_both() {
    let trained = "regions.cr.selection=x_hh >= 0";
    for (source, target) in [(true, false), (false, true), (true, true), (false, false)] {
        let place = Workplace::with_events(120);
        for (file, is_stored) in [("source.parquet", source), ("target.parquet", target)] {
            place.edit(file, |columns| {
                let mass = columns.numbers("mass");
                for name in ["m_h1", "m_h2"] {
                    columns.set(name, doubles(mass.iter().map(|m| 100.0 + 50.0 * m)));
                }
                if is_stored {
                    columns.set("x_hh", columns.get("mass").clone());
                }
            });
        }
        let done = place.plan(&[trained, "regions.sr.selection=in_sr"]);
        if source == target {
            done.exits(0);
        } else {
            done.exits(3).warns(["`x_hh` is a column of the"]);
        }
    }
}

/// The mass plane's columns, and `x_hh` as a column of its own where asked for.
fn with_masses(columns: &mut Columns, has_x_hh: bool) {
    let mass = columns.numbers("mass");
    for name in ["m_h1", "m_h2"] {
        columns.set(name, doubles(mass.iter().map(|m| 100.0 + 50.0 * m)));
    }
    if has_x_hh {
        columns.set("x_hh", columns.get("mass").clone());
    }
}

#[test]
fn a_built_in_column_means_the_same_where_a_run_is_applied() {
    for is_stored in [false, true] {
        let place = Workplace::with_events(120);
        place.edit_both(|columns| with_masses(columns, is_stored));
        let inputs = "features.inputs=[\"x_hh\", \"eta\"]";
        place.run("out", &[inputs]).exits(0);
        place.predict("out", "source.parquet", "p.parquet");
        place.edit("source.parquet", |columns| match is_stored {
            true => columns.drop(&["x_hh"]),
            false => with_masses(columns, true),
        });
        let predict = ["predict", "out", "source.parquet", "--out", "q.parquet"];
        let said = match is_stored {
            true => "no column `x_hh`, which the run's files have",
            false => "`x_hh` is a column of these files and was computed in the run",
        };
        place.sideband(&predict).exits(4).warns([said]);
    }
}

#[test]
fn a_built_in_column_means_the_same_in_all_samples_of_a_measurement() {
    let inputs = "features.inputs=[\"x_hh\"]";
    for without in ["S.parquet", "B.parquet", "obs.parquet"] {
        let place = Workplace::measurement(2, 1200, [60.0, 400.0], [60.0, 400.0]);
        for file in ["S.parquet", "B.parquet", "obs.parquet"] {
            place.edit(file, |columns| {
                columns.set("mass", columns.get("x").clone());
                with_masses(columns, file != without);
            });
        }
        let done = place.run("out", &[inputs]).exits(3);
        done.warns(["`x_hh` is a column of the files of", "is computed for"]);
        assert!(!place.has("out/measurement.json"), "{without}");
    }
}
