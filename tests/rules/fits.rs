//! Best fits at bounds, parameters that nothing measures.
