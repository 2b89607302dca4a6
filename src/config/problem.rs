//! Problems: what is wrong with a configuration, where, and the way out, as the operator reads it.

use std::fmt;
use std::io;
use std::path::Path;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// The file, as it was named.
    pub file: String,
    /// The line, from one; 0 when the problem is the file itself.
    pub line: usize,
    /// The column, from one, in characters.
    pub column: usize,
    /// The line's text; secrets in it are masked.
    pub snippet: String,
    /// How many characters of the snippet stand before the problem.
    pub indent: usize,
    /// How many characters the problem spans.
    pub width: usize,
    /// A way out, said beside the carets.
    pub help: Option<String>,
    /// More ways out, or what one needs to know.
    pub notes: Vec<String>,
}

/// Everything that is wrong with a configuration, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: String,
    problems: Vec<Problem>,
}

// === impl Problems ===

impl Problems {
    pub(super) fn new(file: &Path, problems: Vec<Problem>) -> Self {
        Self { file: file.display().to_string(), problems }
    }

    /// The file cannot be read at all.
    pub fn unreadable(file: &Path, error: &io::Error) -> Self {
        let name = file.display().to_string();
        let note = match error.kind() {
            io::ErrorKind::NotFound => {
                "write one, or name another file; config/minimal.yaml is a start"
            }
            io::ErrorKind::PermissionDenied => "let the user that runs Gatekeep read it",
            io::ErrorKind::InvalidData => "save it as UTF-8 text",
            _ => "name a file that holds the configuration",
        };
        let problem = Problem {
            message: format!("cannot read `{name}`: {error}"),
            file: name,
            line: 0,
            column: 0,
            snippet: String::new(),
            indent: 0,
            width: 0,
            help: None,
            notes: vec![note.to_owned()],
        };
        Self::new(file, vec![problem])
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}\n")?;
        }
        let (count, s) = (self.problems.len(), if self.problems.len() == 1 { "" } else { "s" });
        write!(f, "{count} problem{s} in {}", self.file)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let gutter = if self.line == 0 { 0 } else { self.line.to_string().len() };
        if self.line > 0 {
            self.fmt_snippet(f, gutter)?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n{:gutter$} = {note}", ""))
    }
}

// === impl Problem ===

impl Problem {
    fn fmt_snippet(&self, f: &mut fmt::Formatter<'_>, gutter: usize) -> fmt::Result {
        let Self { file, line, column, snippet, indent, width, .. } = self;
        write!(f, "\n{:gutter$}——▶ {file}:{line}:{column}", "")?;
        write!(f, "\n{:gutter$} │\n{line} │ {snippet}", "")?;
        write!(f, "\n{:gutter$} │ {:indent$}{:^^width$}", "", "", "")?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " {help}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        Problem {
            message: "unknown key `polcy`".to_owned(),
            file: "config/gatekeep.yaml".to_owned(),
            line: 14,
            column: 5,
            snippet: "    polcy: { teams: [acme/platform] }".to_owned(),
            indent: 4,
            width: 5,
            help: Some("did you mean `policy`?".to_owned()),
            notes: vec!["a note".to_owned()],
        }
    }

    #[test]
    fn a_problem_shows_its_place_and_a_way_out() {
        let problems = Problems::new(Path::new("config/gatekeep.yaml"), vec![problem(), problem()]);
        let one = "error: unknown key `polcy`\n  ——▶ config/gatekeep.yaml:14:5\n   │\n\
                   14 │     polcy: { teams: [acme/platform] }\n   │     ^^^^^ did you mean `policy`?\n   = a note\n";
        assert_eq!(
            problems.to_string(),
            format!("{one}\n{one}\n2 problems in config/gatekeep.yaml")
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_has_no_place() {
        let error = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(
            Problems::unreadable(Path::new("x.yaml"), &error).to_string(),
            "error: cannot read `x.yaml`: entity not found\n \
             = write one, or name another file; config/minimal.yaml is a start\n\n1 problem in x.yaml"
        );
    }
}
