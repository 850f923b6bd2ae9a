//! The binary itself, as a person uses it.

mod crash;
mod demo;
mod local;
mod manual;
mod tutorial;
