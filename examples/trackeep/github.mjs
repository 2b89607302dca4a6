// The `GitHubAPI` helper of Trackeep's integration guide, without a token: it asks the gateway's route
// with `upstream: github`, which knows the visitor by their cookie and asks GitHub as them. Nothing
// that JavaScript reads is worth stealing, and what was asked before costs nothing at GitHub.
//
//   - name: github
//     path: /github
//     upstream: { github: { allow: ["GET /user/repos", "GET /repos/**", "GET /search/issues"] } }
//     allow: { orgs: [acme] }

/** GitHub, or the gateway for it, said no: `status` is 401 for who has to sign in again. */
export class Refused extends Error {
  constructor (status, path, message) {
    super(`${path}: ${status} ${message}`)
    this.status = status
  }
}

export class GitHubAPI {
  /** `base` is the route's path on this very origin; `ask` is for tests. */
  constructor (base = '/github', ask = (url, options) => fetch(url, options)) {
    this.base = base
    this.ask = ask
  }

  async makeRequest (url) {
    const answer = await this.ask(url, { headers: { Accept: 'application/vnd.github+json' } })
    const body = await answer.json().catch(() => ({}))
    if (!answer.ok) throw new Refused(answer.status, url, body.message ?? body.error ?? '')
    const next = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1]
    return { body, next }
  }

  /** A whole list, page by page: each answer says where the next page is. */
  async list (path) {
    const items = []
    for (let url = this.base + path; url;) {
      const { body, next } = await this.makeRequest(url)
      items.push(...(body.items ?? body))
      url = next
    }
    return items
  }

  getUserRepos () {
    return this.list('/user/repos?sort=updated&per_page=100')
  }

  getRepoCommits (owner, repo) {
    return this.list(`${at(owner, repo)}/commits?per_page=100`)
  }

  getRepoPulls (owner, repo) {
    return this.list(`${at(owner, repo)}/pulls?state=all&per_page=100`)
  }

  getBranches (owner, repo) {
    return this.list(`${at(owner, repo)}/branches?per_page=100`)
  }

  /** Issues and pull requests that the visitor has opened since a day such as `2026-01-31`. */
  getActivity (since) {
    const question = encodeURIComponent(`author:@me created:>=${since}`)
    return this.list(`/search/issues?q=${question}&per_page=100`)
  }
}

/** What the guide keeps of a repository such as `octocat/hello-world`. */
export async function trackRepositoryActivity (github, repository) {
  const [owner, repo] = repository.split('/')
  const [commits, pulls] =
    await Promise.all([github.getRepoCommits(owner, repo), github.getRepoPulls(owner, repo)])
  return { repo: repository, commits: commits.length, pullRequests: pulls.length }
}

// A name never leaves its place in the path.
const at = (owner, repo) => `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(repo)}`
