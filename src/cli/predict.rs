//! `sideband predict`

use super::options::PredictArguments;
use super::{Done, Exit, print};
use crate::background::{PredictOptions, predict as predict_events};

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
    let events = predict_events(&arguments.run, &options)?;
    print(&format!("{events} events in {}", arguments.out.display()))?;
    Ok(Exit::Ok)
}
