//! `sideband schema`

use super::{Done, print};

pub(super) fn schema() -> Done {
    print(&format!("{:#}", crate::settings::schema()))
}
