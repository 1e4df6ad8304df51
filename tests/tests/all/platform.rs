//! `FrameworkPlugin`s in the running operator, on a control plane of their own: they are of no namespace, so all operators
//! see them.

mod deceit;
mod guide;
mod hostile;
mod outage;
mod place;
mod policy;
mod reload;
mod restart;
mod story;
