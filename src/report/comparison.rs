//! Regions and methods side by side: `comparison.json`, the same as CSV and LaTeX
//! tables, figures, and a section of the matrix's page.

use super::build::{ReportError, plot_error};
use super::names::file_names;
use super::numbers::{decimals_of, fixed, joined, percent, significant, with_error};
use super::page::{PageFigure, Section, Table};
use crate::plot::{
    Figure, MethodPrediction, Methods, PlotError, Residual, ResidualRow, Residuals, Series,
};
use crate::results::{ComparisonMetrics, ComparisonRow, MethodMetrics, MissingError};
use crate::rundir::{DirectoryError, RunDirectory};
use indexmap::IndexMap;
use std::fmt::Write as _;

/// The methods in the order of the tables, with their names for people.
const METHODS: [(&str, &str); 3] = [
    ("reweighting", "Reweighting"),
    ("interpolation", "Interpolation"),
    ("abcd", "ABCD"),
];

/// File name of the figure of all rows.
const RESIDUALS: &str = "residuals";

fn present(comparison: &ComparisonMetrics) -> Vec<(&'static str, &'static str)> {
    let has = |key: &str| {
        comparison
            .rows
            .values()
            .any(|r| r.methods.contains_key(key))
    };
    METHODS.into_iter().filter(|(key, _)| has(key)).collect()
}

fn dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "–".to_owned())
}

/// Writes the files and gives the sections of the page.
pub(super) fn write(
    root: &RunDirectory,
    comparison: &ComparisonMetrics,
    data_label: &str,
) -> Result<Vec<Section>, ReportError> {
    let plots = root.plots();
    std::fs::create_dir_all(&plots).map_err(|source| DirectoryError::Io {
        path: plots.clone(),
        source,
    })?;
    root.write_json(&root.path().join("comparison.json"), comparison)?;
    let csv = root.path().join("comparison.csv");
    root.write(&csv, csv_table(comparison).as_bytes())?;
    let tex = root.path().join("comparison.tex");
    root.write(&tex, latex(comparison).as_bytes())?;
    let mut sections = vec![Section {
        title: "Methods side by side".to_owned(),
        text: vec![
            "1 − predicted / observed in %, with all errors of the method and that of the \
             observation. Reweighting: statistics, ensemble, control region, non-closure of the \
             row that is named for it. Interpolation: sampling, members, Gaussian process, \
             statistics of the events outside. ABCD: the source as a whole, scaled by the ratio of \
             yields in the training region."
                .to_owned(),
        ],
        tables: [yields(comparison), errors(comparison), shapes(comparison)]
            .into_iter()
            .chain(missing(comparison))
            .collect(),
        figures: vec![residuals(root, comparison, data_label)?],
        ..Section::default()
    }];
    let names = figure_names(comparison);
    for (name, row) in &comparison.rows {
        sections.push(Section {
            title: format!("{name}: distributions"),
            figures: distributions(root, &names, name, row, data_label)?,
            ..Section::default()
        });
    }
    Ok(sections)
}

fn yields(comparison: &ComparisonMetrics) -> Table {
    let methods = present(comparison);
    let mut header = vec!["region".to_owned(), "observed".to_owned()];
    for (_, label) in &methods {
        header.push((*label).to_owned());
        header.push("1 − pred/obs [%]".to_owned());
    }
    let rows = comparison.rows.iter().map(|(name, row)| {
        let observed = row.observed.zip(row.observed_error);
        let observed = observed.map_or_else(|| "blinded".to_owned(), |(n, e)| with_error(n, e));
        let mut cells = vec![name.clone(), observed];
        for (key, _) in &methods {
            let method = row.methods.get(*key);
            cells.push(dash(method.map(|m| with_error(m.predicted, m.error))));
            cells.push(dash(method.and_then(difference)));
        }
        cells
    });
    Table {
        caption: "Yields.".to_owned(),
        rows: rows.collect(),
        header,
    }
}

fn difference(method: &MethodMetrics) -> Option<String> {
    Some(with_error(method.difference?, method.difference_error?))
}

fn errors(comparison: &ComparisonMetrics) -> Table {
    let mut rows = Vec::new();
    for (name, row) in &comparison.rows {
        for (key, label) in present(comparison) {
            let Some(method) = row.methods.get(key) else {
                continue;
            };
            let part = |(name, error): (&String, &f64)| {
                let share = percent(error / method.predicted);
                format!("{} {share}", name.replace('_', " "))
            };
            let parts: Vec<String> = method.errors.iter().map(part).collect();
            rows.push(vec![
                name.clone(),
                label.to_owned(),
                percent(method.error / method.predicted),
                parts.join(", "),
            ]);
        }
    }
    Table {
        caption: "Errors of the yields.".to_owned(),
        header: ["region", "method", "all", "of which"]
            .map(ToOwned::to_owned)
            .to_vec(),
        rows,
    }
}

/// What was asked for and is in none of the numbers.
fn missing(comparison: &ComparisonMetrics) -> Option<Table> {
    let rows: Vec<Vec<String>> = comparison
        .missing()
        .into_iter()
        .map(|line| vec![line])
        .collect();
    (!rows.is_empty()).then(|| Table {
        caption: "Asked for, and not part of the numbers above.".to_owned(),
        header: vec!["what and why".to_owned()],
        rows,
    })
}

/// The observation with the digits of its error, or of the predictions' where they
/// have more.
fn observed_cell(row: &ComparisonRow) -> String {
    let Some(observed) = row.observed else {
        return "--".to_owned();
    };
    let errors: Vec<f64> = row
        .observed_error
        .into_iter()
        .chain(row.methods.values().map(|m| m.error))
        .collect();
    let digits = decimals_of(&errors);
    digits.map_or_else(|| significant(observed, 4), |d| fixed(observed, d))
}

/// Distributions of any row, in the order of the first that has them.
fn variables(comparison: &ComparisonMetrics) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> = Vec::new();
    let methods = comparison
        .rows
        .values()
        .flat_map(|row| row.methods.values());
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
                cells.push(dash(shape.and_then(|s| match s {
                    [Some(alone), Some(all)] => Some(format!(
                        "{} ({})",
                        significant(alone, 3),
                        significant(all, 3)
                    )),
                    _ => None,
                })));
            }
        }
        cells
    });
    Table {
        caption: "χ²/(bins − 1) of the shapes, the prediction scaled to the observation: with \
                  statistical errors alone, as published, and in brackets with all errors."
            .to_owned(),
        rows: rows.collect(),
        header,
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
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut line = |place: [&str; 3], numbers: [Option<f64>; 8], missing: &str| {
        let [region, method, distribution] = place;
        let numbers = numbers.map(cell).join(",");
        let (distribution, missing) = (quoted(distribution), quoted(missing));
        // a String takes everything
        let _ = writeln!(text, "{region},{method},{distribution},{numbers},{missing}");
    };
    for (name, row) in &comparison.rows {
        let observed = [row.observed, row.observed_error];
        for (method, why) in &row.missing {
            let [n, error] = observed;
            let numbers = [n, error, None, None, None, None, None, None];
            line([name, method, "yield"], numbers, why);
        }
        for (method_name, method) in &row.methods {
            let missing = |variable: Option<&str>| {
                let of = method.missing.iter();
                let of = of.filter(|m| m.variable.as_deref() == variable);
                of.map(MissingError::describe)
                    .collect::<Vec<_>>()
                    .join("; ")
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
            let pair = |value, error| format!("${}$", joined(value, &[error], " \\pm "));
            let value = |m: &MethodMetrics| pair(m.predicted, m.error);
            cells.push(method.map_or_else(|| "--".to_owned(), value));
            let difference = method.and_then(|m| Some((m.difference?, m.difference_error?)));
            let text = |(d, e)| pair(d, e);
            cells.push(difference.map_or_else(|| "--".to_owned(), text));
        }
        line(&mut text, &cells);
    }
    text.push_str("\\hline\n\\end{tabular}\n\n\\begin{tabular}{l");
    text.push_str(&" r".repeat(methods.len() * comparison.rows.len()));
    text.push_str("}\n\\hline\n");
    let groups = comparison.rows.keys();
    let groups = groups.map(|name| {
        format!(
            "\\multicolumn{{{}}}{{c}}{{{}}}",
            methods.len(),
            escape(name)
        )
    });
    let first: Vec<String> = std::iter::once(String::new()).chain(groups).collect();
    line(&mut text, &first);
    let labels = methods.iter().map(|(_, label)| (*label).to_owned());
    let labels = labels.cycle().take(methods.len() * comparison.rows.len());
    let second: Vec<String> = std::iter::once("$\\chi^2/(\\mathrm{bins}-1)$".to_owned())
        .chain(labels)
        .collect();
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

/// A name as LaTeX sets it.
fn escape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if "&%$#_{}".contains(c) {
            text.push('\\');
        }
        match c {
            '~' => text.push_str("\\textasciitilde{}"),
            '^' => text.push_str("\\textasciicircum{}"),
            '\\' => text.push_str("\\textbackslash{}"),
            c => text.push(c),
        }
    }
    text
}

/// Draws a figure into the run's plots.
fn figure(
    root: &RunDirectory,
    name: &str,
    caption: String,
    drawn: Result<Figure, PlotError>,
) -> Result<PageFigure, ReportError> {
    let drawn = drawn.map_err(plot_error(name))?;
    let png = drawn.to_png().map_err(plot_error(name))?;
    let path = root.plots().join(format!("{name}.svg"));
    root.write(&path, drawn.svg.as_bytes())?;
    root.write(&path.with_extension("png"), &png)?;
    Ok(PageFigure {
        name: name.to_owned(),
        svg: drawn.svg,
        caption,
    })
}

fn residuals(
    root: &RunDirectory,
    comparison: &ComparisonMetrics,
    data_label: &str,
) -> Result<PageFigure, ReportError> {
    let methods = present(comparison);
    let rows = comparison.rows.iter().map(|(name, row)| {
        let observed = row.observed.unwrap_or(f64::NAN);
        let residual = |key: &str| {
            let method = row.methods.get(key);
            let none = || (f64::NAN, f64::NAN);
            let (value, error) = method.map_or_else(none, |m| {
                let value = m.difference.unwrap_or(f64::NAN);
                (value, 100.0 * m.error / observed)
            });
            Residual { value, error }
        };
        ResidualRow {
            label: name.clone(),
            values: methods.iter().map(|(key, _)| residual(key)).collect(),
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
    figure(root, RESIDUALS, caption.to_owned(), drawn)
}

/// Distributions of a row, in the order of its methods.
fn of_row(row: &ComparisonRow) -> Vec<&String> {
    let mut variables: Vec<&String> = Vec::new();
    for variable in row.methods.values().flat_map(|m| m.variables.keys()) {
        if !variables.contains(&variable) {
            variables.push(variable);
        }
    }
    variables
}

/// File names of the figures of rows and distributions.
fn figure_names(comparison: &ComparisonMetrics) -> IndexMap<Vec<String>, String> {
    let rows = comparison.rows.iter();
    let parts: Vec<Vec<String>> = rows
        .flat_map(|(name, row)| {
            let variables = of_row(row).into_iter();
            variables.map(move |variable| vec![name.clone(), variable.clone()])
        })
        .chain(std::iter::once(vec![RESIDUALS.to_owned()]))
        .collect();
    let names = file_names(&parts);
    parts.into_iter().zip(names).collect()
}

fn distributions(
    root: &RunDirectory,
    names: &IndexMap<Vec<String>, String>,
    name: &str,
    row: &ComparisonRow,
    data_label: &str,
) -> Result<Vec<PageFigure>, ReportError> {
    let variables = of_row(row);
    let mut figures = Vec::new();
    for variable in variables {
        let of_methods: Vec<_> = METHODS
            .into_iter()
            .filter_map(|(key, label)| {
                let method = row.methods.get(key)?;
                Some((label, method, method.variables.get(variable)?))
            })
            .collect();
        let Some((_, _, first)) = of_methods.first() else {
            continue;
        };
        // bins of other edges are other bins
        let edges = &first.edges;
        let others = of_methods.iter().filter(|(_, _, v)| v.edges != *edges);
        let notes = others.map(|(label, ..)| format!("{label}: other edges, not drawn"));
        let drawn = of_methods.iter().filter(|(_, _, v)| v.edges == *edges);
        let predictions = drawn.map(|(label, method, v)| {
            let all = v.after.variances.iter().zip(&v.spread);
            MethodPrediction {
                label: (*label).to_owned(),
                values: v.after.values.clone(),
                errors: all.map(|(variance, s)| (variance + s * s).sqrt()).collect(),
                goodness: match method.shape(variable) {
                    [Some(alone), Some(all)] => {
                        format!("χ²/bin {}, {}", significant(alone, 3), significant(all, 3))
                    }
                    _ => String::new(),
                },
            }
        });
        let title = [data_label, name].into_iter().filter(|s| !s.is_empty());
        let drawn = Methods {
            title: title.collect::<Vec<_>>().join(", "),
            x_label: first.label.clone(),
            y_label: "Events".to_owned(),
            log_y: first.log,
            edges: first.edges.clone(),
            observed: first.observed.as_ref().map(|h| Series {
                label: "Observed".to_owned(),
                values: h.values.clone(),
                errors: h.errors(),
            }),
            predictions: predictions.collect(),
            notes: notes.collect(),
        }
        .draw();
        let caption = format!(
            "{} in {name}, bands with all errors of a method.",
            first.label
        );
        let file = &names[&vec![name.to_owned(), variable.clone()]];
        figures.push(figure(root, file, caption, drawn)?);
    }
    Ok(figures)
}
