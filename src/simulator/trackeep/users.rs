//! The accounts of an instance, and how a sign-in through the control service finds its own.

use ring::digest;
use serde_json::{Value, json};

use super::{clock::written, control::ControllerUser};
use crate::simulator::world::{hex, random_hex};

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackeepUser {
    /// From 1 upwards.
    pub id: u64,
    /// Unique, and the second thing that a sign-in is matched by.
    pub email: String,
    /// Unique; `login-2` where `login` is taken.
    pub username: String,
    /// The name to show.
    pub full_name: String,
    /// `admin` or `user`.
    pub role: String,
    /// The first thing that a sign-in is matched by; 0 without GitHub, and unique even so.
    pub github_id: i64,
    /// Where the picture is.
    pub avatar_url: String,
    /// `github` or `email`.
    pub provider: String,
    /// Deleted softly: its unique values stay taken.
    pub deleted: bool,
    pub(super) password: String,
    pub(super) born: i64,
    pub(super) last_login: Option<i64>,
}

/// The database refuses what must be unique.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken;

#[derive(Debug, Default)]
pub(super) struct Users(Vec<TrackeepUser>);

// === impl TrackeepUser ===

impl TrackeepUser {
    /// As the API shows it.
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id, "created_at": written(self.born), "updated_at": written(self.born),
            "email": self.email, "username": self.username, "full_name": self.full_name,
            "role": self.role, "github_id": self.github_id, "avatar_url": self.avatar_url,
            "provider": self.provider, "theme": "dark", "language": "en", "timezone": "UTC",
            "bio": "", "location": "", "website": "", "company": "", "job_title": "",
            "totp_enabled": false, "last_login_at": self.last_login.map(written),
            "login_attempts": 0, "locked_until": null, "profile_visibility": "private",
        })
    }

    pub(super) fn has_password(&self, password: &str) -> bool {
        self.password == digest_of(password)
    }
}

// === impl Users ===

impl Users {
    pub(super) fn all(&self) -> Vec<TrackeepUser> {
        self.living().cloned().collect()
    }

    pub(super) fn by_id(&self, id: u64) -> Option<TrackeepUser> {
        self.living().find(|user| user.id == id).cloned()
    }

    pub(super) fn by_email(&self, email: &str) -> Option<TrackeepUser> {
        self.living().find(|user| user.email == email).cloned()
    }

    pub(super) fn by_username(&self, username: &str) -> Option<TrackeepUser> {
        self.living().find(|user| user.username == username).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.living().next().is_none()
    }

    pub(super) fn count(&self) -> usize {
        self.living().count()
    }

    pub(super) fn delete(&mut self, username: &str) {
        let named = self.0.iter_mut().find(|user| user.username == username && !user.deleted);
        if let Some(user) = named {
            user.deleted = true;
        }
    }

    pub(super) fn set_role(&mut self, id: u64, role: &str) -> bool {
        let user = self.0.iter_mut().find(|user| user.id == id && !user.deleted);
        user.map(|user| role.clone_into(&mut user.role)).is_some()
    }

    /// An account with a password.
    pub(super) fn register(
        &mut self,
        email: &str,
        username: &str,
        password: &str,
        role: &str,
        now: i64,
    ) -> Result<TrackeepUser, Taken> {
        self.insert(TrackeepUser {
            email: email.to_owned(),
            username: username.to_owned(),
            full_name: username.to_owned(),
            role: role.to_owned(),
            provider: "email".to_owned(),
            password: digest_of(password),
            born: now,
            ..TrackeepUser::default()
        })
    }

    /// The account of who signs in: by the number at GitHub, else by the e-mail, else a new one. What
    /// the control service says is written over what was there.
    pub(super) fn synchronize(
        &mut self,
        from: &ControllerUser,
        now: i64,
    ) -> Result<TrackeepUser, Taken> {
        let email = from.email.trim();
        let local = email.split('@').next().unwrap_or_default();
        let username = first_of([from.username.as_str(), local, "user"]);
        let found = self
            .living()
            .find(|user| from.github_id != 0 && user.github_id == from.github_id)
            .or_else(|| self.living().find(|user| !email.is_empty() && user.email == email))
            .cloned();
        let known = found.is_some();
        let mut user = found.unwrap_or_else(|| self.newcomer(now));
        email.clone_into(&mut user.email);
        user.username = self.free(&username, user.id);
        user.full_name = first_of([from.name.as_str(), from.username.as_str(), email]);
        user.avatar_url.clone_from(&from.avatar_url);
        let provider = if from.github_id == 0 { "email" } else { "github" };
        provider.clone_into(&mut user.provider);
        if from.github_id != 0 {
            user.github_id = from.github_id;
        }
        user.last_login = Some(now);
        if known { self.update(user) } else { self.insert(user) }
    }

    fn living(&self) -> impl Iterator<Item = &TrackeepUser> {
        self.0.iter().filter(|user| !user.deleted)
    }

    /// The first of all is the admin.
    fn newcomer(&self, now: i64) -> TrackeepUser {
        let role = if self.is_empty() { "admin" } else { "user" };
        TrackeepUser {
            role: role.to_owned(),
            password: digest_of(&random_hex(32)),
            born: now,
            ..TrackeepUser::default()
        }
    }

    /// `login`, or `login-2` and so on if another account has that.
    fn free(&self, wanted: &str, id: u64) -> String {
        let taken = |name: &str| self.living().any(|user| user.username == name && user.id != id);
        let names = (1_u64..).map(|number| match number {
            1 => wanted.to_owned(),
            number => format!("{wanted}-{number}"),
        });
        names.into_iter().find(|name| !taken(name)).unwrap_or_default()
    }

    fn insert(&mut self, mut user: TrackeepUser) -> Result<TrackeepUser, Taken> {
        user.id = self.0.len() as u64 + 1;
        self.unique(&user)?;
        self.0.push(user.clone());
        Ok(user)
    }

    fn update(&mut self, user: TrackeepUser) -> Result<TrackeepUser, Taken> {
        self.unique(&user)?;
        if let Some(row) = self.0.iter_mut().find(|row| row.id == user.id) {
            row.clone_from(&user);
        }
        Ok(user)
    }

    /// Three unique indexes, which rows that were deleted softly are still in.
    fn unique(&self, user: &TrackeepUser) -> Result<(), Taken> {
        let clashes = |row: &TrackeepUser| {
            row.id != user.id
                && (row.email == user.email
                    || row.username == user.username
                    || row.github_id == user.github_id)
        };
        if self.0.iter().any(clashes) { Err(Taken) } else { Ok(()) }
    }
}

fn first_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut said = words.into_iter().map(str::trim).filter(|word| !word.is_empty());
    said.next().unwrap_or_default().to_owned()
}

fn digest_of(password: &str) -> String {
    hex(digest::digest(&digest::SHA256, password.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octocat() -> ControllerUser {
        ControllerUser {
            id: 1,
            github_id: 583_231,
            username: "octocat".to_owned(),
            email: "octocat@github.com".to_owned(),
            name: "The Octocat".to_owned(),
            avatar_url: "https://x/a".to_owned(),
        }
    }

    #[test]
    fn the_first_is_the_admin_and_the_number_at_github_stays_who_it_was() {
        let mut users = Users::default();
        let first = users.synchronize(&octocat(), 1).unwrap();
        assert_eq!((&*first.role, &*first.provider, first.id), ("admin", "github", 1));
        let renamed = ControllerUser { username: "octodog".to_owned(), ..octocat() };
        let again = users.synchronize(&renamed, 2).unwrap();
        assert_eq!((again.id, &*again.username, &*again.role), (1, "octodog", "admin"));
        let mona = ControllerUser { github_id: 2, email: "mona@github.com".to_owned(), ..renamed };
        let second = users.synchronize(&mona, 3).unwrap();
        assert_eq!((second.id, &*second.username, &*second.role), (2, "octodog-2", "user"));
    }

    #[test]
    fn an_email_links_whoever_has_it() {
        let mut users = Users::default();
        users.register("octocat@github.com", "boss", "secret", "admin", 1).unwrap();
        let linked = users.synchronize(&octocat(), 2).unwrap();
        assert_eq!((linked.id, &*linked.role, linked.github_id), (1, "admin", 583_231));
        assert_eq!(&*linked.username, "octocat", "it is written over");
        assert!(linked.has_password("secret"), "the password stays");
    }

    #[test]
    fn what_is_unique_is_so_among_the_deleted_too() {
        let mut users = Users::default();
        users.register("a@x", "a", "secret", "user", 1).unwrap();
        assert_eq!(
            users.register("b@x", "b", "secret", "user", 1),
            Err(Taken),
            "both have number 0"
        );
        users.synchronize(&octocat(), 1).unwrap();
        users.delete("octocat");
        assert_eq!(users.synchronize(&octocat(), 2), Err(Taken));
        let nameless = ControllerUser { github_id: 5, email: String::new(), ..octocat() };
        assert_eq!(users.synchronize(&nameless, 2), Err(Taken), "the name is taken");
    }

    #[test]
    fn an_empty_email_blanks_the_row() {
        let mut users = Users::default();
        users.synchronize(&octocat(), 1).unwrap();
        let nameless = ControllerUser { email: String::new(), ..octocat() };
        assert_eq!(users.synchronize(&nameless, 2).unwrap().email, "");
    }
}
