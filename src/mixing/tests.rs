mod goldens;
mod parents;
mod training_statistics;
