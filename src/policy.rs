//! Who may pass: allow and deny lists judged against an identity.

use crate::identity::{EmailPattern, Identity, OrgName, TeamRef, UserPattern};
use crate::reason::Reason;

/// What a route asks of its visitors. Several kinds are alternatives: one that fits is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Anyone who is signed in; written out as `allow: anyone`.
    pub anyone: bool,
    /// Accounts by name or number.
    pub users: Vec<UserPattern>,
    /// Members of these organisations.
    pub orgs: Vec<OrgName>,
    /// Members of these teams.
    pub teams: Vec<TeamRef>,
    /// Owners of these verified addresses.
    pub emails: Vec<EmailPattern>,
    /// Accounts that are refused whatever else fits.
    pub deny: Vec<UserPattern>,
}

/// The outcome of a policy for an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The visitor may pass, and what let him in.
    Admitted(Reason),
    /// The visitor may not pass, and why.
    Refused(Reason),
    /// Organisations or teams would decide, and this identity does not say: sign in again.
    FactsMissing,
}

/// Which facts the policies ask for, so that GitHub is asked for no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Organisations.
    pub orgs: bool,
    /// Teams.
    pub teams: bool,
}

// === impl Policy ===

impl Policy {
    /// Judges an identity. Refusals come first; then the kinds from the cheapest to the dearest.
    pub fn evaluate(&self, identity: &Identity) -> Verdict {
        if self.deny.iter().any(|user| user.fits(identity)) {
            return Verdict::Refused(Reason::UserDenied);
        }
        match self.fits(identity) {
            Some(reason) => Verdict::Admitted(reason),
            None if self.lacks_facts(identity) => Verdict::FactsMissing,
            None => Verdict::Refused(Reason::NotAdmitted),
        }
    }

    /// The facts that this policy asks for.
    pub fn facts(&self) -> Facts {
        Facts { orgs: !self.orgs.is_empty(), teams: !self.teams.is_empty() }
    }

    fn fits(&self, identity: &Identity) -> Option<Reason> {
        if self.anyone {
            return Some(Reason::Anyone);
        }
        if self.users.iter().any(|user| user.fits(identity)) {
            return Some(Reason::User);
        }
        if let Some(email) = &identity.email
            && self.emails.iter().any(|pattern| pattern.fits(email))
        {
            return Some(Reason::Email);
        }
        if shares(&self.orgs, identity.orgs.as_deref()) {
            return Some(Reason::Org);
        }
        shares(&self.teams, identity.teams.as_deref()).then_some(Reason::Team)
    }

    fn lacks_facts(&self, identity: &Identity) -> bool {
        (!self.orgs.is_empty() && identity.orgs.is_none())
            || (!self.teams.is_empty() && identity.teams.is_none())
    }
}

// === impl Facts ===

impl Facts {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { orgs: self.orgs || other.orgs, teams: self.teams || other.teams }
    }
}

fn shares<T: PartialEq>(wanted: &[T], held: Option<&[T]>) -> bool {
    held.is_some_and(|held| wanted.iter().any(|one| held.contains(one)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octocat() -> Identity {
        Identity {
            id: 583_231,
            login: "octocat".parse().unwrap(),
            name: None,
            email: Some("octocat@github.com".parse().unwrap()),
            orgs: Some(["Acme".parse().unwrap()].into()),
            teams: Some(["Acme/Platform".parse().unwrap()].into()),
        }
    }

    fn allow(kind: &str, name: &str) -> Policy {
        let mut policy = Policy::default();
        match kind {
            "user" => policy.users.push(name.parse().unwrap()),
            "org" => policy.orgs.push(name.parse().unwrap()),
            "team" => policy.teams.push(name.parse().unwrap()),
            "email" => policy.emails.push(name.parse().unwrap()),
            _ => policy.anyone = true,
        }
        policy
    }

    #[test]
    fn each_kind_admits_whom_it_names_and_nobody_else() {
        use Verdict::{Admitted, Refused};
        for (kind, name, verdict) in [
            ("anyone", "", Admitted(Reason::Anyone)),
            ("user", "OctoCat", Admitted(Reason::User)),
            ("user", "octocat1", Refused(Reason::NotAdmitted)),
            ("user", "id:583231", Admitted(Reason::User)),
            ("user", "id:58323", Refused(Reason::NotAdmitted)),
            ("org", "acme", Admitted(Reason::Org)),
            ("org", "acme-corp", Refused(Reason::NotAdmitted)),
            ("team", "acme/platform", Admitted(Reason::Team)),
            ("team", "other/platform", Refused(Reason::NotAdmitted)),
            ("email", "*@github.com", Admitted(Reason::Email)),
            ("email", "*@hub.com", Refused(Reason::NotAdmitted)),
        ] {
            assert_eq!(allow(kind, name).evaluate(&octocat()), verdict, "{kind} {name}");
        }
    }

    #[test]
    fn nobody_passes_an_empty_policy() {
        let verdict = Policy::default().evaluate(&octocat());
        assert_eq!(verdict, Verdict::Refused(Reason::NotAdmitted));
    }

    #[test]
    fn deny_beats_every_allow() {
        let mut policy = allow("anyone", "");
        policy.deny.push("OCTOCAT".parse().unwrap());
        assert_eq!(policy.evaluate(&octocat()), Verdict::Refused(Reason::UserDenied));
    }

    #[test]
    fn a_new_login_does_not_escape_a_number() {
        let mut policy = allow("anyone", "");
        policy.deny.push("id:583231".parse().unwrap());
        let mut visitor = octocat();
        visitor.login = "tacocto".parse().unwrap();
        assert_eq!(policy.evaluate(&visitor), Verdict::Refused(Reason::UserDenied));
        visitor.id = 583_232;
        assert_eq!(policy.evaluate(&visitor), Verdict::Admitted(Reason::Anyone));
    }

    #[test]
    fn facts_nobody_asked_for_are_missing_and_not_absent() {
        let mut visitor = octocat();
        visitor.orgs = None;
        assert_eq!(allow("org", "acme").evaluate(&visitor), Verdict::FactsMissing);
        visitor.orgs = Some([].into());
        let refused = Verdict::Refused(Reason::NotAdmitted);
        assert_eq!(allow("org", "acme").evaluate(&visitor), refused);
    }

    #[test]
    fn an_unverified_email_admits_nobody() {
        let mut visitor = octocat();
        visitor.email = None;
        let refused = Verdict::Refused(Reason::NotAdmitted);
        assert_eq!(allow("email", "*@github.com").evaluate(&visitor), refused);
    }
}
