//! The upper limit by pseudo-experiments on the page of a limit.

use super::sheet::{Sheet, section, table};
use super::words::dash;
use crate::report::numbers::significant;
use crate::report::page::Section;
use crate::workspace::Counted;

impl Sheet<'_> {
    /// The limits with their errors, and CLs at the values that were tested.
    pub(super) fn limit_toys(&self) -> Section {
        let mut section = section("Upper limit by pseudo-experiments");
        let limit = self.result.limit.as_ref();
        let Some((limit, toys)) = limit.and_then(|limit| Some((limit, limit.toys.as_ref()?)))
        else {
            return section;
        };
        let label = self.result.label(&limit.parameter);
        let cell = |x: Option<Counted>| dash(x, Counted::words);
        let limits = std::iter::once(&toys.observed).chain(&toys.expected);
        section.tables.push(table(
            format!(
                "Upper limits on {label} by pseudo-experiments, with their statistical errors: at \
                 most {} of each hypothesis at each value.",
                toys.asked.toys
            ),
            &["observed", "−2 σ", "−1 σ", "median", "+1 σ", "+2 σ"],
            std::iter::once(limits.map(|x| cell(*x)).collect()),
        ));
        let rows = toys.tests.iter().map(|test| {
            let [with, without] = test.toys.map(|n| n.to_string());
            vec![
                significant(test.poi, 5),
                cell(test.CLs_obs),
                cell(Some(test.CLs_exp[2])),
                with,
                without,
                test.failed.to_string(),
            ]
        });
        section.tables.push(table(
            "CLs at the tested values; toys without a fit count for nothing.",
            &[
                label,
                "CLs, observed",
                "CLs, expected",
                "toys with signal",
                "without",
                "without a fit",
            ],
            rows,
        ));
        section
    }
}
