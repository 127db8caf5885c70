//! What a record line says of columns: each once, in one of its three objects.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// An object that takes members one by one.
pub(crate) trait Members<V>: Default {
    /// Adds a member; false where there is one of the name.
    fn add(&mut self, name: String, value: V) -> bool;
}

impl Members<serde_json::Value> for serde_json::Map<String, serde_json::Value> {
    fn add(&mut self, name: String, value: serde_json::Value) -> bool {
        self.insert(name, value).is_none()
    }
}

impl<V> Members<V> for indexmap::IndexMap<String, V> {
    fn add(&mut self, name: String, value: V) -> bool {
        self.insert(name, value).is_none()
    }
}

/// Reads an object none of whose members comes twice, where JSON itself would take the last.
pub(crate) fn once<'de, D, V, M>(deserializer: D) -> Result<M, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
    M: Members<V>,
{
    struct Once<M, V>(PhantomData<(M, V)>);

    impl<'de, V: Deserialize<'de>, M: Members<V>> Visitor<'de> for Once<M, V> {
        type Value = M;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<M, A::Error> {
            let mut members = M::default();
            while let Some(name) = access.next_key::<String>()? {
                let value = access.next_value()?;
                if !members.add(name.clone(), value) {
                    return Err(A::Error::custom(format!(
                        "it has the column `{name}` twice"
                    )));
                }
            }
            Ok(members)
        }
    }

    deserializer.deserialize_map(Once(PhantomData))
}

/// The names of an object's members, without what they hold.
#[derive(Debug, Default)]
pub(crate) struct Names<'a>(pub Vec<Cow<'a, str>>);

/// A name that is taken from the line where it needs no unescaping.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Names<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for All<'a> {
            type Value = Names<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Names<'a>, A::Error> {
                let mut names = Vec::new();
                while let Some((Name(name), IgnoredAny)) = access.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_map(All(PhantomData))
    }
}

/// The first name that is among these twice.
pub(crate) fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let pair = names.windows(2).find(|pair| pair[0] == pair[1]);
    pair.map(|pair| pair[0])
}
