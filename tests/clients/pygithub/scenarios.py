"""PyGithub as its users set it up, but for the address and the key. `scenarios.py NAME` does one thing and
prints what the client came to know, for the test to judge.

It completes objects through the URLs in bodies, and refuses to follow one that leads to another host.
"""

import io
import json
import logging
import os
import sys

from github import Auth, Github
from github.GithubException import GithubException


def client(**settings):
    auth = Auth.Token(os.environ["GATEKEEP_KEY"])
    return Github(base_url=os.environ["GATEKEEP_URL"], auth=auth, **settings)


def pages():
    """Every page of a list, by its links."""
    issues = client(per_page=20).get_repo("octocat/hello-world").get_issues()
    return {"total": issues.totalCount, "numbers": [issue.number for issue in issues]}


def lazy():
    """Objects that know little are completed through their `url`."""
    gh = client()
    issue = next(iter(gh.get_repo("octocat/hello-world").get_issues()))
    # The list says who, and not what they are called.
    name = issue.user.name
    of = gh.get_repo("octocat/hello-world").get_issue(1).repository.full_name
    late = gh.get_repo("octocat/hello-world", lazy=True)
    return {"name": name, "of": of, "late": late.full_name, "url": issue.url}


def writing():
    """Who writes reads what was written."""
    repo = client().get_repo("octocat/hello-world")
    made = repo.create_issue("Grüße", body='🚀 "\\')
    made.edit(title="Gruß", state="closed")
    shown = repo.get_issue(made.number)
    is_new = shown.update()
    comment = shown.create_comment("Done.")
    return {
        "number": made.number,
        "title": shown.title,
        "body": shown.body,
        "state": shown.state,
        "is_new": is_new,
        "comments": [one.body for one in shown.get_comments()],
        "comment": comment.issue_url,
    }


def conditional():
    """`update` asks with the `ETag` that the object came with."""
    issue = client().get_repo("octocat/hello-world").get_issue(1)
    return {"etag": issue.etag, "is_new": issue.update()}


def issue(number, **settings):
    """One issue, whatever comes of it."""
    gh = client(**settings)
    try:
        title = gh.get_repo("octocat/hello-world", lazy=True).get_issue(int(number)).title
    except GithubException as error:
        kind = type(error).__name__
        return {"error": kind, "status": error.status, "said": error.data["message"]}
    return {"title": title}


def impatient(number):
    """The same by a client that does not come again by itself."""
    return issue(number, retry=None)


def upload():
    """A file for a release, to where the release says that files go."""
    release = client().get_repo("octocat/hello-world").get_release("v1.0")
    data = b"x" * 200_000
    asset = release.upload_asset_from_memory(io.BytesIO(data), len(data), "a b.bin")
    return {"name": asset.name, "size": asset.size, "to": release.upload_url}


def rate():
    core = client().get_rate_limit().resources.core
    return {"limit": core.limit, "remaining": core.remaining}


if __name__ == "__main__":
    # It says how long it waits.
    logging.basicConfig(level=logging.INFO)
    name, *rest = sys.argv[1:]
    print("came", json.dumps(globals()[name](*rest)))
