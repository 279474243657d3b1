//! Integers are exact, null propagates, a name means one thing.
