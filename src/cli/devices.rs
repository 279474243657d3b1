//! `sideband devices`

use super::{Done, print, table};
use sideband_networks::list_devices;

pub(super) fn devices() -> Done {
    let rows: Vec<Vec<String>> = list_devices()
        .into_iter()
        .map(|d| {
            let usable = if d.usable { "yes" } else { "no" };
            vec![d.name, usable.to_owned(), d.description]
        })
        .collect();
    print(&table(&["device", "usable", "what"], &rows))
}
