//! Extensions that users add from outside, through the facade.

mod from_pytorch;
mod outside;
mod own_prior;
