//! Triggers on the tables of the entities.

use tests::Target;

use crate::dice::Dice;
use crate::world::{Entity, Fill, World};

/// Triggers: one that fills a column of its own row, and one that writes to a table of its own.
pub fn draw(world: &mut World, entity: &Entity, dice: &mut Dice) {
    let table = world.table(&entity.table);
    let name = &entity.name;
    if entity
        .columns
        .iter()
        .any(|column| matches!(column.fill, Fill::Touched))
    {
        world
            .rules
            .touched
            .insert((world.place(&entity.table), "touched".into()));
        let own = match entity.key_column() {
            Some(key) => format!("{key} = NEW.{key}"),
            None => "code = NEW.code AND part = NEW.part".to_owned(),
        };
        world.setup.push(match world.target {
            Target::Sqlite => format!(
                "CREATE TRIGGER {name}_touch AFTER UPDATE ON {table} WHEN NEW.touched IS OLD.touched BEGIN \
                 UPDATE {table} SET touched = OLD.touched || '+' WHERE {own}; END"
            ),
            Target::Postgres => format!(
                "CREATE FUNCTION {name}_touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 NEW.touched := OLD.touched || '+'; RETURN NEW; END $$; \
                 CREATE TRIGGER {name}_touch BEFORE UPDATE ON {table} FOR EACH ROW \
                 WHEN (NEW.touched IS NOT DISTINCT FROM OLD.touched) EXECUTE FUNCTION {name}_touch()"
            ),
        });
    }
    if !dice.chance(15) || entity.replaces() {
        return;
    }
    let log = world.table(&format!("{name}_log"));
    world
        .rules
        .outside
        .insert(world.place(&format!("{name}_log")));
    world.setup.push(format!("CREATE TABLE {log} (what text)"));
    let event = dice.one_of(["INSERT", "UPDATE", "DELETE"]);
    world.setup.push(match world.target {
        Target::Sqlite => format!("CREATE TRIGGER {name}_noted AFTER {event} ON {table} BEGIN INSERT INTO {log} VALUES ('{event}'); END"),
        Target::Postgres => format!(
            "CREATE FUNCTION {name}_noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO {log} VALUES ('{event}'); RETURN NULL; END $$; \
             CREATE TRIGGER {name}_noted AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}_noted()"
        ),
    });
    world.add("accept_triggers", format!("{name}_noted").into());
}
