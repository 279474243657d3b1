//! The columns that are built in.

use super::super::jets::Jets;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Builtin {
    pub name: &'static str,
    pub expression: &'static str,
}

/// The derived columns every HH -> 4b analysis starts from. They exist where their inputs
/// do, and step back where the file has a column of the name. Formulas and numbers are
/// those of the ATLAS HH -> 4b mass plane. `m_h1`, `m_h2` in GeV, `deta_hh` signed or not.
pub(crate) const BUILTINS: &[Builtin] = &[
    // Distance from (124, 117) GeV in units of a 10 % mass resolution.
    Builtin {
        name: "x_hh",
        expression: "sqrt(((m_h1 - 124) / (0.1 * m_h1))^2 + ((m_h2 - 117) / (0.1 * m_h2))^2)",
    },
    // Distance in GeV from the centre of the control region.
    Builtin {
        name: "r_cr",
        expression: "hypot(m_h1 - 1.05 * 124, m_h2 - 1.05 * 117)",
    },
    // 1 in the signal region.
    Builtin {
        name: "in_sr",
        expression: "x_hh < 1.6",
    },
    // 1 in the control region.
    Builtin {
        name: "in_cr",
        expression: "x_hh >= 1.6 && r_cr < 45",
    },
    // Side of (124, 117) GeV, cut by m_h2 - 117 = +-(m_h1 - 124): 0 above, 1 right, 2 below, 3
    // left; the lines belong to right and left.
    Builtin {
        name: "quadrant",
        // The last term is 0, or NaN where a mass is.
        expression: "(abs(m_h2 - 117) > abs(m_h1 - 124)) * 2 * (m_h2 < 117) \
                     + (abs(m_h2 - 117) <= abs(m_h1 - 124)) * (1 + 2 * (m_h1 < 124)) \
                     + 0 * (m_h1 + m_h2)",
    },
    // 1 in the nominal control region: quadrants above and below.
    Builtin {
        name: "in_cr1",
        expression: "in_cr && abs(m_h2 - 117) > abs(m_h1 - 124)",
    },
    // 1 in the alternative control region: quadrants right and left.
    Builtin {
        name: "in_cr2",
        expression: "in_cr && abs(m_h2 - 117) <= abs(m_h1 - 124)",
    },
    // Top veto: 0 fails (x_wt <= 1.5), 1 passes.
    Builtin {
        name: "x_wt_category",
        expression: "!(x_wt <= 1.5)",
    },
    // Signal category 0 to 5: 2 * (bin of |deta_hh|: below 0.5, 0.5 to 1, above 1) + (bin of x_hh:
    // below 0.95, 0.95 to 1.6); -1 outside the SR.
    Builtin {
        name: "hh_category",
        expression: "(x_hh < 1.6) \
                     * (1 + 2 * ((abs(deta_hh) >= 0.5) + (abs(deta_hh) >= 1)) + (x_hh >= 0.95)) - 1",
    },
];

/// Names of all built-in columns.
pub(crate) fn builtin_names() -> impl Iterator<Item = &'static str> {
    let names = BUILTINS.iter().map(|builtin| builtin.name);
    names.chain(Jets::columns())
}
