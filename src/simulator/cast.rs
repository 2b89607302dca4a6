//! The people of the simulated GitHub, and what each is there to show.

/// Somebody with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// GitHub's number for them: it stays when the login changes.
    pub id: u64,
    /// The name they sign in with.
    pub login: String,
    /// The name they are shown by, if they gave one.
    pub name: Option<String>,
    /// One sentence for the page where a person is picked.
    pub about: String,
    /// E-mail addresses, in GitHub's order.
    pub emails: Vec<Email>,
    /// The organizations they belong to or are invited to.
    pub orgs: Vec<Membership>,
    /// Their teams, as `org/slug`.
    pub teams: Vec<String>,
}

/// An e-mail address and what GitHub knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The address.
    pub address: String,
    /// Whether mail goes there.
    pub primary: bool,
    /// Whether it was proven to be theirs.
    pub verified: bool,
}

/// A place in an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The organization's login.
    pub org: String,
    /// An owner, which the API calls `admin`; else a `member`.
    pub owner: bool,
    /// Invited and not yet accepted.
    pub pending: bool,
}

// === impl Person ===

impl Person {
    /// Somebody with neither addresses nor company.
    pub fn new(id: u64, login: &str) -> Self {
        Self {
            id,
            login: login.to_owned(),
            name: None,
            about: "Somebody a test made up.".to_owned(),
            emails: Vec::new(),
            orgs: Vec::new(),
            teams: Vec::new(),
        }
    }

    /// Shown by this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Introduced by this sentence.
    #[must_use]
    pub fn about(mut self, sentence: &str) -> Self {
        sentence.clone_into(&mut self.about);
        self
    }

    /// Has this address; the first verified one is the primary.
    #[must_use]
    pub fn email(mut self, address: &str, verified: bool) -> Self {
        let primary = verified && !self.emails.iter().any(|email| email.primary);
        self.emails.push(Email { address: address.to_owned(), primary, verified });
        self
    }

    /// Is a member of the organization.
    #[must_use]
    pub fn member_of(self, org: &str) -> Self {
        self.joins(org, false, false)
    }

    /// Owns the organization.
    #[must_use]
    pub fn owner_of(self, org: &str) -> Self {
        self.joins(org, true, false)
    }

    /// Is invited to the organization and has not answered.
    #[must_use]
    pub fn invited_to(self, org: &str) -> Self {
        self.joins(org, false, true)
    }

    /// Is in this team, written `org/slug`.
    #[must_use]
    pub fn team(mut self, team: &str) -> Self {
        self.teams.push(team.to_owned());
        self
    }

    /// Their place in the organization; GitHub compares logins without case.
    pub fn membership(&self, org: &str) -> Option<&Membership> {
        self.orgs.iter().find(|membership| membership.org.eq_ignore_ascii_case(org))
    }

    fn joins(mut self, org: &str, owner: bool, pending: bool) -> Self {
        self.orgs.push(Membership { org: org.to_owned(), owner, pending });
        self
    }
}

/// Everybody, in the order of the page where a person is picked.
pub fn everyone() -> Vec<Person> {
    vec![octocat(), hubot(), mona(), stranger()]
}

/// The ordinary colleague: one organization, one team, and an address nobody verified.
pub fn octocat() -> Person {
    Person::new(583_231, "octocat")
        .named("The Octocat")
        .about("An ordinary colleague: member of acme, in its platform team.")
        .email("octocat@github.example", true)
        .email("octocat@unverified.example", false)
        .member_of("acme")
        .team("acme/platform")
}

/// The one in every team: 132 of them, so that one page does not hold them all.
pub fn hubot() -> Person {
    let person = Person::new(480_938, "hubot")
        .named("Hubot")
        .about("In all of acme's 132 teams, the admins included.")
        .email("hubot@acme.example", true)
        .member_of("acme")
        .team("acme/platform")
        .team("acme/admins");
    (1..=130).fold(person, |person, number| person.team(&format!("acme/team-{number:03}")))
}

/// The owner of acme and of octo-org, member of two more organizations, in no team.
pub fn mona() -> Person {
    Person::new(2, "mona")
        .named("Mona Lisa")
        .about("Owns acme and octo-org, belongs to more organizations, is in no team.")
        .email("mona@acme.example", true)
        .owner_of("acme")
        .owner_of("octo-org")
        .member_of("widgets")
        .member_of("open-tools")
        .invited_to("waiting-room")
}

/// Nobody's colleague: an account and an address, no organization, no team.
pub fn stranger() -> Person {
    Person::new(999_001, "stranger")
        .named("A Stranger")
        .about("Has a GitHub account and nothing to do with acme: should be turned away.")
        .email("stranger@elsewhere.example", true)
}
