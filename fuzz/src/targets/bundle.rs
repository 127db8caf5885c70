//! The manifest of a bundle.

use contract::Digest;
use contract::bundle::Manifest;

use super::{Target, kind, seeds};

pub(super) const MANIFEST: Target = Target {
    name: "manifest",
    seeds: || seeds::files(&["tests/formats"], "manifest.json", &[]),
    run: |bytes, _| {
        let manifest = match Manifest::parse(bytes) {
            Ok(manifest) => manifest,
            Err(error) => return kind(&error.to_string()),
        };
        let written = manifest.to_bytes();
        if manifest.format == contract::bundle::FORMAT {
            assert_eq!(
                Manifest::parse(&written).expect("what was written reads"),
                manifest
            );
        }
        let id = Digest::of(&written);
        assert!(manifest.sums(id).lines().count() >= manifest.files(id).len());
        manifest.seal().check().ok();
        format!("{} files", manifest.files(id).len().min(9))
    },
};
