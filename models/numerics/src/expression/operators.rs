//! What an expression can compute with: one table of operators and functions, read
//! by the grammar and by every kind of value.

/// An operator or a function of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Unary {
    Negative,
    Not,
    Log,
    Log10,
    Log2,
    Exp,
    Sqrt,
    Abs,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Floor,
    Ceil,
    Round,
    Sign,
}

/// An operator or a function of two arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    LessEqual,
    GreaterEqual,
    Less,
    Greater,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
    Min,
    Max,
    Atan2,
    Hypot,
}

/// An operator between two values; `level` is its precedence, loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) symbol: &'static str,
    pub(super) level: u8,
    pub(super) binary: Binary,
}

pub(super) const LEVEL_EQUALITY: u8 = 3;
pub(super) const LEVEL_ORDER: u8 = 4;
pub(super) const LEVEL_POWER: u8 = 7;

const fn operator(symbol: &'static str, level: u8, binary: Binary) -> Operator {
    Operator {
        symbol,
        level,
        binary,
    }
}

/// Every operator between two values, two-character symbols before their prefixes.
pub(super) const OPERATORS: [Operator; 14] = [
    operator("||", 1, Binary::Or),
    operator("&&", 2, Binary::And),
    operator("==", LEVEL_EQUALITY, Binary::Equal),
    operator("!=", LEVEL_EQUALITY, Binary::NotEqual),
    operator("<=", LEVEL_ORDER, Binary::LessEqual),
    operator(">=", LEVEL_ORDER, Binary::GreaterEqual),
    operator("<", LEVEL_ORDER, Binary::Less),
    operator(">", LEVEL_ORDER, Binary::Greater),
    operator("+", 5, Binary::Add),
    operator("-", 5, Binary::Subtract),
    operator("*", 6, Binary::Multiply),
    operator("/", 6, Binary::Divide),
    operator("%", 6, Binary::Remainder),
    operator("^", LEVEL_POWER, Binary::Power),
];

/// What a function computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    One(Unary),
    Two(Binary),
}

/// Each function: name, what it computes, what that means.
pub(super) const CALLS: [(&str, Call, &str); 24] = [
    ("log", Call::One(Unary::Log), "natural logarithm"),
    ("log10", Call::One(Unary::Log10), "logarithm to base 10"),
    ("log2", Call::One(Unary::Log2), "logarithm to base 2"),
    ("exp", Call::One(Unary::Exp), "exponential"),
    ("sqrt", Call::One(Unary::Sqrt), "square root"),
    ("abs", Call::One(Unary::Abs), "absolute value"),
    ("sin", Call::One(Unary::Sin), "sine"),
    ("cos", Call::One(Unary::Cos), "cosine"),
    ("tan", Call::One(Unary::Tan), "tangent"),
    ("asin", Call::One(Unary::Asin), "inverse sine"),
    ("acos", Call::One(Unary::Acos), "inverse cosine"),
    ("atan", Call::One(Unary::Atan), "inverse tangent"),
    ("sinh", Call::One(Unary::Sinh), "hyperbolic sine"),
    ("cosh", Call::One(Unary::Cosh), "hyperbolic cosine"),
    ("tanh", Call::One(Unary::Tanh), "hyperbolic tangent"),
    ("asinh", Call::One(Unary::Asinh), "inverse hyperbolic sine"),
    (
        "floor",
        Call::One(Unary::Floor),
        "largest integer not above",
    ),
    ("ceil", Call::One(Unary::Ceil), "smallest integer not below"),
    (
        "round",
        Call::One(Unary::Round),
        "nearest integer, halves away from zero",
    ),
    ("sign", Call::One(Unary::Sign), "-1, 0 or 1"),
    (
        "min",
        Call::Two(Binary::Min),
        "the smaller; NaN if either is",
    ),
    (
        "max",
        Call::Two(Binary::Max),
        "the larger; NaN if either is",
    ),
    (
        "atan2",
        Call::Two(Binary::Atan2),
        "angle of the point (second, first), y before x",
    ),
    ("hypot", Call::Two(Binary::Hypot), "sqrt(a^2 + b^2)"),
];

/// The table for readers: name, number of arguments, meaning.
pub(super) const FUNCTIONS: [(&str, usize, &str); CALLS.len()] = {
    let mut functions = [("", 0, ""); CALLS.len()];
    let mut i = 0;
    while i < CALLS.len() {
        let (name, call, meaning) = CALLS[i];
        functions[i] = (name, call.arguments(), meaning);
        i += 1;
    }
    functions
};

/// Names that stand for a number.
pub(super) const CONSTANTS: [(&str, f64); 1] = [("pi", std::f64::consts::PI)];

impl Call {
    pub(super) const fn arguments(self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Two(_) => 2,
        }
    }
}

/// The function of a name.
pub(super) fn call(name: &str) -> Option<Call> {
    let known = CALLS.iter().find(|(known, ..)| *known == name)?;
    Some(known.1)
}
