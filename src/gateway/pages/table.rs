//! Things of one kind on a page, each with what can be done to it.

use serde_json::{Map, Value, json};

use super::{Form, Way, line, pair, safe};

/// Things of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Table {
    /// What they are.
    pub(in crate::gateway) title: &'static str,
    /// What is said of each; the first names it.
    pub(in crate::gateway) columns: &'static [&'static str],
    /// The things.
    pub(in crate::gateway) rows: Vec<Row>,
    /// What is not shown.
    pub(in crate::gateway) note: Option<String>,
    /// What can be done to all of them.
    pub(in crate::gateway) actions: Vec<Way>,
    /// What makes one more.
    pub(in crate::gateway) form: Option<Form>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Row {
    /// One value for each column.
    pub(in crate::gateway) cells: Vec<String>,
    /// How its second value looks.
    pub(in crate::gateway) meter: Option<Meter>,
    /// What sets it apart from the others.
    pub(in crate::gateway) mark: Option<&'static str>,
    /// What can be done to it.
    pub(in crate::gateway) action: Option<Way>,
}

/// How much is left of something: a bar beside the words that say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Meter {
    /// What is left.
    pub(in crate::gateway) left: u32,
    /// Of how much.
    pub(in crate::gateway) of: u32,
}

/// What is left is little when it is less than one part of so many.
const LITTLE: u32 = 10;

// === impl Table ===

impl Table {
    /// Every way that leads from it.
    pub(super) fn ways(&self) -> impl Iterator<Item = &Way> {
        self.rows.iter().filter_map(Row::way_out).chain(self.ways_out())
    }

    pub(super) fn ways_out(&self) -> impl Iterator<Item = &Way> {
        safe(&self.actions)
    }

    /// The values of a row, each with the name of its column.
    pub(super) fn named<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.columns.iter().copied().zip(row.cells.iter().map(String::as_str))
    }

    pub(super) fn json(&self) -> Value {
        let row = |row: &Row| {
            let named = self.named(row).map(|(name, value)| (name.to_owned(), value.into()));
            let mut json: Map<_, _> = named.collect();
            if let Some(Meter { left, of }) = row.meter {
                json.insert("meter".into(), json!({ "left": left, "of": of }));
            }
            json.insert("mark".into(), row.mark.into());
            json.insert("action".into(), row.way_out().map(Way::json).into());
            json
        };
        let mut json = json!({
            "title": self.title,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "note": self.note,
            "actions": self.ways_out().map(Way::json).collect::<Vec<_>>(),
        });
        if let Some(form) = &self.form {
            json["form"] = form.json();
        }
        json
    }

    /// As paragraphs of plain text.
    pub(super) fn text(&self) -> Vec<String> {
        let row = |row| {
            let mut text: String = self.named(row).map(|(name, value)| pair(name, value)).collect();
            text.extend(row.mark.map(line));
            text.extend(row.way_out().map(Way::text));
            text
        };
        let mut blocks = vec![line(self.title)];
        blocks.extend(self.rows.iter().map(row));
        blocks.extend(self.note.as_deref().map(line));
        blocks.push(self.ways_out().map(Way::text).collect());
        blocks.extend(self.form.as_ref().map(Form::text));
        blocks
    }
}

// === impl Row ===

impl Row {
    pub(super) fn way_out(&self) -> Option<&Way> {
        self.action.as_ref().filter(|way| way.is_safe())
    }
}

// === impl Meter ===

impl Meter {
    /// The words beside it say the same, so it is not read out.
    pub(super) fn html(self) -> String {
        let Self { left, of } = self;
        let low = of / LITTLE;
        format!(
            "<meter min=\"0\" low=\"{low}\" max=\"{of}\" optimum=\"{of}\" value=\"{left}\" \
             aria-hidden=\"true\"></meter>"
        )
    }
}
