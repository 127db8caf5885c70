//! Bounds of an evaluation: a plan that comes from others can't make it run on, or fill the memory; and what it
//! goes through has an order.
//!
//! The library has neither, so the expression is rewritten once, when it is compiled: calls that count their
//! steps are put around what costs something.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::ast::operators;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, ListExpr, MapExpr, SelectExpr,
};
use cel::objects::Key;
use cel::{Context, ExecutionError, Value as Cel};

/// How many steps an evaluation may take. A step is a call or a turn of a loop, [`TEXT`] bytes of a text or
/// [`ITEMS`] elements of a list that it gives. (A million steps take about a second.)
pub(super) const STEPS: u64 = 1_000_000;

/// So many bytes of a text count as a step.
const TEXT: usize = 64;

/// So many elements of a list count as a step.
const ITEMS: usize = 16;

/// Counts what it is put around as steps. No name in an expression can be this one.
const COUNTED: &str = "@counted";

/// The same, and gives the keys of a map as a list in order.
const ORDERED: &str = "@ordered";

/// The steps of one evaluation.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps(Arc<AtomicU64>);

impl Steps {
    /// Tells the context of an evaluation how to count.
    pub(super) fn count_in(&self, context: &mut Context<'_, '_>) -> Result<(), String> {
        let (counted, ordered) = (self.clone(), self.clone());
        let added = context
            .add_function(COUNTED, move |value: Cel| counted.add(value))
            .and_then(|()| {
                context.add_function(ORDERED, move |value: Cel| ordered.add(sorted(value)))
            });
        added.map_err(|error| error.to_string())
    }

    /// Whether there were too many: an error that an expression itself passes over counts all the same.
    pub(super) fn are_used_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) > STEPS
    }

    fn add(&self, value: Cel) -> Result<Cel, ExecutionError> {
        let size = match &value {
            Cel::String(text) => text.len() / TEXT,
            Cel::Bytes(bytes) => bytes.len() / TEXT,
            Cel::List(items) => items.len() / ITEMS,
            Cel::Map(map) => map.map.len() / ITEMS,
            _ => 0,
        };
        let steps = 1 + u64::try_from(size).unwrap_or(STEPS);
        if self.0.fetch_add(steps, Ordering::Relaxed) + steps > STEPS {
            return Err(ExecutionError::function_error("steps", too_many()));
        }
        Ok(value)
    }
}

/// What is said of an expression that takes too many steps.
pub(super) fn too_many() -> String {
    format!("it takes more than {STEPS} steps for one record")
}

/// The keys of a map in order; anything else as it is.
fn sorted(value: Cel) -> Cel {
    let Cel::Map(map) = &value else { return value };
    let mut keys: Vec<&Key> = map.map.keys().collect();
    keys.sort_by(|a, b| rank(a).cmp(&rank(b)));
    Cel::from(keys.into_iter().map(key).collect::<Vec<_>>())
}

/// Numbers before texts, each in its own order.
fn rank(key: &Key) -> (u8, i128, &str) {
    match key {
        Key::Bool(value) => (0, i128::from(*value), ""),
        Key::Int(value) => (1, i128::from(*value), ""),
        Key::Uint(value) => (1, i128::from(*value), ""),
        Key::String(text) => (2, 0, text),
    }
}

fn key(key: &Key) -> Cel {
    match key {
        Key::Bool(value) => Cel::Bool(*value),
        Key::Int(value) => Cel::Int(*value),
        Key::Uint(value) => Cel::UInt(*value),
        Key::String(text) => Cel::String(Arc::clone(text)),
    }
}

/// Returns an expression that gives the same and counts its steps.
pub(super) fn bounded(from: &IdedExpr) -> IdedExpr {
    let expr = match &from.expr {
        Expr::Call(call) => {
            let inner = Expr::Call(CallExpr {
                func_name: call.func_name.clone(),
                target: call.target.as_ref().map(|target| Box::new(bounded(target))),
                args: call.args.iter().map(bounded).collect(),
            });
            if is_control(call) {
                inner
            } else {
                return around(
                    COUNTED,
                    IdedExpr {
                        id: from.id,
                        expr: inner,
                    },
                );
            }
        }
        Expr::Comprehension(each) => Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range: around(ORDERED, bounded(&each.iter_range)),
            iter_var: each.iter_var.clone(),
            iter_var2: each.iter_var2.clone(),
            accu_var: each.accu_var.clone(),
            accu_init: each.accu_init.clone(),
            loop_cond: each.loop_cond.clone(),
            loop_step: turn(&each.loop_step, &each.accu_var),
            result: each.result.clone(),
        })),
        Expr::List(list) => Expr::List(ListExpr {
            elements: list.elements.iter().map(bounded).collect(),
            optional_indices: list.optional_indices.clone(),
        }),
        Expr::Map(map) => {
            let mut entries = map.entries.clone();
            for entry in &mut entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    entry.key = bounded(&entry.key);
                    entry.value = bounded(&entry.value);
                }
            }
            Expr::Map(MapExpr { entries })
        }
        Expr::Select(select) => Expr::Select(SelectExpr {
            operand: Box::new(bounded(&select.operand)),
            field: select.field.clone(),
            test: select.test,
        }),
        other => other.clone(),
    };
    IdedExpr { id: from.id, expr }
}

/// One turn of a loop: what the plan wrote in it is counted. The shape that the macro gave the turn stays: the
/// library knows it, and appends to a list without copying it.
fn turn(step: &IdedExpr, result: &str) -> IdedExpr {
    let is_result = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name == result);
    match &step.expr {
        _ if is_result(step) => step.clone(),
        Expr::Call(call) if of_macro(call) && call.args.iter().any(|part| holds(part, result)) => {
            let args = call.args.iter().map(|part| turn(part, result)).collect();
            IdedExpr {
                id: step.id,
                expr: Expr::Call(CallExpr {
                    func_name: call.func_name.clone(),
                    target: None,
                    args,
                }),
            }
        }
        Expr::List(list) => IdedExpr {
            id: step.id,
            expr: Expr::List(ListExpr {
                elements: list
                    .elements
                    .iter()
                    .map(|part| around(COUNTED, bounded(part)))
                    .collect(),
                optional_indices: list.optional_indices.clone(),
            }),
        },
        _ => around(COUNTED, bounded(step)),
    }
}

/// Tells whether a macro makes such calls of what a loop has gathered.
fn of_macro(call: &CallExpr) -> bool {
    is_control(call) || call.func_name == operators::ADD
}

/// Tells whether a part is what a loop has gathered, or something made of it.
fn holds(part: &IdedExpr, result: &str) -> bool {
    match &part.expr {
        Expr::Ident(name) => name == result,
        Expr::Call(call) => of_macro(call) && call.args.iter().any(|part| holds(part, result)),
        _ => false,
    }
}

/// Tells whether a call may leave some of its arguments alone: it costs nothing itself.
fn is_control(call: &CallExpr) -> bool {
    [
        operators::CONDITIONAL,
        operators::LOGICAL_AND,
        operators::LOGICAL_OR,
    ]
    .contains(&call.func_name.as_str())
}

fn around(function: &str, part: IdedExpr) -> IdedExpr {
    IdedExpr {
        id: part.id,
        expr: Expr::Call(CallExpr {
            func_name: function.to_owned(),
            target: None,
            args: vec![part],
        }),
    }
}
