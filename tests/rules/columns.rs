//! Every event is counted, every value is what the file says.
