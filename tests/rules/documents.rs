//! What the documents state holds.
