//! Fabfiles in Python, on every python3 of this machine.

mod classic;
mod convert;
mod families;
mod library;
mod modern;
mod names;
mod package;
mod protocol;
mod pythons;
