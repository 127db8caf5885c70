//! Writing a bundle.
