//! `sideband predict`

use super::options::PredictArguments;
use super::{Done, print};
use crate::workflow::{PredictOptions, predict as predict_events};
use std::io::Write as _;

pub(super) fn predict(arguments: &PredictArguments) -> Done {
    let options = PredictOptions {
        data: arguments.data.clone(),
        out: arguments.out.clone(),
        selection: arguments.selection.clone(),
        weight: arguments.weight.clone(),
        id: arguments.id.clone(),
        device: arguments.device.clone(),
        unblind: arguments.unblind,
    };
    let done = predict_events(&arguments.run, &options)?;
    for reason in &done.reasons {
        let _ = writeln!(std::io::stderr(), "warning: {reason}");
    }
    let without = match done.without {
        0 => String::new(),
        n => format!(", {n} of them without a prediction (null)"),
    };
    let (events, out) = (done.events, arguments.out.display());
    print(&format!("{events} events in {out}{without}"))
}
