mod lists;

use super::grammar::MAX_DEPTH;
use super::*;
use crate::random::SplitMix64;

fn value(text: &str, variables: &[(&str, f64)]) -> f64 {
    let expression = Expression::parse(text).unwrap();
    let find = |name: &String| variables.iter().find(|(known, _)| known == name).unwrap().1;
    let values: Vec<f64> = expression.variables().iter().map(find).collect();
    expression.eval(&values)
}

#[test]
fn precedence_and_associativity() {
    let letters = [("a", 7.0), ("b", 2.0), ("c", 3.0), ("x", 3.0)];
    let v = [&letters[..], &[("min_x", 5.0), ("jet.pt", 4.0)]].concat();
    let table: &[(&str, f64)] = &[
        ("-x^2", -9.0),
        ("(-x)^2", 9.0),
        ("2^3^2", 512.0),
        ("2^-1", 0.5),
        ("-2^-2", -0.25),
        ("a - b - c", 2.0),
        ("a / b / c", 7.0 / 2.0 / 3.0),
        ("a - b * c + 1", 2.0),
        ("a % b * c", 3.0),
        ("!a && b", 0.0),
        ("!0 && b", 1.0),
        ("!(a && 0)", 1.0),
        ("!!a", 1.0),
        ("0 && 0 || 1", 1.0),
        ("1 || 0 && 0", 1.0),
        ("a == 7 && b != 3", 1.0),
        ("1 + 1 == 2", 1.0),
        ("1 < 2 == 1", 1.0),
        ("a > b && c <= 3 && b >= 2", 1.0),
        ("- - a", 7.0),
        ("+a - +b", 5.0),
        ("-a + b", -5.0),
        ("-(a + b) * c", -27.0),
        ("b * -c", -6.0),
        ("min(max(a, b), c)", 3.0),
        ("max(min(a, b), min(c, 1)) + min(a, max(b, c))", 5.0),
        ("-min(a, b)^2", -4.0),
        ("hypot(c, 4)", 5.0),
        ("atan2(1, 0) * 2 / pi", 1.0),
        ("sign(-a) + sign(0)", -1.0),
        ("round(2.5) + floor(2.5) + ceil(2.5)", 8.0),
        ("log(exp(2)) + log10(100) + log2(8)", 7.0),
        ("sqrt(abs(-a - b))", 3.0),
        ("1.5e-3 * 1E3", 1.5),
        (".5 + 2.", 2.5),
        ("min_x - {min_x} + jet.pt", 4.0),
        ("a-1", 6.0),
        ("2e0-3", -1.0),
        ("asinh(sinh(1)) + tanh(0)", 1.0),
    ];
    for &(text, expected) in table {
        let got = value(text, &v);
        let error = (got - expected).abs();
        assert!(error < 1e-12, "{text}: {got}, expected {expected}");
    }
}

#[test]
fn ieee_values_and_comparisons_with_nan() {
    let nan = [("n", f64::NAN)];
    assert_eq!(value("1 / 0", &[]), f64::INFINITY);
    assert!(value("log(-1)", &[]).is_nan());
    for text in [
        "n < 1", "n >= 1", "n == n", "n != n", "n != 1", "n && 1", "n || 0",
    ] {
        assert_eq!(value(text, &nan), 0.0, "{text}");
    }
    assert!(value("min(n, 1)", &nan).is_nan());
    assert!(value("1 + 0 * n", &nan).is_nan());
}

#[test]
fn chunks_and_single_rows_agree_and_columns_stay_untouched() {
    let expression = Expression::parse("(a - b) * (a - b) / max(a, 2) - -b^2 + (b > 1)").unwrap();
    let a = vec![1.0, 2.5, -3.0, f64::NAN];
    let b = vec![0.5, 1.5, 4.0, 1.0];
    let lanes = [a.clone(), b.clone()].map(|values| Lane::real(values, None));
    let out = expression.evaluate(&lanes).unwrap().into_rows(4).unwrap();
    for i in 0..4 {
        assert_eq!(out[i].to_bits(), expression.eval(&[a[i], b[i]]).to_bits());
    }
    assert_eq!(*lanes[1].clone().into_rows(4).unwrap(), b);
}

/// Random expressions, evaluated by a direct recursion while they are written.
#[test]
fn random_expressions_agree_with_direct_evaluation() {
    // Returns the text, its value, its precedence level (9 = atom), and whether it is
    // an integer, which has no -0.
    type Written = (String, f64, u8, bool);
    fn write(random: &mut SplitMix64, depth: u32) -> Written {
        let wrap = |(text, value, level, whole): Written, least: u8| {
            if level < least {
                (format!("({text})"), value, whole)
            } else {
                (text, value, whole)
            }
        };
        let zero = |value: f64, whole: bool| if whole { value + 0.0 } else { value };
        let pick = if depth == 0 { 0 } else { random.bits() % 10 };
        match pick {
            0 | 1 => match random.bits() % 3 {
                0 => ("x".into(), 1.5, 9, false),
                1 => ("y".into(), -0.75, 9, false),
                _ => {
                    let n = (random.bits() % 9) as f64 / 2.0;
                    (format!("{n}"), n, 9, n.fract() == 0.0)
                }
            },
            2 => {
                let (text, value, whole) = wrap(write(random, depth - 1), 7);
                (format!("-{text}"), zero(-value, whole), 7, whole)
            }
            3 => {
                let (a, x, _, p) = write(random, depth - 1);
                let (b, y, _, q) = write(random, depth - 1);
                let is_nan = x.is_nan() || y.is_nan();
                let least = if is_nan { f64::NAN } else { x.min(y) };
                (format!("min({a}, {b})"), least, 9, p && q)
            }
            4 => {
                let (a, x, _, whole) = write(random, depth - 1);
                (format!("abs({a})"), x.abs(), 9, whole)
            }
            5 => {
                let (a, x, _) = wrap(write(random, depth - 1), 9);
                (format!("{a}^2"), x * x, 8, false)
            }
            _ => {
                let levels = [5, 5, 6, 6, 4, 2, 1];
                let symbols = ["+", "-", "*", "/", "<", "&&", "||"];
                let number = (random.bits() % 7) as usize;
                let (symbol, level) = (symbols[number], levels[number]);
                let least_left = if level == 4 { 5 } else { level };
                let (a, x, p) = wrap(write(random, depth - 1), least_left);
                let (b, y, q) = wrap(write(random, depth - 1), level + 1);
                let truth = |c: bool| f64::from(u8::from(c));
                let whole = p && q;
                match symbol {
                    "+" => (format!("{a} + {b}"), x + y, level, whole),
                    "-" => (format!("{a} - {b}"), x - y, level, whole),
                    "*" => (format!("{a} * {b}"), zero(x * y, whole), level, whole),
                    "/" => (format!("{a} / {b}"), x / y, level, false),
                    "<" => (format!("{a} < {b}"), truth(x < y), level, true),
                    "&&" => {
                        let both = is_true(x) && is_true(y);
                        (format!("{a} && {b}"), truth(both), level, true)
                    }
                    _ => {
                        let any = is_true(x) || is_true(y);
                        (format!("{a} || {b}"), truth(any), level, true)
                    }
                }
            }
        }
    }
    let mut random = SplitMix64(7);
    for _ in 0..3000 {
        let (text, expected, ..) = write(&mut random, 6);
        if text.len() > MAX_LENGTH {
            continue;
        }
        let got = value(&text, &[("x", 1.5), ("y", -0.75)]);
        let equal = got == expected || (got.is_nan() && expected.is_nan());
        assert!(equal, "{text}: {got}, expected {expected}");
    }
}

#[test]
fn errors_point_at_their_place() {
    let table: &[(&str, &str, &str)] = &[
        ("", "empty", ""),
        ("  ", "empty", "  "),
        ("sqt(x)", "did you mean `sqrt`", "sqt"),
        ("ln(x)", "`log`", "ln"),
        ("zzz(x)", "there are: log", "zzz"),
        ("(a + b", "never closed", "("),
        ("a + b)", "has no `(`", ")"),
        ("a +", "missing after `+`", ""),
        ("* a", "missing at the start", "*"),
        ("a + * b", "missing after `+`", "*"),
        ("()", "missing after `(`", ")"),
        ("a # b", "unexpected character `#`", "#"),
        ("a = 1", "write `==`", "="),
        ("a & b", "write `&&`", "&"),
        ("a | b", "write `||`", "|"),
        ("a and b", "write `&&`", "and"),
        ("a OR b", "write `||`", "OR"),
        ("not a", "write `!`", "not"),
        ("a ** 2", "write `^`", "**"),
        ("a => 2", "write `>=`", "=>"),
        ("a b", "operator is missing before `b`", "b"),
        ("2 x", "operator is missing before `x`", "x"),
        ("2x + 1", "neither a number nor a name", "2x"),
        ("1.2.3", "neither a number nor a name", "1.2.3"),
        ("1e999", "too large", "1e999"),
        (".", "not a number", "."),
        ("50 < m < 200", "cannot be chained", "<"),
        ("hypot(a)", "takes 2 arguments, found 1", "hypot(a)"),
        ("max(a, b, c)", "takes 2 arguments", ","),
        ("sum(a, b)", "takes 1 argument", ","),
        ("mean(a)", "write `sum(x) / len(x)`", "mean"),
        ("a[", "missing after `[`", ""),
        ("a[]", "missing after `[`", "]"),
        ("a[0", "`[` is never closed", "["),
        ("a[(0]", "`(` is never closed", "("),
        ("a[0, 1]", "a comma only", ","),
        ("a 0]", "operator is missing before `0`", "0"),
        ("a]", "has no `[`", "]"),
        ("[0]", "missing at the start", "["),
        ("abs(a, b)", "takes 1 argument", ","),
        ("a, b", "a comma only", ","),
        ("log x", "in parentheses", "log"),
        ("{a", "no closing", "{"),
        ("{}", "no closing", "{"),
        ("µ² + 1", "unexpected character `²`", "²"),
        ("pt > 3 && 🦀", "unexpected character", "🦀"),
    ];
    for &(text, message, place) in table {
        let error = Expression::parse(text).unwrap_err();
        assert!(error.message.contains(message), "{text}: {}", error.message);
        assert_eq!(&text[error.span.clone()], place, "{text}: {error}");
        assert!(error.to_string().lines().count() == 3);
    }
}

#[test]
fn the_caret_stands_under_the_place() {
    let error = Expression::parse("é + sqt(x)\n+ 1").unwrap_err();
    let expected = "unknown function `sqt`; did you mean `sqrt`?\n    é + sqt(x) + 1\n        ^^^";
    assert_eq!(error.to_string(), expected);
    let long = format!("{} + nope(1)", vec!["a"; 500].join(" + "));
    let shown = Expression::parse(&long).unwrap_err().to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].len() < 140);
    assert_eq!(lines[1].find("nope"), lines[2].find('^'));
}

#[test]
fn unknown_columns_name_the_nearest() {
    let expression = Expression::parse("log(m_hh1) > 3").unwrap();
    let error = ExpressionError::unknown_column(&expression, "m_hh1", ["pt", "m_h1", "eta"]);
    let message = "there is no column `m_hh1`; did you mean `m_h1`?";
    assert_eq!(error.message, message);
    assert_eq!(error.span, 4..9);
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = |n: usize| format!("{}x{}", "(".repeat(n), ")".repeat(n));
    assert!(Expression::parse(&deep(MAX_DEPTH)).is_ok());
    let complaint = |text: &str| Expression::parse(text).unwrap_err().message;
    let signs = format!("{}x", "-".repeat(4000));
    let powers = "2^".repeat(2000) + "2";
    let brackets = "x[".repeat(1000) + "0";
    for text in [deep(MAX_DEPTH + 1), deep(2000), signs, powers, brackets] {
        assert!(complaint(&text).contains("nested"));
    }
    let long = vec!["a"; 2048].join("+");
    assert_eq!(Expression::parse(&long).unwrap().eval(&[1.0]), 2048.0);
    assert!(complaint(&(long + "+a+a")).contains("at most 4096"));
}

#[test]
fn is_shared_between_threads() {
    fn check<T: Send + Sync + Clone>() {}
    check::<Expression>();
}

#[test]
fn a_wrong_number_of_values_is_nan() {
    assert!(Expression::parse("a + b").unwrap().eval(&[1.0]).is_nan());
}

fn whole(values: &[i64]) -> Lane {
    Lane::wide(values.iter().map(|&x| i128::from(x)).collect(), None)
}

#[test]
fn integers_are_exact_or_refused_with_their_row() {
    const BIG: i64 = (1 << 60) + 7;
    let of = |text: &str| {
        let expression = Expression::parse(text).unwrap();
        let columns = [whole(&[2, BIG, -BIG]), Lane::real(vec![0.5; 3], None)];
        let lanes = expression.variables().iter();
        let lanes = lanes.map(|name| columns[usize::from(name == "f")].clone());
        let lanes: Vec<Lane> = lanes.collect();
        let lane = expression.evaluate(&lanes).map_err(|fault| fault.unwrap());
        lane.map(|lane| lane.into_rows(3).unwrap().to_vec())
    };
    assert_eq!(of("n % 2").unwrap(), [0.0, 1.0, -1.0]);
    assert_eq!(of("n == 1152921504606846983").unwrap(), [0.0, 1.0, 0.0]);
    assert_eq!(of("n * n - n * n + (n > f)").unwrap(), [1.0, 1.0, 0.0]);
    assert_eq!(of("-n + n").unwrap(), [0.0; 3]);
    assert_eq!(of("min(n, 3) - max(-n, -3) == 6").unwrap(), [0.0, 1.0, 0.0]);
    assert_eq!(of("abs(n) - n * sign(n)").unwrap(), [0.0; 3]);
    assert_eq!(of("!n").unwrap(), [0.0; 3]);
    // 2^53 + 1 as a product, which a bound in `f64` would take for 2^53
    assert_eq!(
        of("(n > 0) * 321 * 28059810762433 == 9007199254740993").unwrap(),
        [1.0, 1.0, 0.0]
    );
    let problem = |text: &str| of(text).unwrap_err();
    for (text, second, operand) in [
        ("f + n", true, "n"),
        ("sqrt(n)", false, "n"),
        ("(n + 1) / 2", false, "n + 1"),
        ("f * 9007199254740993", true, "9007199254740993"),
    ] {
        let fault = problem(text);
        let Problem::Inexact {
            second: found, row, ..
        } = fault.problem
        else {
            panic!("{text}: {fault:?}");
        };
        assert_eq!(found, second, "{text}");
        assert_eq!(row.is_some(), text.contains('n'), "{text}");
        let expression = Expression::parse(text).unwrap();
        let (span, _) = expression.operand_of(&fault, second);
        assert_eq!(&text[span], operand);
    }
    let overflow = problem("n * n * n");
    assert_eq!(overflow.problem, Problem::Overflow { row: Some(1) });
}

#[test]
fn integers_and_floats_compare_without_rounding() {
    const LIMIT: i128 = 1 << 53;
    let (limit, infinity) = (LIMIT as f64, f64::INFINITY);
    let floats = [
        -infinity, -1e39, -2.5, -2.0, 0.0, 0.5, limit, 1e39, infinity,
    ];
    let small = [i128::MIN, -3, -2, 0, 1];
    let integers = [&small[..], &[LIMIT - 1, LIMIT, LIMIT + 1, i128::MAX]].concat();
    // Twice the number, as a fraction of integers; beyond i128 by sign.
    let less = |x: i128, y: f64| match y {
        y if y.abs() >= 2.0_f64.powi(126) => y > 0.0,
        y => x.checked_mul(2).map_or(x < 0, |x| x < (2.0 * y) as i128),
    };
    for x in integers {
        for y in floats {
            let order = Number::Integer(x).order(Number::Real(y)).unwrap();
            assert_eq!(order.is_lt(), less(x, y), "{x} {y}");
            let other = Number::Real(y).order(Number::Integer(x)).unwrap();
            assert_eq!(order.reverse(), other);
        }
        assert_eq!(Number::Integer(x).order(Number::Real(f64::NAN)), None);
    }
}

#[test]
fn integers_that_do_not_fit_are_refused_as_they_are_written() {
    let digits = "1".repeat(40);
    let error = Expression::parse(&format!("x < {digits}")).unwrap_err();
    assert!(error.message.contains("too large to be exact"), "{error}");
    assert_eq!(value(&format!("x < {digits}."), &[("x", 1.0)]), 1.0);
}

#[test]
fn outer_functions_of_lists_are_found_with_what_they_are_of() {
    let text = "a * sum((b + c) * a) / max( {x y} ) + max(len(d[count(e)]), f)";
    let expression = Expression::parse(text).unwrap();
    let found = expression.outer_folds().into_iter().map(|outer| {
        let [whole, of] = [outer.span, outer.of].map(|span| &text[span]);
        (outer.fold, whole, of, outer.variables.join(" "))
    });
    let names = str::to_owned;
    let expected = [
        (Fold::Sum, "sum((b + c) * a)", "(b + c) * a", names("b c a")),
        (Fold::Max, "max( {x y} )", "{x y}", names("x y")),
        (Fold::Len, "len(d[count(e)])", "d[count(e)]", names("d e")),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
