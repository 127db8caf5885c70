//! CEL, the one expression language of the plan: policies, computed fields and `where`.

mod bounds;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bounds::{Steps, bounded, too_many};
use cel::common::ast::IdedExpr;
use cel::{Context, Env, Program, Value as Cel};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Number, Value};

use crate::plan::Type;

/// The name under which `has(column)` finds the columns that have a value.
const PRESENT: &str = "present";

/// So many bytes an expression may have: a chain of operators is evaluated as deep as it is long.
const LONGEST: usize = 4096;

/// So many characters of what is wrong with an expression are shown.
const SHOWN: usize = 1000;

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    /// With the steps of an evaluation counted.
    bounded: IdedExpr,
    names: Vec<String>,
    /// Where it stands in the plan, where that is known.
    line: Option<usize>,
}

/// The values that an expression can see.
#[derive(Debug, Default)]
pub struct Scope {
    values: HashMap<String, Cel>,
}

impl Scope {
    /// Adds a column. An absent column is added as null, so that a rule can ask for it.
    /// A timestamp becomes a CEL timestamp, an integer of up to 64 bits a CEL int, a decimal a
    /// CEL double (for comparison only), a date and a UUID text.
    pub fn column(&mut self, name: &str, value: &Value, kind: Type) {
        let typed = match (kind, value) {
            (Type::Timestamp, Value::String(text)) => {
                DateTime::parse_from_rfc3339(text).map(Cel::Timestamp).ok()
            }
            (Type::Decimal, Value::Number(number)) => number.as_f64().map(Cel::Float),
            _ => None,
        };
        self.values
            .insert(name.to_owned(), typed.unwrap_or_else(|| to_cel(value)));
    }

    /// Adds a map of untyped values, such as `source`.
    pub fn map<'a>(&mut self, name: &str, entries: impl Iterator<Item = (&'a str, Value)>) {
        let entries: HashMap<String, Cel> = entries
            .map(|(key, value)| (key.to_owned(), to_cel(&value)))
            .collect();
        self.values.insert(name.to_owned(), entries.into());
    }
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// What the parser found, in one line.
    pub fn compile(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!(
                "the expression has {} bytes: {LONGEST} are the most",
                text.len()
            ));
        }
        let program = Program::compile(&with_present(text)).map_err(|errors| {
            // The first alone: each repeats the line in which it stands.
            let first = errors.errors.first().map(ToString::to_string);
            let words: Vec<&str> = first
                .iter()
                .flat_map(|text| text.split_whitespace())
                .collect();
            let text: String = words.join(" ").chars().take(SHOWN).collect();
            format!("the expression is not CEL: {text}")
        })?;
        let mut names: Vec<String> = program
            .references()
            .variables()
            .into_iter()
            .map(str::to_owned)
            .collect();
        names.sort_unstable();
        Ok(Self {
            bounded: bounded(program.expression()),
            names,
            line: None,
        })
    }

    /// Says on which line of the plan it stands: errors name it.
    #[must_use]
    pub fn on_line(self, line: usize) -> Self {
        Self {
            line: Some(line),
            ..self
        }
    }

    /// Returns the names that the expression refers to, sorted; those that a macro such as
    /// `list.all(x, …)` binds are among them.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Evaluates to true or false.
    ///
    /// # Errors
    ///
    /// An evaluation that fails or gives something else, in words.
    pub fn holds(&self, scope: &Scope) -> Result<bool, String> {
        match self.run(scope)? {
            Cel::Bool(answer) => Ok(answer),
            other => Err(format!(
                "the rule gives {} instead of true or false",
                other.type_of()
            )),
        }
    }

    /// Evaluates to a value for a column.
    ///
    /// # Errors
    ///
    /// An evaluation that fails, or a result that a record can't hold exactly (a binary float).
    pub fn value(&self, scope: &Scope) -> Result<Value, String> {
        from_cel(&self.run(scope)?)
    }

    fn run(&self, scope: &Scope) -> Result<Cel, String> {
        static ENV: OnceLock<Arc<Env>> = OnceLock::new();
        let env = ENV.get_or_init(|| {
            let mut env = Env::stdlib();
            // `lowerAscii`, `split`, `replace`, `substring`, …: it fails only where two names clash.
            env.add_extension(cel::extensions::strings).ok();
            Arc::new(env)
        });
        let mut context = Context::with_env(Arc::clone(env));
        for name in &self.names {
            if name == PRESENT {
                let present: HashMap<String, Cel> = scope
                    .values
                    .iter()
                    .filter(|(_, value)| !matches!(value, Cel::Null))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                context.add_variable_from_value(PRESENT, present);
            } else if let Some(value) = scope.values.get(name) {
                context.add_variable_from_value(name.as_str(), value.clone());
            }
        }
        let steps = Steps::default();
        steps.count_in(&mut context)?;
        let result = Cel::resolve(&self.bounded, &context);
        let place = self.line;
        let place = place.map_or_else(String::new, |line| format!(" on line {line} of the plan"));
        if steps.are_used_up() {
            return Err(format!("the expression{place} fails: {}", too_many()));
        }
        result.map_err(|error| format!("the expression{place} fails: {error}"))
    }
}

/// CEL's `has` wants a member (`has(a.b)`); a plan asks for a column (`has(endTime)`). Outside
/// string literals, `has(name)` becomes `has(present.name)`.
fn with_present(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if c == '"' || c == '\'' {
            let mut escaped = false;
            let end = rest[1..].find(|d| {
                let ends = d == c && !escaped;
                escaped = d == '\\' && !escaped;
                ends
            });
            let end = end.map_or(rest.len(), |end| end + 2);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            before = c;
            continue;
        }
        if !word(before)
            && before != '.'
            && let Some(inner) = rest
                .strip_prefix("has")
                .map(str::trim_start)
                .and_then(|rest| rest.strip_prefix('('))
            && let Some((name, after)) = inner.split_once(')')
            && !name.trim().is_empty()
            && name.trim().chars().all(word)
        {
            for part in ["has(", PRESENT, ".", name.trim(), ")"] {
                out.push_str(part);
            }
            rest = after;
            before = ')';
            continue;
        }
        out.push(c);
        before = c;
        rest = &rest[c.len_utf8()..];
    }
    out
}

fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cel::Int(whole),
            (None, Some(float)) => Cel::Float(float),
            (None, None) => Cel::from(number.to_string()),
        },
        Value::String(text) => Cel::from(text.as_str()),
        Value::Array(items) => Cel::from(items.iter().map(to_cel).collect::<Vec<_>>()),
        Value::Object(members) => Cel::from(
            members
                .iter()
                .map(|(key, value)| (key.clone(), to_cel(value)))
                .collect::<HashMap<_, _>>(),
        ),
    }
}

fn from_cel(value: &Cel) -> Result<Value, String> {
    Ok(match value {
        Cel::Null => Value::Null,
        Cel::Bool(value) => Value::Bool(*value),
        Cel::Int(whole) => Value::Number(Number::from(*whole)),
        Cel::UInt(whole) => Value::Number(Number::from(*whole)),
        Cel::String(text) => Value::String(text.to_string()),
        Cel::Timestamp(moment) => Value::String(
            moment
                .with_timezone(&Utc)
                .to_rfc3339_opts(SecondsFormat::AutoSi, true),
        ),
        Cel::List(items) => Value::Array(items.iter().map(from_cel).collect::<Result<_, _>>()?),
        Cel::Map(map) => {
            let mut members: Vec<_> = map
                .map
                .iter()
                .map(|(key, value)| (key.to_string(), value))
                .collect();
            members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let members = members
                .into_iter()
                .map(|(key, value)| Ok((key, from_cel(value)?)));
            Value::Object(members.collect::<Result<Map<_, _>, String>>()?)
        }
        Cel::Float(_) => {
            return Err("the expression gives a binary float, which is not exact".into());
        }
        other => {
            return Err(format!(
                "the expression gives {}, which no column can hold",
                other.type_of()
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope() -> Scope {
        let mut scope = Scope::default();
        scope.column("startTime", &json!("2024-01-15T08:00:00Z"), Type::Timestamp);
        scope.column("endTime", &Value::Null, Type::Timestamp);
        scope.column("title", &json!("has(title)"), Type::Text);
        scope.column(
            "price",
            &serde_json::from_str("12.50").unwrap(),
            Type::Decimal,
        );
        scope.map("source", [("First name", json!("Ann"))].into_iter());
        scope
    }

    #[test]
    fn has_asks_for_a_column_with_a_value() {
        let rule = "!has(endTime) || endTime >= startTime";
        assert_eq!(Expression::compile(rule).unwrap().holds(&scope()), Ok(true));
        let mut late = scope();
        late.column("endTime", &json!("2024-01-15T07:59:59Z"), Type::Timestamp);
        assert_eq!(Expression::compile(rule).unwrap().holds(&late), Ok(false));
        assert_eq!(
            Expression::compile("title == 'has(title)'")
                .unwrap()
                .holds(&scope()),
            Ok(true)
        );
    }

    #[test]
    fn a_binary_float_is_never_a_value() {
        let error = Expression::compile("price * 2.0")
            .unwrap()
            .value(&scope())
            .unwrap_err();
        assert!(error.contains("binary float"), "{error}");
        assert_eq!(
            Expression::compile("price > 12.0").unwrap().holds(&scope()),
            Ok(true)
        );
    }

    #[test]
    fn computed_text_sees_the_source() {
        let value = Expression::compile("source['First name'] + '!'")
            .unwrap()
            .value(&scope());
        assert_eq!(value, Ok(json!("Ann!")));
    }

    #[test]
    fn texts_can_be_taken_apart() {
        let value = Expression::compile("'Social; Dining'.split(';')[0].lowerAscii()")
            .unwrap()
            .value(&scope());
        assert_eq!(value, Ok(json!("social")));
    }

    #[test]
    fn a_map_is_gone_through_in_the_order_of_its_keys() {
        let rule = "{'b': 1, 'c': 1, 'a': 1, 'e': 1, 'd': 1}.map(k, k)";
        let expression = Expression::compile(rule).unwrap();
        for _ in 0..20 {
            let keys = expression.value(&scope());
            assert_eq!(keys, Ok(json!(["a", "b", "c", "d", "e"])));
        }
        let mut scope = scope();
        scope.column("m", &json!({"y": 1, "x": 2, "z": 3}), Type::Json);
        let rule = "m.filter(k, m[k] > 1).map(k, k + '=' + string(m[k]))";
        let made = Expression::compile(rule).unwrap().value(&scope);
        assert_eq!(made, Ok(json!(["x=2", "z=3"])));
    }

    #[test]
    fn a_long_expression_is_refused_and_the_longest_does_not_fill_the_stack() {
        let play = || {
            for part in ["n-", "n.", "n+", "!", "(", "[", "n?n:", "-"] {
                let text = part.repeat(LONGEST / part.len() - 1) + "n";
                if let Ok(expression) = Expression::compile(&text) {
                    expression.value(&scope()).ok();
                }
            }
        };
        // As much as the first thread of a program has.
        let thread = std::thread::Builder::new().stack_size(8 << 20);
        thread.spawn(play).unwrap().join().unwrap();
        let error = Expression::compile(&"n-".repeat(LONGEST)).unwrap_err();
        assert_eq!(error, "the expression has 8192 bytes: 4096 are the most");
    }

    #[test]
    fn an_evaluation_ends() {
        let mut scope = scope();
        let many: Vec<i64> = (0..300).collect();
        scope.column("many", &json!(many), Type::Json);
        let doubled = (0..40).fold("'0123456789'".to_owned(), |text, _| {
            format!("[{text}].map(v, v + v)[0]")
        });
        let began = std::time::Instant::now();
        for rule in [
            "many.all(a, many.all(b, many.all(c, true)))",
            "many.exists(a, many.exists(b, many.exists(c, false)))",
            "size(many.map(a, many.map(b, many.map(c, c)))) > 0",
            "many.filter(a, many.filter(b, many.exists_one(c, c == 400)) == []) == []",
            &format!("{doubled} == ''"),
        ] {
            let error = Expression::compile(rule).unwrap().holds(&scope);
            assert_eq!(
                error,
                Err("the expression fails: it takes more than 1000000 steps for one record".into()),
                "{rule}"
            );
        }
        assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    }

    #[test]
    fn what_is_bounded_gives_what_it_gave() {
        let mut scope = scope();
        scope.column("tags", &json!(["vip", "old", "x"]), Type::Json);
        for (rule, value) in [
            ("tags.map(t, t.upperAscii())", json!(["VIP", "OLD", "X"])),
            ("tags.map(t, t != 'x', t + '!')", json!(["vip!", "old!"])),
            ("tags.exists(t, t == 'old')", json!(true)),
            ("tags.exists(t, t == 1 || t == 'x')", json!(true)),
            ("tags.exists_one(t, t == 'old')", json!(true)),
            ("tags.all(t, size(t) > 1)", json!(false)),
            ("title == '' ? 1 : 2", json!(2)),
            ("title != '' || 1 / 0 == 1", json!(true)),
            ("tags + ['y']", json!(["vip", "old", "x", "y"])),
            ("{'a': tags[0], 'b': -1}", json!({"a": "vip", "b": -1})),
            (
                "[1, 2].map(a, [3, 4].map(b, a * b))",
                json!([[3, 4], [6, 8]]),
            ),
        ] {
            let made = Expression::compile(rule).unwrap().value(&scope);
            assert_eq!(made, Ok(value), "{rule}");
        }
    }

    #[test]
    fn what_is_no_cel_is_an_error_in_one_line() {
        let error = Expression::compile("a >").unwrap_err();
        assert!(
            error.starts_with("the expression is not CEL") && !error.contains('\n'),
            "{error}"
        );
    }
}
