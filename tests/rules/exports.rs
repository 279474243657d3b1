//! What is exported is the model that was fitted; every input is on record.
