//! Columns that name an object of the database: `regclass`, `regproc` and their kin. The server writes such a
//! value with its schema only where the search path of the login does not lead to it, so its text is not the same
//! for every login; here it is written with the schema always. No setting changes how that is read.

/// What a type of these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// `regclass`.
    Relation,
    /// `regtype`.
    Type,
    /// `regproc`: a function by its name alone.
    Function,
    /// `regprocedure`: a function by its name and the types of its arguments.
    Procedure,
    /// `regoper`: an operator by its name alone.
    OperatorName,
    /// `regoperator`: an operator by its name and the types of its arguments.
    Operator,
    /// `regconfig`.
    SearchConfiguration,
    /// `regdictionary`.
    Dictionary,
    /// `regcollation`.
    Collation,
}

impl Named {
    /// Reads the name of a type as `pg_type` has it.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "regclass" => Self::Relation,
            "regtype" => Self::Type,
            "regproc" => Self::Function,
            "regprocedure" => Self::Procedure,
            "regoper" => Self::OperatorName,
            "regoperator" => Self::Operator,
            "regconfig" => Self::SearchConfiguration,
            "regdictionary" => Self::Dictionary,
            "regcollation" => Self::Collation,
            _ => return None,
        })
    }

    /// How a column is read: by its name with the schema, where that is the name of one object alone, else
    /// by its number; what names nothing by its number too.
    pub fn read(self, column: &str) -> String {
        let (catalogue, prefix) = match self {
            Self::Relation => ("pg_class", "rel"),
            Self::Type => ("pg_type", "typ"),
            Self::Function | Self::Procedure => ("pg_proc", "pro"),
            Self::OperatorName | Self::Operator => ("pg_operator", "opr"),
            Self::SearchConfiguration => ("pg_ts_config", "cfg"),
            Self::Dictionary => ("pg_ts_dict", "dict"),
            Self::Collation => ("pg_collation", "coll"),
        };
        let whole = "pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) ";
        let (name, alone) = match self {
            Self::Procedure | Self::Operator => (
                format!(
                    "(pg_catalog.pg_identify_object('pg_catalog.{catalogue}'::pg_catalog.regclass, o.oid, 0)).identity"
                ),
                false,
            ),
            // An operator is not quoted.
            Self::OperatorName => (format!("{whole}o.oprname::pg_catalog.text"), true),
            _ => (
                format!("{whole}pg_catalog.quote_ident(o.{prefix}name)"),
                matches!(self, Self::Function | Self::Collation),
            ),
        };
        let alone = if alone {
            format!(
                " AND NOT EXISTS (SELECT 1 FROM pg_catalog.{catalogue} p WHERE p.{prefix}name OPERATOR(pg_catalog.=) o.{prefix}name \
                 AND p.{prefix}namespace OPERATOR(pg_catalog.=) o.{prefix}namespace AND p.oid OPERATOR(pg_catalog.<>) o.oid)"
            )
        } else {
            String::new()
        };
        format!(
            "COALESCE((SELECT {name} FROM pg_catalog.{catalogue} o JOIN pg_catalog.pg_namespace n \
             ON n.oid OPERATOR(pg_catalog.=) o.{prefix}namespace \
             WHERE o.oid OPERATOR(pg_catalog.=) {column}::pg_catalog.oid{alone}), {column}::pg_catalog.oid::pg_catalog.text)"
        )
    }
}
