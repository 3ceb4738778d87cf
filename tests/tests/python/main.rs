//! Fabfiles in Python, on every python3 of this machine.

mod classic;
mod families;
mod library;
mod modern;
mod package;
mod pythons;
