//! A limit as a submission to HEPData: limits, CLs, impacts and events of the channels.

use super::result::MeasurementResult;
use crate::error::{OnFile, Result};
use crate::files::regular::make_folder;
use crate::report::hepdata::{
    Axis, Banded, Measured, Point, Quantity, Resource, Submission, Table,
};
use crate::rundir::RunDirectory;

/// Its folder.
pub(super) const FOLDER: &str = "hepdata";
const WORKSPACE: &str = "workspace.json";

/// Writes the submission, and beside it the workspace if there is one.
pub(super) fn write(root: &RunDirectory, result: &MeasurementResult) -> Result<()> {
    let folder = root.path().join(FOLDER);
    make_folder(&folder).on(&folder)?;
    let mut resources = Vec::new();
    if result.export.is_written {
        let text = root.read(&root.path().join(WORKSPACE))?;
        root.write(&folder.join(WORKSPACE), text.as_bytes())?;
        resources.push(Resource {
            file: WORKSPACE.to_owned(),
            description: "The statistical model with its data, HistFactory JSON of pyhf".to_owned(),
            kind: Some("HistFactory"),
        });
    }
    let submission = Submission {
        comment: format!("{}, {} data", result.experiment, result.data),
        resources,
        tables: tables(result),
    };
    for (name, text) in submission.files() {
        root.write(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

fn tables(result: &MeasurementResult) -> Vec<Table> {
    let mut tables = Vec::new();
    if let Some(limit) = &result.limit {
        let limited = (result.label(&limit.parameter), limit.confidence_level);
        if let Some(expected) = limit.expected {
            let observed = limit.observed;
            let rows = [Banded { observed, expected }];
            tables.push(Table::limits("limits", limited, Vec::new(), &rows));
        }
        let rows = limit.curve.iter().map(|point| Banded {
            observed: point.observed,
            expected: point.expected.map(Some),
        });
        let rows: Vec<Banded> = rows.collect();
        if !rows.is_empty() {
            let values = limit.curve.iter().map(|point| point.value);
            tables.push(Table::cls(limited.0, values, &rows));
        }
        for (number, scan) in result.limit_scans.iter().enumerate() {
            let axis = || Axis {
                name: result.label(&scan.parameter).to_owned(),
                values: scan.points.iter().map(|p| Point::Number(p.value)).collect(),
            };
            let rows = scan.points.iter().map(|point| Banded {
                observed: point.observed,
                expected: point.expected,
            });
            let rows: Vec<Banded> = rows.collect();
            let file = format!("limits_{}", number + 1);
            tables.push(Table::limits(file, limited, vec![axis()], &rows));
            if scan.points.iter().any(|p| p.cross_section.is_some()) {
                let limited = ("cross-section in fb", limit.confidence_level);
                let rows = scan.points.iter().map(|point| Banded {
                    observed: point.in_fb(point.observed),
                    expected: point.expected.map(|x| point.in_fb(x)),
                });
                let rows: Vec<Banded> = rows.collect();
                let file = format!("cross_sections_{}", number + 1);
                let mut table = Table::limits(file, limited, vec![axis()], &rows);
                let theory = scan.points.iter().map(|p| p.cross_section);
                let name = "Cross-section in fb of a signal of strength one";
                table.dependent.push(Quantity::plain(name, theory));
                tables.push(table);
            }
        }
    }
    tables.extend(impacts(result));
    if !result.yields.is_empty() {
        let all = || result.yields.values();
        let before = all().map(|of| Measured::total(of.prefit_total[0], Some(of.prefit_total[1])));
        let after = all().map(|of| Measured::total(of.postfit_total.0, of.postfit_total.1));
        tables.push(Table::yields(
            result.yields.keys().map(String::as_str),
            all().map(|of| of.observed),
            [before.collect(), after.collect()],
        ));
    }
    tables
}

/// Impacts on the expected limit.
fn impacts(result: &MeasurementResult) -> Option<Table> {
    let impacts = result.limit_impacts.as_ref()?;
    let all = || impacts.groups.iter();
    let poi = result.label(&impacts.parameter);
    Some(Table {
        file: "impacts".to_owned(),
        name: "Impacts of groups".to_owned(),
        description: format!(
            "Relative change of the median expected limit on {poi} with the nuisance parameters of \
             a group frozen where they fit best without signal, and with the group out of the \
             model and the data made anew."
        ),
        phrase: "impacts",
        independent: vec![Axis {
            name: "Group".to_owned(),
            values: all().map(|row| Point::Text(row.group.clone())).collect(),
        }],
        dependent: vec![
            Quantity::plain("Relative impact, frozen", all().map(|row| row.relative)),
            Quantity::plain("Relative impact, removed", all().map(|row| row.removed)),
        ],
    })
}
