//! The tables of the entities, with the rows of before, as statements.

use tests::Target;

use crate::dice::Dice;
use crate::shell::named;
use crate::triggers;
use crate::world::{Cell, Column, Entity, Fill, Id, Row, World};

/// Draws how the tables are defined, and fills them.
pub fn draw(world: &mut World, dice: &mut Dice) {
    if world.target == Target::Sqlite {
        let encoding = dice.one_of(["UTF-8", "UTF-8", "UTF-8", "UTF-16le"]);
        world.setup.push(format!("PRAGMA encoding = '{encoding}'"));
    } else {
        world.setup.push("CREATE SCHEMA club".into());
        if dice.chance(30) {
            let settings = [
                "array_nulls = off",
                "DateStyle = 'German'",
                "TimeZone = 'Pacific/Auckland'",
                "bytea_output = 'escape'",
                "extra_float_digits = 0",
            ];
            for setting in settings {
                let sql = format!(
                    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$",
                    setting.replace('\'', "''")
                );
                world.setup.push(sql);
            }
        }
    }
    let entities = world.entities.clone();
    let mut late = vec![];
    for entity in &entities {
        table(world, entity, dice, &mut late);
        for row in &entity.before {
            insert(world, entity, row);
        }
    }
    for entity in &entities {
        for row in &entity.before {
            link(world, entity, row);
        }
    }
    world.setup.append(&mut late);
    for entity in &entities {
        triggers::draw(world, entity, dice);
    }
}

/// Tables of the same names, and with the same rows, in the schema that is not meant.
pub fn look_alikes(world: &mut World, dice: &mut Dice) {
    if world.target == Target::Sqlite || dice.chance(30) {
        return;
    }
    let other = if world.schema == "club" {
        "public"
    } else {
        "club"
    };
    let mut names: Vec<String> = world
        .entities
        .iter()
        .map(|entity| entity.table.clone())
        .collect();
    names.sort();
    for name in names {
        let (table, copy) = (world.table(&name), format!("{other}.{}", named(&name)));
        world
            .setup
            .push(format!("CREATE TABLE {copy} (LIKE {table} INCLUDING ALL)"));
        world.setup.push(format!(
            "INSERT INTO {copy} OVERRIDING SYSTEM VALUE SELECT * FROM {table}"
        ));
    }
}

/// A column's type and constraints, as the target has them.
fn typed(world: &World, column: &Column) -> String {
    match world.target {
        Target::Postgres => column.sql.clone(),
        Target::Sqlite => column.sql.replacen("text", "TEXT", 1),
    }
}

/// A foreign key: on SQLite a clause of its column, on PostgreSQL a statement for later.
fn reference(
    world: &mut World,
    entity: &Entity,
    column: &Column,
    to: usize,
    dice: &mut Dice,
    late: &mut Vec<String>,
) -> String {
    let table = world.table(&entity.table);
    let place = world.place(&entity.table);
    let mut inside = String::new();
    let other = &world.entities[to];
    let key = other.key_column().unwrap().to_owned();
    let action = dice.one_of([
        "",
        " ON DELETE CASCADE",
        " ON DELETE SET NULL",
        " ON DELETE RESTRICT",
    ]);
    let deferred = dice.one_of(["", "", " DEFERRABLE INITIALLY DEFERRED"]);
    let to = world.table(&other.table);
    world.rules.refs.push([
        place.clone(),
        column.name.clone(),
        world.place(&other.table),
        key.clone(),
    ]);
    let whole = dice.chance(30) && world.target == Target::Sqlite;
    let loud = dice.chance(30) && whole;
    let to = if loud { to.to_ascii_uppercase() } else { to };
    let key = if loud { key.to_ascii_uppercase() } else { key };
    let key = if whole && !loud {
        String::new()
    } else {
        format!("({})", named(&key))
    };
    let clause = format!("REFERENCES {to} {key}{action}{deferred}");
    match world.target {
        Target::Sqlite => inside = format!(" {clause}"),
        Target::Postgres => late.push(format!(
            "ALTER TABLE {table} ADD FOREIGN KEY ({}) {clause}",
            named(&column.name)
        )),
    }
    if dice.chance(50) {
        late.push(format!("CREATE INDEX ON {table} ({})", named(&column.name)));
    }
    inside
}

fn table(world: &mut World, entity: &Entity, dice: &mut Dice, late: &mut Vec<String>) {
    let table = world.table(&entity.table);
    let place = world.place(&entity.table);
    let mut columns = Vec::new();
    match (entity.id, world.target) {
        (Id::None, _) => {}
        (Id::Target, Target::Sqlite) => {
            let counted = dice.one_of(["", " AUTOINCREMENT"]);
            columns.push(format!("id INTEGER PRIMARY KEY{counted}"));
        }
        (Id::Target, Target::Postgres) => {
            let by = dice.one_of(["BY DEFAULT", "ALWAYS"]);
            columns.push(format!("id bigint GENERATED {by} AS IDENTITY PRIMARY KEY"));
        }
        (_, target) => columns.push(format!(
            "id {} PRIMARY KEY NOT NULL",
            entity.key_type(target)
        )),
    }
    for column in &entity.columns {
        if column.added.is_some() {
            continue;
        }
        let mut sql = format!("{} {}", named(&column.name), typed(world, column));
        if sql.contains(" UNIQUE") {
            world
                .rules
                .uniques
                .push((place.clone(), vec![column.name.clone()]));
        }
        if let Fill::Ref { to, .. } = column.fill {
            sql += &reference(world, entity, column, to, dice, late);
        }
        columns.push(sql);
    }
    let composite = entity
        .columns
        .iter()
        .any(|column| matches!(column.fill, Fill::Part));
    if entity.id == Id::None {
        let key: &[&str] = if composite {
            &["code", "part"]
        } else {
            &["code"]
        };
        columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    if !entity.replaces() && dice.chance(20) {
        let over = dice.one_of(["lower(code)", "code) WHERE (code IS NOT NULL"]);
        let name = named(&format!("{} once", entity.table));
        late.push(format!("CREATE UNIQUE INDEX {name} ON {table} ({over})"));
        world
            .rules
            .uniques
            .push((place.clone(), vec!["code".into()]));
    }
    let strict = world.target == Target::Sqlite && dice.chance(20);
    let options: &[&str] = match (world.target, strict, entity.id) {
        (Target::Sqlite, true, Id::None) => &[" STRICT, WITHOUT ROWID"],
        (Target::Sqlite, true, _) => &[" STRICT"],
        (Target::Sqlite, false, Id::None | Id::Uuid) => &["", " WITHOUT ROWID"],
        _ => &[""],
    };
    let option = dice.pick(options);
    world.setup.push(format!(
        "CREATE TABLE {table} ({}){}",
        columns.join(", "),
        option
    ));
    if world.target == Target::Sqlite {
        let mut number = 0;
        for index in late
            .iter_mut()
            .filter(|index| index.starts_with("CREATE INDEX ON"))
        {
            number += 1;
            *index = index.replace(
                "INDEX ON",
                &format!("INDEX {} ON", named(&format!("{} {number}", entity.table))),
            );
        }
    }
}

/// What a row of before holds in a column, as a literal.
fn literal(
    world: &World,
    entity: &Entity,
    column: &Column,
    row: &Row,
    at: usize,
) -> Option<String> {
    let number = row.number;
    let odd = world.target == Target::Sqlite;
    if column.added.is_some() {
        return None;
    }
    Some(match (&column.fill, row.cells[at]) {
        (Fill::Ref { .. }, _) => return None,
        (Fill::Code, _) => format!("'code{number}'"),
        (Fill::Part, _) => (number % 3).to_string(),
        (_, Cell::Empty | Cell::To(_)) if column.empty.is_some() => "NULL".into(),
        (Fill::Alias, _) => format!("'alias{number}'"),
        (Fill::Kind(kind), Cell::Sample(sample)) => kind.samples[sample].there.clone(),
        (Fill::Constant(_) | Fill::Shouted | Fill::Stamp, _) => "'before'".into(),
        (Fill::Touched, _) => "'never'".into(),
        (Fill::Volatile, _) => if number.is_multiple_of(2) {
            "NULL"
        } else {
            "'computed'"
        }
        .into(),
        (Fill::Theirs, _) if odd && number % 3 == 1 => "CAST(X'ff41' AS TEXT)".into(),
        // Whatever the column has by itself.
        _ if entity.before.len() > 3 && number.is_multiple_of(2) => "NULL".into(),
        _ => return None,
    })
}

fn insert(world: &mut World, entity: &Entity, row: &Row) {
    let mut names = Vec::new();
    let mut values = Vec::new();
    if entity.id != Id::None {
        names.push("id".to_owned());
        values.push(entity.id_before(row.number));
    }
    for (at, column) in entity.columns.iter().enumerate() {
        if let Some(value) = literal(world, entity, column, row, at) {
            names.push(named(&column.name));
            values.push(value);
        }
    }
    let given = match (entity.id, world.target) {
        (Id::Target, Target::Postgres) => " OVERRIDING SYSTEM VALUE",
        _ => "",
    };
    let sql = format!(
        "INSERT INTO {} ({}){given} VALUES ({})",
        world.table(&entity.table),
        names.join(", "),
        values.join(", ")
    );
    world.setup.push(sql);
}

/// Sets the references of a row, once all rows are there.
fn link(world: &mut World, entity: &Entity, row: &Row) {
    for (column, cell) in entity.columns.iter().zip(&row.cells) {
        if let (Fill::Ref { to, .. }, Cell::To(number)) = (&column.fill, cell) {
            let sql = format!(
                "UPDATE {} SET {} = {} WHERE code = 'code{}'",
                world.table(&entity.table),
                named(&column.name),
                world.entities[*to].id_before(*number),
                row.number
            );
            world.setup.push(sql);
        }
    }
}
