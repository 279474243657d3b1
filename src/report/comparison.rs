//! Regions and methods side by side: `comparison.json`, the same as CSV and LaTeX
//! tables, figures, and a section of the matrix's page.

use super::csv;
use super::figures::joined as title;
use super::heights::Heights;
use super::latex::escape;
use super::numbers::{decimals_of, fixed, joined, percent, significant, with_error};
use super::page::{PageFigure, Section, Table};
use super::plots::{figure, save_figures};
use crate::error::Result;
use crate::plot::{
    ExperimentLabel, MethodPrediction, Methods, Residual, ResidualRow, Residuals, Series,
};
use crate::results::{ComparisonMetrics, ComparisonRow, MethodMetrics, MissingError};
use crate::rundir::{Progress, RunDirectory};
use crate::settings::ReportConfig;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The methods in the order of the tables, with their names for people.
const METHODS: [(&str, &str); 3] = [
    ("reweighting", "Reweighting"),
    ("interpolation", "Interpolation"),
    ("abcd", "ABCD"),
];

fn present(comparison: &ComparisonMetrics) -> Vec<(&'static str, &'static str)> {
    let rows = comparison.rows.values();
    let has = |key: &str| rows.clone().any(|r| r.methods.contains_key(key));
    METHODS.into_iter().filter(|(key, _)| has(key)).collect()
}

fn dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "–".to_owned())
}

/// Writes the files; gives the sections of the page and the files of its figures.
pub(super) fn write(
    root: &RunDirectory,
    comparison: &ComparisonMetrics,
    report: &ReportConfig,
    label: &ExperimentLabel,
    progress: &Progress,
) -> Result<(Vec<Section>, BTreeSet<String>)> {
    root.write_json(&root.path().join("comparison.json"), comparison)?;
    let csv = root.path().join("comparison.csv");
    root.write(&csv, csv_table(comparison).as_bytes())?;
    let tex = root.path().join("comparison.tex");
    root.write(&tex, latex(comparison).as_bytes())?;
    let mut tables = vec![yields(comparison), errors(comparison), shapes(comparison)];
    tables.extend(missing(comparison));
    let mut sections = vec![Section {
        tables,
        ..Section::new("Methods side by side")
            .text(
                "1 − predicted / observed in %, with all errors of the method and that of the \
                 observation. Reweighting: statistics, ensemble, control region, non-closure of \
                 the row that is named for it. Interpolation: sampling, members, Gaussian \
                 process, statistics of the events outside. ABCD: the source as a whole, scaled \
                 by the ratio of yields in the training region.",
            )
            .figures(vec![residuals(comparison, &report.data_label)?])
    }];
    for (name, row) in &comparison.rows {
        let figures = distributions(name, row, report)?;
        sections.push(Section::new(format!("{name}: distributions")).figures(figures));
    }
    let drawn = save_figures(root, &mut sections, label, progress)?;
    Ok((sections, drawn))
}

fn yields(comparison: &ComparisonMetrics) -> Table {
    let methods = present(comparison);
    let pair = |(_, label): &(_, &str)| format!(" | {label} | 1 − pred/obs [%]");
    let columns: String = methods.iter().map(pair).collect();
    let rows = comparison.rows.iter().map(|(name, row)| {
        let observed = row.observed.zip(row.observed_error);
        let observed = observed.map_or_else(|| "blinded".to_owned(), |(n, e)| with_error(n, e));
        let mut cells = vec![name.clone(), observed];
        for (key, _) in &methods {
            let method = row.methods.get(*key);
            cells.push(dash(method.map(|m| with_error(m.predicted, m.error))));
            let difference = method.and_then(difference);
            cells.push(dash(
                difference.map(|(value, error)| with_error(value, error)),
            ));
        }
        cells
    });
    Table::new("Yields.", &format!("region | observed{columns}"), rows)
}

fn difference(method: &MethodMetrics) -> Option<(f64, f64)> {
    method.difference.zip(method.difference_error)
}

fn errors(comparison: &ComparisonMetrics) -> Table {
    let mut rows = Vec::new();
    for (name, row) in &comparison.rows {
        for (key, label) in present(comparison) {
            let Some(method) = row.methods.get(key) else {
                continue;
            };
            let share = |error: f64| percent(error / method.predicted);
            let part = |(name, error): (&String, &f64)| {
                format!("{} {}", name.replace('_', " "), share(*error))
            };
            let parts: Vec<String> = method.errors.iter().map(part).collect();
            let all = share(method.error);
            rows.push(vec![name.clone(), label.to_owned(), all, parts.join(", ")]);
        }
    }
    Table::new(
        "Errors of the yields.",
        "region | method | all | of which",
        rows,
    )
}

/// What was asked for and is in none of the numbers.
fn missing(comparison: &ComparisonMetrics) -> Option<Table> {
    let rows = comparison.missing().into_iter().map(|line| vec![line]);
    let caption = "Asked for, and not part of the numbers above.";
    Some(Table::new(caption, "what and why", rows)).filter(|table| !table.rows.is_empty())
}

/// The observation with the digits of its error, or of the predictions' where they
/// have more.
fn observed_cell(row: &ComparisonRow) -> String {
    let Some(observed) = row.observed else {
        return "--".to_owned();
    };
    let methods = row.methods.values().map(|m| m.error);
    let errors: Vec<f64> = row.observed_error.into_iter().chain(methods).collect();
    let digits = decimals_of(&errors);
    digits.map_or_else(|| significant(observed, 4), |d| fixed(observed, d))
}

/// Distributions of any row, in the order of the first that has them.
fn variables(comparison: &ComparisonMetrics) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> = Vec::new();
    let rows = comparison.rows.values();
    let methods = rows.flat_map(|row| row.methods.values());
    for (name, v) in methods.flat_map(|m| &m.variables) {
        if !list.iter().any(|(known, _)| known == name) {
            list.push((name.clone(), v.label.clone()));
        }
    }
    list
}

fn shapes(comparison: &ComparisonMetrics) -> Table {
    let methods = present(comparison);
    let mut header = vec!["distribution".to_owned()];
    for name in comparison.rows.keys() {
        header.extend(methods.iter().map(|(_, label)| format!("{name}, {label}")));
    }
    let rows = variables(comparison).into_iter().map(|(variable, label)| {
        let mut cells = vec![label];
        for row in comparison.rows.values() {
            for (key, _) in &methods {
                let shape = row.methods.get(*key).map(|m| m.shape(&variable));
                let both = shape.and_then(|[alone, all]| alone.zip(all));
                cells.push(dash(both.map(|(alone, all)| {
                    format!("{} ({})", significant(alone, 3), significant(all, 3))
                })));
            }
        }
        cells
    });
    let caption = "χ²/(bins − 1) of the shapes, the prediction scaled to the observation: with \
                   statistical errors alone, as published, and in brackets with all errors.";
    Table {
        header,
        ..Table::new(caption, "", rows)
    }
}

/// One line a region, method and distribution; the yields under `yield`. What is
/// missing is in the last column.
fn csv_table(comparison: &ComparisonMetrics) -> String {
    let mut text = String::from(
        "region,method,distribution,observed,observed_error,predicted,predicted_error,\
         difference_percent,difference_percent_error,shape_chi2_per_bin,shape_chi2_per_bin_all,\
         missing\n",
    );
    let cell = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
    let mut line = |place: [&str; 3], numbers: [Option<f64>; 8], missing: &str| {
        let numbers = numbers.map(cell);
        let numbers = numbers.iter().map(String::as_str);
        text += &csv::line(place.into_iter().chain(numbers).chain([missing]));
    };
    for (name, row) in &comparison.rows {
        let observed = [row.observed, row.observed_error];
        for (method, why) in &row.missing {
            let mut numbers = [None; 8];
            numbers[..2].copy_from_slice(&observed);
            line([name, method, "yield"], numbers, why);
        }
        for (method_name, method) in &row.methods {
            let missing = |variable: Option<&str>| {
                let of = method.missing.iter();
                let of = of.filter(|m| m.variable.as_deref() == variable);
                let reasons: Vec<String> = of.map(MissingError::describe).collect();
                reasons.join("; ")
            };
            let numbers = [
                row.observed,
                row.observed_error,
                Some(method.predicted),
                Some(method.error),
                method.difference,
                method.difference_error,
                None,
                None,
            ];
            line([name, method_name, "yield"], numbers, &missing(None));
            let whole = method.missing.iter().filter_map(|m| m.variable.as_ref());
            let whole = whole.filter(|v| !method.variables.contains_key(*v));
            for variable in method.variables.keys().chain(whole) {
                let [alone, all] = method.shape(variable);
                let numbers = [None, None, None, None, None, None, alone, all];
                let place = [name, method_name, variable.as_str()];
                line(place, numbers, &missing(Some(variable)));
            }
        }
    }
    text
}

/// Two tables: yields, and shapes.
fn latex(comparison: &ComparisonMetrics) -> String {
    let methods = present(comparison);
    let mut text = String::from(
        "% Made by sideband; see comparison.json for everything behind it.\n\
         \\begin{tabular}{l r",
    );
    let line = |text: &mut String, cells: &[String]| {
        let _ = writeln!(text, "{} \\\\", cells.join(" & "));
    };
    text.push_str(&" r r".repeat(methods.len()));
    text.push_str("}\n\\hline\n");
    let mut header = vec!["Region".to_owned(), "Observed".to_owned()];
    for (_, label) in &methods {
        header.push((*label).to_owned());
        header.push("$1 - \\mathrm{pred}/\\mathrm{obs}$ [\\%]".to_owned());
    }
    line(&mut text, &header);
    text.push_str("\\hline\n");
    for (name, row) in &comparison.rows {
        let mut cells = vec![escape(name), observed_cell(row)];
        for (key, _) in &methods {
            let method = row.methods.get(*key);
            let pair = |(value, error)| format!("${}$", joined(value, &[error], " \\pm "));
            let pairs = [
                method.map(|m| (m.predicted, m.error)),
                method.and_then(difference),
            ];
            cells.extend(pairs.map(|both| both.map_or_else(|| "--".to_owned(), pair)));
        }
        line(&mut text, &cells);
    }
    text.push_str("\\hline\n\\end{tabular}\n\n\\begin{tabular}{l");
    text.push_str(&" r".repeat(methods.len() * comparison.rows.len()));
    text.push_str("}\n\\hline\n");
    let mut first = vec![String::new()];
    let mut second = vec!["$\\chi^2/(\\mathrm{bins}-1)$".to_owned()];
    for name in comparison.rows.keys() {
        let (count, name) = (methods.len(), escape(name));
        first.push(format!("\\multicolumn{{{count}}}{{c}}{{{name}}}"));
        second.extend(methods.iter().map(|(_, label)| (*label).to_owned()));
    }
    line(&mut text, &first);
    line(&mut text, &second);
    text.push_str("\\hline\n");
    for (variable, _) in variables(comparison) {
        let mut cells = vec![escape(&variable)];
        for row in comparison.rows.values() {
            for (key, _) in &methods {
                let shape = row.methods.get(*key).and_then(|m| m.shape(&variable)[0]);
                cells.push(shape.map_or_else(|| "--".to_owned(), |x| significant(x, 3)));
            }
        }
        line(&mut text, &cells);
    }
    text.push_str("\\hline\n\\end{tabular}\n");
    for (number, missing) in comparison.missing().iter().enumerate() {
        if number == 0 {
            text.push_str("\n\\par Not part of these numbers:\n");
        }
        let _ = writeln!(text, "\\par {}.", escape(missing));
    }
    text
}

fn residuals(comparison: &ComparisonMetrics, data_label: &str) -> Result<PageFigure> {
    let methods = present(comparison);
    let rows = comparison.rows.iter().map(|(name, row)| {
        let observed = row.observed.unwrap_or(f64::NAN);
        let residual = |(key, _): &(&str, _)| {
            let method = row.methods.get(*key);
            Residual {
                value: method.and_then(|m| m.difference).unwrap_or(f64::NAN),
                error: method.map_or(f64::NAN, |m| 100.0 * m.error / observed),
            }
        };
        ResidualRow {
            label: name.clone(),
            values: methods.iter().map(residual).collect(),
            observed_error: row.observed_error.map_or(0.0, |e| 100.0 * e / observed),
        }
    });
    let drawn = Residuals {
        title: data_label.to_owned(),
        methods: methods
            .iter()
            .map(|(_, label)| (*label).to_owned())
            .collect(),
        rows: rows.collect(),
    }
    .draw();
    let caption = "1 − predicted / observed with the errors of the prediction; the band is the \
                   statistical error of the observation.";
    figure(&["residuals"], caption, drawn)
}

/// Figures of a row, in the order of its methods' distributions.
fn distributions(
    name: &str,
    row: &ComparisonRow,
    report: &ReportConfig,
) -> Result<Vec<PageFigure>> {
    let mut variables: Vec<&String> = Vec::new();
    for variable in row.methods.values().flat_map(|m| m.variables.keys()) {
        if !variables.contains(&variable) {
            variables.push(variable);
        }
    }
    let mut figures = Vec::new();
    for variable in variables {
        let of_methods = METHODS.into_iter().filter_map(|(key, label)| {
            let method = row.methods.get(key)?;
            Some((label, method, method.variables.get(variable)?))
        });
        let Some((_, _, first)) = of_methods.clone().next() else {
            continue;
        };
        // bins of other edges are other bins
        let edges = &first.edges;
        let heights = Heights::new(edges, report.density);
        let others = of_methods.clone().filter(|(_, _, v)| v.edges != *edges);
        let notes = others.map(|(label, ..)| format!("{label}: other edges, not drawn"));
        let drawn = of_methods.clone().filter(|(_, _, v)| v.edges == *edges);
        let predictions = drawn.map(|(label, method, v)| {
            let all = v.after.variances.iter().zip(&v.spread);
            let all = all.map(|(variance, s)| (variance + s * s).sqrt()).collect();
            let [alone, shape] = method.shape(variable);
            let goodness = alone.zip(shape).map(|(alone, all)| {
                format!("χ²/bin {}, {}", significant(alone, 3), significant(all, 3))
            });
            MethodPrediction {
                label: label.to_owned(),
                values: heights.of(v.after.values.clone()),
                errors: heights.of(all),
                goodness: goodness.unwrap_or_default(),
            }
        });
        let drawn = Methods {
            title: title(&[&report.data_label, name]),
            x_label: first.label.clone(),
            y_label: heights.label(&first.label),
            log_y: first.log,
            edges: edges.clone(),
            observed: first.observed.as_ref().map(|h| Series {
                label: "Observed".to_owned(),
                values: heights.of(h.values.clone()),
                errors: heights.of(h.errors()),
            }),
            predictions: predictions.collect(),
            notes: notes.collect(),
        }
        .draw();
        let caption = format!(
            "{} in {name}, bands with all errors of a method.",
            first.label
        );
        figures.push(figure(&[name, variable], caption, drawn)?);
    }
    Ok(figures)
}
