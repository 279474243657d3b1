//! Nothing closes that was not tested.
