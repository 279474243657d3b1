//! A value of an axis of the matrix.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A value of an axis of the matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a number, a text, true or false, or a table with a `name` and such values or \
                 lists of them"
)]
pub enum AxisValue {
    /// A value that is its own name.
    Scalar(Scalar),
    /// A name and what goes with it.
    Named {
        /// The name.
        name: String,
        /// What `${axis.key}` stands for.
        #[serde(flatten)]
        fields: IndexMap<String, FieldValue>,
    },
}

/// What goes with the name of a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a number, a text, true or false, or a list of them"
)]
pub enum FieldValue {
    /// One value.
    One(Scalar),
    /// A list, such as the widths of layers.
    List(Vec<Scalar>),
}

/// A single value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number, a text, true or false")]
pub enum Scalar {
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// On or off.
    Switch(bool),
    /// A text.
    Text(String),
}
