//! What is fitted is what is predicted; every error is there in every bin.
