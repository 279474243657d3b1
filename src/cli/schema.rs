//! `sideband schema`

use super::{Done, Exit, print};

pub(super) fn schema() -> Done {
    print(&format!("{:#}", crate::settings::schema()))?;
    Ok(Exit::Ok)
}
