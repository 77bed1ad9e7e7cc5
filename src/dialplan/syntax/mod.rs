//! The text of a flow: words, lines, and the tree that they make. Says nothing about meaning.

pub mod ast;
pub mod format;
mod grammar;
mod lexer;
pub mod outline;
pub mod span;
