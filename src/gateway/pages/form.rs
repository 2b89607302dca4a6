//! A form to fill in.

use std::fmt;

use serde_json::{Value, json};

use super::html::Escaped;
use super::pair;

/// A form to fill in, posted to a path on this origin.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::gateway) struct Form {
    /// What its button says.
    pub(in crate::gateway) label: &'static str,
    /// The path that takes it.
    pub(in crate::gateway) action: String,
    /// Hidden fields, such as the token that proves the form is ours.
    pub(in crate::gateway) hidden: Vec<(String, String)>,
    /// What is filled in.
    pub(in crate::gateway) inputs: Vec<Input>,
}

/// Something to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Input {
    /// What is asked for.
    pub(in crate::gateway) label: &'static str,
    /// The name of the field.
    pub(in crate::gateway) name: &'static str,
    /// What may be answered.
    pub(in crate::gateway) kind: Kind,
}

/// What may be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Kind {
    /// So many characters at most, and one at least.
    Text(usize),
    /// Any of these.
    Any(Vec<String>),
    /// One of these, by value and label; the number is the one that most visitors want.
    One(Vec<(String, String)>, usize),
}

// === impl Form ===

impl Form {
    pub(super) fn html(&self) -> String {
        let hidden: String = self.hidden.iter().map(super::html::hidden).collect();
        let inputs: String = self.inputs.iter().map(Input::html).collect();
        format!(
            "<form method=\"post\" action=\"{}\" class=\"fill\">{hidden}\n{inputs}\
             <button class=\"button\" type=\"submit\"><span>{}</span></button></form>\n",
            Escaped(&self.action),
            Escaped(self.label),
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "label": self.label,
            "post": self.action,
            "fields": self.inputs.iter().map(Input::json).collect::<Vec<_>>(),
        })
    }

    pub(super) fn text(&self) -> String {
        pair(self.label, &format!("POST {}", self.action))
    }
}

impl fmt::Debug for Form {
    /// Without the hidden fields: there is a token among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().trim_end())
    }
}

// === impl Input ===

impl Input {
    fn html(&self) -> String {
        let (label, name) = (Escaped(self.label), Escaped(self.name));
        match &self.kind {
            Kind::Text(most) => format!(
                "<label>{label} <input type=\"text\" name=\"{name}\" maxlength=\"{most}\" \
                 required autocomplete=\"off\"></label>\n"
            ),
            Kind::Any(values) => {
                let tick = |value: &String| {
                    let value = Escaped(value);
                    format!(
                        "<label><input type=\"checkbox\" name=\"{name}\" value=\"{value}\"> \
                         {value}</label>\n"
                    )
                };
                let ticks: String = values.iter().map(tick).collect();
                format!("<fieldset>\n<legend>{label}</legend>\n{ticks}</fieldset>\n")
            }
            Kind::One(values, chosen) => {
                let option = |(at, (value, label)): (usize, &(String, String))| {
                    let selected = if at == *chosen { " selected" } else { "" };
                    let (value, label) = (Escaped(value), Escaped(label));
                    format!("<option value=\"{value}\"{selected}>{label}</option>")
                };
                let options: String = values.iter().enumerate().map(option).collect();
                format!("<label>{label} <select name=\"{name}\">{options}</select></label>\n")
            }
        }
    }

    fn json(&self) -> Value {
        let values: Vec<&String> = match &self.kind {
            Kind::Text(_) => vec![],
            Kind::Any(values) => values.iter().collect(),
            Kind::One(values, _) => values.iter().map(|(value, _)| value).collect(),
        };
        json!({ "name": self.name, "label": self.label, "values": values })
    }
}
