"""Signs a person of the simulated GitHub in at Gatekeep, over HTTP, the way a browser does."""

import http.client
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

AUTHORIZE = "/login/oauth/authorize"


class Browser:
    """As much of a browser as signing in takes: it keeps cookies, per origin, and tells where it was sent."""

    def __init__(self):
        self.jars: dict[str, dict[str, str]] = {}

    def cookies(self, url: str) -> str:
        jar = self.jars.get(urlsplit(url).netloc, {})
        return "; ".join(f"{name}={value}" for name, value in jar.items())

    def ask(self, method: str, url: str, form: dict[str, str] | None = None) -> tuple[int, str | None, str]:
        """Status, the place of a redirect, and the body."""
        parts = urlsplit(url)
        headers = {"Accept": "text/html", "User-Agent": "gatekeep-load-test"}
        if self.cookies(url):
            headers["Cookie"] = self.cookies(url)
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = f"{parts.scheme}://{parts.netloc}"
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=urlencode(form) if form is not None else None, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        connection.close()
        self.keep(parts.netloc, answer.headers.get_all("Set-Cookie") or [])
        location = answer.headers.get("Location")
        return answer.status, location and urljoin(url, location), body

    def keep(self, origin: str, set_cookies: list[str]) -> None:
        jar = self.jars.setdefault(origin, {})
        for line in set_cookies:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    jar.pop(name, None)
                else:
                    jar[name] = morsel.value

    def follow(self, url: str, until) -> str:
        """Follows redirects from URL to one that satisfies UNTIL, which it does not visit."""
        for _ in range(10):
            if until(url):
                return url
            status, location, body = self.ask("GET", url)
            if location is None:
                raise SystemExit(f"error: {url} answered {status} where a redirect was due:\n{body[:600]}")
            url = location
        raise SystemExit(f"error: the redirects do not end, at {url}")


def sign_in(page: str, person: str) -> str:
    """Asks for a protected PAGE, agrees at GitHub as PERSON, comes back: the Cookie header of the session."""
    browser = Browser()
    consent = browser.follow(page, until=lambda url: urlsplit(url).path == AUTHORIZE)
    question = urlsplit(consent)
    form = dict(parse_qsl(question.query), person=person, decision="authorize")
    status, callback, body = browser.ask("POST", f"{question.scheme}://{question.netloc}{AUTHORIZE}", form)
    if callback is None:
        raise SystemExit(f"error: the simulated GitHub answered {status}, not with the way back:\n{body[:600]}")
    browser.follow(callback, until=lambda url: url == page)
    return browser.cookies(page)
