//! What a login sees without a schema: asked while its search path is set aside, by where that leads, which every
//! transaction keeps at its beginning as `switchback.path`.

/// Tells whether a relation (a row of `pg_class`, by its alias) is the one that its bare name means to the login.
macro_rules! visible {
    ($relation:literal) => {
        concat!(
            "COALESCE(",
            $relation,
            ".oid = (SELECT sv.oid FROM unnest(current_setting('switchback.path')::name[]) WITH ORDINALITY AS sp (name, place) \
             JOIN pg_namespace sw ON sw.nspname = sp.name JOIN pg_class sv ON sv.relnamespace = sw.oid AND sv.relname = ",
            $relation,
            ".relname ORDER BY sp.place LIMIT 1), false)"
        )
    };
}

/// The same of a type (a row of `pg_type`).
macro_rules! visible_type {
    ($kind:literal) => {
        concat!(
            "COALESCE(",
            $kind,
            ".oid = (SELECT sv.oid FROM unnest(current_setting('switchback.path')::name[]) WITH ORDINALITY AS sp (name, place) \
             JOIN pg_namespace sw ON sw.nspname = sp.name JOIN pg_type sv ON sv.typnamespace = sw.oid AND sv.typname = ",
            $kind,
            ".typname ORDER BY sp.place LIMIT 1), false)"
        )
    };
}

pub(super) use {visible, visible_type};
