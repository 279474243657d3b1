//! One state, all or nothing, nobody else's files.
