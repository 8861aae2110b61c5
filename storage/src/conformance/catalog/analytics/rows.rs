//! Rows of a view, by column.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::Catalog;
use crate::analytics::{AnalyticsQuery, Kind, Value, find};

/// A row of a view.
#[derive(Clone, Debug)]
pub struct Row(BTreeMap<&'static str, Value>);

/// All rows of a view. Each value has to be of its column's kind.
pub async fn rows(catalog: &dyn Catalog, view: &str) -> Vec<Row> {
    rows_of(catalog, &AnalyticsQuery::all(find(view).unwrap())).await
}

/// The rows that a query gives.
pub async fn rows_of(catalog: &dyn Catalog, query: &AnalyticsQuery) -> Vec<Row> {
    let mut found = Vec::new();
    let columns = query.view.columns;
    let mut keep = |values: Vec<Value>| {
        assert_eq!(values.len(), columns.len());
        let row = columns.iter().zip(values).map(|(column, value)| {
            let fits = match &value {
                Value::Null => true,
                Value::Text(_) => column.kind == Kind::Text,
                Value::Integer(_) => column.kind == Kind::Integer,
                Value::Real(number) => column.kind == Kind::Real && number.is_finite(),
                Value::Boolean(_) => column.kind == Kind::Boolean,
                Value::Day(_) => column.kind == Kind::Day,
                Value::Time(_) => column.kind == Kind::Time,
            };
            assert!(fits, "{}.{} is {value:?}", query.view.name, column.name);
            (column.name, value)
        });
        found.push(Row(row.collect()));
        ControlFlow::Continue(())
    };
    catalog.analytics(query, &mut keep).await.unwrap();
    found
}

impl Row {
    /// A number.
    pub fn real(&self, column: &str) -> f64 {
        match &self.0[column] {
            Value::Real(number) => *number,
            other => panic!("{column} is {other:?} in {self:?}"),
        }
    }

    /// A whole number.
    pub fn count(&self, column: &str) -> usize {
        match &self.0[column] {
            Value::Integer(number) => usize::try_from(*number).unwrap(),
            other => panic!("{column} is {other:?} in {self:?}"),
        }
    }

    /// Any value as text; null as the empty text.
    pub fn text(&self, column: &str) -> String {
        match &self.0[column] {
            Value::Null => String::new(),
            Value::Text(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Boolean(yes) => yes.to_string(),
            Value::Day(day) => day.to_string(),
            other => panic!("{column} is {other:?} in {self:?}"),
        }
    }

    /// A number, or none.
    pub fn optional(&self, column: &str) -> Option<f64> {
        (self.0[column] != Value::Null).then(|| self.real(column))
    }
}

/// Equal but for rounding.
#[track_caller]
pub fn assert_near(found: f64, expected: f64, what: &str) {
    let difference = (found - expected).abs();
    assert!(
        difference <= 1e-9 * expected.abs().max(1.0),
        "{what}: {found} instead of {expected}"
    );
}

/// The value below which a share of the values lies, between its two neighbours in proportion.
pub fn percentile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let position = share * (values.len() - 1) as f64;
    let below = values[position.floor() as usize];
    let above = values[position.ceil() as usize];
    below + (above - below) * position.fract()
}

/// The mean.
pub fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// The share of those for which it holds.
pub fn share<T>(values: &[T], holds: impl Fn(&T) -> bool) -> f64 {
    values.iter().filter(|value| holds(value)).count() as f64 / values.len() as f64
}
