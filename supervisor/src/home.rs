//! Where midimon keeps its files.
