//! Tests on JSON values: two-valued, a value of another type class never matches (contract/expressions.md 6, 9).

use crate::json::{Json, Number, elements, unescape};
use crate::node::{JsonSet, JsonTest, Literal, Quantifier, Relation};
use crate::numbers::Operation;
use std::cmp::Ordering;

impl JsonTest {
    pub fn matches(&self, value: Json<'_>, arithmetic: Option<(Operation, Number)>) -> bool {
        match arithmetic {
            None => self.holds(value),
            Some((operation, constant)) => compute(operation, value, constant).is_some_and(|v| self.holds(v)),
        }
    }

    fn holds(&self, value: Json<'_>) -> bool {
        match self {
            Self::Compare(Relation::Equal, literal) => equals(value, literal),
            Self::Compare(relation, literal) => relation.holds(order(value, literal)),
            Self::Range { low, low_closed, high, high_closed } => {
                let above = if *low_closed { Relation::GreaterEqual } else { Relation::Greater };
                let below = if *high_closed { Relation::LessEqual } else { Relation::Less };
                above.holds(order(value, low)) && below.holds(order(value, high))
            }
            Self::In(set) => set.contains(value),
            Self::Text(test) => match value {
                Json::Text(raw) => test.matches(&unescape(raw)),
                _ => false,
            },
            Self::Contains(items, quantifier) => contains(value, items, *quantifier),
        }
    }
}

/// Integers stay integers when both are; other values have no arithmetic.
fn compute(operation: Operation, value: Json<'_>, constant: Number) -> Option<Json<'static>> {
    let Json::Number(number) = value else { return None };
    Some(Json::Number(match (number, constant) {
        (Number::Int(a), Number::Int(b)) => Number::Int(operation.on_ints(a, b)),
        (a, b) => Number::Float(operation.on_floats(a.as_f64(), b.as_f64())?),
    }))
}

fn order_numbers(a: Number, b: Number) -> Option<Ordering> {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
        (a, b) => a.as_f64().partial_cmp(&b.as_f64()),
    }
}

fn order(value: Json<'_>, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Json::Number(a), Literal::Int(b)) => order_numbers(a, Number::Int(*b)),
        (Json::Number(a), Literal::Float(b)) => order_numbers(a, Number::Float(*b)),
        (Json::Bool(a), Literal::Bool(b)) => Some(a.cmp(b)),
        (Json::Text(raw), Literal::Text(text)) => Some((*unescape(raw)).cmp(text)),
        _ => None,
    }
}

fn equals(value: Json<'_>, literal: &Literal) -> bool {
    match (value, literal) {
        (Json::Array(bytes), Literal::Array(items)) => {
            let mut rest = items.iter();
            elements(bytes).all(|element| rest.next().is_some_and(|item| equals(element, item)))
                && rest.next().is_none()
        }
        _ => order(value, literal) == Some(Ordering::Equal),
    }
}

fn contains(value: Json<'_>, items: &[Literal], quantifier: Quantifier) -> bool {
    let Json::Array(bytes) = value else { return false };
    let found = |item: &Literal| elements(bytes).any(|element| equals(element, item));
    match quantifier {
        Quantifier::Any => items.iter().any(found),
        Quantifier::All => items.iter().all(found),
    }
}

/// Below it every integer has its own double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl JsonSet {
    fn contains(&self, value: Json<'_>) -> bool {
        match value {
            Json::Bool(value) => self.bools[usize::from(value)],
            Json::Text(raw) => self.texts.contains(&unescape(raw)),
            Json::Number(Number::Int(value)) => self.ints.contains(value) || self.floats.contains(&(value as f64)),
            Json::Number(Number::Float(value)) => self.floats.contains(&value) || self.contains_as_int(value),
            Json::Array(_) => self.arrays.iter().any(|item| equals(value, item)),
            Json::Null | Json::Object(_) => false,
        }
    }

    fn contains_as_int(&self, value: f64) -> bool {
        if value.abs() < EXACT_MAX {
            return value.fract() == 0.0 && self.ints.contains(value as i64);
        }
        self.ints.values().iter().any(|&int| int as f64 == value)
    }
}
