//! Packages made by hand to attack.
