//! What a blind region hides is in no output of any method.
