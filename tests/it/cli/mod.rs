//! The binary itself, as a person uses it.

mod crash;
mod daily;
mod demo;
mod killed;
mod local;
mod manual;
mod pages;
mod reference;
mod secrets;
mod settings;
mod shell;
mod tutorial;
mod watch;
