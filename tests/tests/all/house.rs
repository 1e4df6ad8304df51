//! Rules of the house that a machine can check. ARCHITECTURE.md says why they are rules.

mod differences;
mod files;
mod layers;
mod sources;
mod words;
