//! The factor on the weights of a sample, as a text: one number, of constants and of what
//! other trees of the same files add up to, `xsec * lumi / sum(Runs.genEventSumw)`.
//!
//! `TREE.COLUMN` has a value for every row of a tree, in all files; inside of `sum`, `min`,
//! `max`, `len`, `count`, `any` and `all` an expression of such columns is computed a part of
//! the rows at a time, so that trees may be of any length.

use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

use super::chunk::{ColumnChunk, ColumnInfo, to_column};
use super::dataset::Dataset;
use super::definitions::Resolver;
use indexmap::IndexMap;
use sideband_numerics::expression::{
    Binary, Column, Expression, ExpressionError, Fold, OuterFold, Shape, Value as _, written,
};

/// What a scale may be made of.
const ALLOWED: &str = "a scale is one number for all events: of numbers, definitions without \
                       columns, and sum, min, max, len, count, any or all of columns of a tree, \
                       as in `sum(Runs.genEventSumw)`";

/// A scale, with the numbers of the trees by their text.
pub(crate) struct Scale<'a> {
    expression: Expression,
    definitions: &'a IndexMap<String, String>,
    folds: Vec<(TreeFold, String)>,
}

/// One number of all rows of a tree.
struct TreeFold {
    tree: String,
    fold: OuterFold,
    /// Adds what is found in further rows.
    joins: Binary,
}

/// The tree of a column's name.
fn tree_of(name: &str) -> Option<&str> {
    let (tree, column) = name.split_once('.')?;
    (!tree.is_empty() && !column.is_empty()).then_some(tree)
}

/// What joins the numbers of two parts of a tree.
fn joins(fold: Fold) -> Option<Binary> {
    match fold {
        Fold::Sum | Fold::Len | Fold::Count => Some(Binary::Add),
        Fold::Min => Some(Binary::Min),
        Fold::Max => Some(Binary::Max),
        Fold::Any => Some(Binary::Or),
        Fold::All => Some(Binary::And),
        Fold::ArgMin | Fold::ArgMax => None,
    }
}

impl<'a> Scale<'a> {
    /// Checks what a text is made of; no file is opened.
    pub(crate) fn new(text: &str, definitions: &'a IndexMap<String, String>) -> Result<Self> {
        let wrong = |error: ExpressionError| Error::config(error.to_string());
        let expression = Expression::parse(text).map_err(wrong)?;
        let mut folds = Vec::new();
        for fold in expression.outer_folds() {
            let mut trees = fold.variables.iter().filter_map(|name| tree_of(name));
            let Some(tree) = trees.next().map(str::to_owned) else {
                continue;
            };
            let refuse = |message: String| {
                let (text, span) = (expression.text(), fold.span.clone());
                Err(wrong(ExpressionError::at(text, span, message)))
            };
            if let Some(other) = trees.find(|other| *other != tree) {
                let message = format!(
                    "it has columns of the trees `{tree}` and `{other}`, whose rows do not belong \
                     together: write a function for each"
                );
                return refuse(message);
            }
            let Some(joins) = joins(fold.fold) else {
                return refuse(format!("the place of a row is no scale: {ALLOWED}"));
            };
            let name: String = expression.text()[fold.span.clone()]
                .chars()
                .filter(|c| !['{', '}'].contains(c))
                .collect();
            folds.push((TreeFold { tree, fold, joins }, name));
        }
        let scale = Self {
            expression,
            definitions,
            folds,
        };
        scale.check_names()?;
        Ok(scale)
    }

    /// Whether it depends on what is in the files.
    pub(crate) fn reads_files(&self) -> bool {
        !self.folds.is_empty()
    }

    /// Whether every name is that of a constant, or in a function of a tree.
    fn check_names(&self) -> Result<()> {
        let constants = Resolver::new(&[], self.definitions)?;
        let outer = self.outer()?;
        let in_folds = self.folds.iter().flat_map(|(own, _)| &own.fold.variables);
        let in_folds = in_folds.filter(|name| tree_of(name).is_none());
        let is_fold = |name: &String| self.folds.iter().any(|(_, own)| own == name);
        let outside = outer.variables().iter().filter(|name| !is_fold(name));
        for name in outside.chain(in_folds) {
            let message = match tree_of(name) {
                Some(tree) => format!(
                    "`{name}` has a value for every row of the tree `{tree}`: write `sum({})` or \
                     the like",
                    written(name)
                ),
                None if constants.compile(&written(name)).is_ok() => continue,
                None if self.definitions.contains_key(name) => format!(
                    "the definition `{name}` rests on columns, which have a value for every \
                     event: {ALLOWED}"
                ),
                None => format!("`{name}` is no definition in `data.define`: {ALLOWED}"),
            };
            let error = ExpressionError::about_variable(&self.expression, name, message);
            return Err(Error::config(error.to_string()));
        }
        Ok(())
    }

    /// The expression with a name in the place of every function of a tree.
    fn outer(&self) -> Result<Expression> {
        let mut text = self.expression.text().to_owned();
        for (own, name) in self.folds.iter().rev() {
            text.replace_range(own.fold.span.clone(), &format!("{{{name}}}"));
        }
        Expression::parse(&text).map_err(|error| Error::config(error.to_string()))
    }

    /// Its value for the events of a sample: a finite number above 0.
    pub(crate) fn value(&self, sample: &Dataset) -> Result<f64> {
        let mut found = BTreeMap::new();
        for (own, name) in &self.folds {
            if !found.contains_key(name) {
                found.insert(name.clone(), self.fold(own, sample)?);
            }
        }
        let columns = found.keys().map(|name| ColumnInfo {
            name: name.clone(),
            type_name: "Float64".to_owned(),
            shape: Ok(Shape::NUMBER),
        });
        let columns: Vec<ColumnInfo> = columns.collect();
        let resolver = Resolver::new(&columns, self.definitions)?;
        let mut chunk = ColumnChunk::new(1);
        for (name, column) in found {
            chunk.insert_column(name, column);
        }
        let number = |text: &str| -> Result<f64> {
            let values = resolver.compile(text)?.eval_chunk(&chunk)?;
            Ok(values.first().copied().unwrap_or(f64::NAN))
        };
        let value = number(self.outer()?.text())?;
        if value.is_finite() && value > 0.0 {
            return Ok(value);
        }
        let mut parts = Vec::new();
        for ColumnInfo { name, .. } in &columns {
            parts.push(format!("{name} = {}", number(&format!("{{{name}}}"))?));
        }
        let with = if parts.is_empty() { "" } else { ", with " };
        Err(Error::data(format!(
            "`{}` is {value}{with}{}; a factor on weights is a finite number above 0",
            self.expression.text(),
            parts.join(", ")
        )))
    }

    /// One number of all rows of a tree of the sample's files; parts that are read one after
    /// the other are joined.
    fn fold(&self, own: &TreeFold, sample: &Dataset) -> Result<Column> {
        let TreeFold { tree, fold, joins } = own;
        let rows = sample.tree(tree)?;
        let name = |column: &str| format!("{tree}.{column}");
        let columns = rows.columns().iter().map(|column| ColumnInfo {
            name: name(&column.name),
            ..column.clone()
        });
        let columns: Vec<ColumnInfo> = columns.collect();
        let text = &self.expression.text()[fold.of.clone()];
        let compiled = Resolver::new(&columns, self.definitions)?.compile(text)?;
        let wanted = compiled.columns().iter();
        let wanted = wanted.filter_map(|name| name.strip_prefix(tree)?.strip_prefix('.'));
        let wanted: BTreeSet<&str> = wanted.collect();
        let mut joined: Option<Column> = None;
        rows.read_columns(&wanted, |file, batch, first_row| {
            let mut chunk = ColumnChunk::of_file(&file.path, first_row, batch.num_rows());
            let schema = batch.schema();
            for (field, array) in schema.fields().iter().zip(batch.columns()) {
                let column = to_column(array);
                let column = column.map_err(|text| file.corrupt(field.name(), text))?;
                chunk.insert_column(name(field.name()), column);
            }
            let part = compiled.fold_chunk(fold.fold, &chunk)?;
            joined = Some(match joined.take() {
                None => part,
                Some(before) => Column::binary(*joins, before, part)
                    .map_err(|problem| compiled.refused(&chunk, problem))?,
            });
            Ok(())
        })?;
        joined.ok_or_else(|| Error::data(format!("the tree `{tree}` has no rows")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::path::Path;

    /// The value for files of `tests/data/root`, or what is wrong.
    fn value(text: &str, files: &[&str]) -> Result<f64, String> {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/root");
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let sample = Dataset::open(&files, &base).unwrap();
        let definitions = [
            ("xsec", "2 * half_lumi"),
            ("half_lumi", "30.0"),
            ("ht", "pt + 1"),
            ("summed", "sum(Runs.genEventSumw)"),
        ];
        let definitions = definitions.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let definitions = IndexMap::from(definitions);
        let scale = Scale::new(text, &definitions).map_err(|error| error.to_string())?;
        scale.value(&sample).map_err(|error| error.to_string())
    }

    /// `Runs` of the two files: genEventSumw 150.5, 249.25 and -99.75, genEventCount 300, 500
    /// and 2^53, first of LHEScaleSumw 0.5, 0.5 and 1.5.
    #[test]
    fn numbers_of_a_tree_are_those_of_all_files() {
        let both = ["nano_*.root:Events"];
        for (text, expected) in [
            ("0.25", 0.25),
            ("xsec * half_lumi", 1800.0),
            ("xsec / sum(Runs.genEventSumw)", 60.0 / 300.0),
            ("max(Runs.genEventSumw)", 249.25),
            ("-min(Runs.genEventSumw)", 99.75),
            ("len(Runs.run) + count(Runs.genEventSumw > half_lumi)", 5.0),
            (
                "any(Runs.genEventCount > 400) + all(Runs.genEventSumw > 0)",
                1.0,
            ),
            ("max(sum(Runs.run), 2.5)", 3.0),
            ("sum(Runs.LHEScaleSumw[0])", 2.5),
            ("sum(Runs.genEventSumw * {Runs.LHEScaleSumw}[0])", 50.25),
            ("sum(max(Runs.LHEScaleSumw))", 6.0),
            ("sum(Runs.run) / sum(Runs.run)", 1.0),
            // exact where f64 is not
            ("sum(Runs.genEventCount + 1) - 9007199254740992", 803.0),
            ("len(Events.pt)", 800.0),
            ("sum(Events.genWeight)", 878.0),
        ] {
            assert_eq!(value(text, &both), Ok(expected), "{text}");
        }
        let sum = "sum(Runs.genEventSumw)";
        assert_eq!(value(sum, &["nano_1.root:Events"]), Ok(399.75));
        let none = IndexMap::new();
        assert!(Scale::new(sum, &none).unwrap().reads_files());
        assert!(!Scale::new("2 * 3", &none).unwrap().reads_files());
        // each file counts once, and one may have further columns
        let twice = ["nano_1.root:Events", "nano_1.root:Runs"];
        assert_eq!(value(sum, &twice[..1]), value(sum, &twice));
        // more rows than are read at once
        let long = "sum(Events.step) + len(Events.step)";
        assert_eq!(value(long, &["blocks_zlib.root"]), Ok(4.4e6));
        let other = ["nano_1.root:Runs", "folders.root:Runs"];
        assert_eq!(value(sum, &other), Ok(430.5));
    }

    #[test]
    fn what_is_no_scale_is_refused_with_what_one_may_be() {
        let both = ["nano_*.root:Events"];
        for (text, words) in [
            ("genWeight", "`genWeight` is no definition in `data.define`"),
            ("xsec * pt", "sum(Runs.genEventSumw)"),
            ("x_hh", "`x_hh` is no definition"),
            ("ht", "the definition `ht` rests on columns"),
            ("summed", "the definition `summed` rests on columns"),
            ("Runs.genEventSumw", "write `sum(Runs.genEventSumw)`"),
            ("1 / Runs.run[0]", "write `sum(Runs.run)`"),
            ("sum(Runs.genEventSumw * pt)", "`pt` is no definition"),
            ("sum(Runs.run * Events.pt)", "trees `Runs` and `Events`"),
            ("argmax(Runs.run)", "the place of a row is no scale"),
            ("sum(xsec)", "`xsec` is a number"),
            ("sum(max(Runs.run))", "`Runs.run` is a number"),
            ("sum(Runs.LHEScaleSumw)", "a number is needed"),
            ("sum(Runs.genEventSum)", "did you mean `Runs.genEventSumw`?"),
            ("sum(Rums.run)", "no tree `Rums`; there is Events, "),
            ("sum(Runs.run", "never closed"),
            (
                "sum(Runs.run) - 3",
                "`sum(Runs.run) - 3` is 0, with sum(Runs.run) = 3; a factor",
            ),
            (
                "-xsec",
                "`-xsec` is -60; a factor on weights is a finite number above 0",
            ),
            ("xsec / 0", "is inf"),
            ("log(-xsec)", "is NaN"),
        ] {
            let error = value(text, &both).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        let error = value("sum(Extra.x) + 0 * sum(Runs.run)", &both).unwrap_err();
        assert!(error.contains("nano_2.root: no tree `Extra`"), "{error}");
        let files = ["../collisions/qcd_2b.parquet"];
        let error = value("sum(Runs.run)", &files).unwrap_err();
        assert!(error.contains("it is no ROOT file"), "{error}");
        let files = ["folders.root:Runs", "nano_1.root:Events"];
        let error = value("sum(Runs.genEventCount)", &files).unwrap_err();
        assert!(error.contains("`Runs.genEventCount`"), "{error}");
    }
}
