// Octokit as its users set it up, but for the address and the key. `node scenarios.mjs NAME` does one
// thing and prints what the client came to know, for the test to judge.

import { retry } from '@octokit/plugin-retry'
import { throttling } from '@octokit/plugin-throttling'
import { Octokit } from '@octokit/rest'

const { GATEKEEP_URL: baseUrl, GATEKEEP_KEY: auth } = process.env

const hello = { owner: 'octocat', repo: 'hello-world' }

// What the client asked for, and what its throttle was told.
const asked = []
const limits = []

// In this order GitHub's all-in-one package `octokit` has them.
const Client = Octokit.plugin(retry, throttling)

// `again` is how often the client comes again when a limit is met.
function client (again = 0) {
  const limit = kind => (after, options, octokit, count) => {
    console.log(`told to wait ${after} s`)
    limits.push({ kind, after, url: options.url })
    return count < again
  }
  const throttle = { onRateLimit: limit('primary'), onSecondaryRateLimit: limit('secondary') }
  const request = {
    fetch (url, options) {
      asked.push(`${options.method} ${url}`)
      return fetch(url, options)
    }
  }
  return new Client({ baseUrl, auth, throttle, request })
}

// An answer, or the error that stands for one.
async function outcome (request) {
  try {
    const { status, headers, data } = await request
    return { status, headers, data }
  } catch (error) {
    const { status, message, response } = error
    return { status, message, headers: response?.headers, data: response?.data }
  }
}

const scenarios = {
  // Every page of a list, by its links.
  async pages () {
    const octokit = client()
    const issues = await octokit.paginate(octokit.rest.issues.listForRepo, { ...hello, per_page: 20 })
    const followed = await octokit.request(`GET ${issues[0].url}`)
    return { numbers: issues.map(issue => issue.number), followed: followed.data.number }
  },

  // Whether what one has is still true.
  async conditional () {
    const issue = { ...hello, issue_number: 1 }
    const { rest } = client()
    const first = await outcome(rest.issues.get(issue))
    const headers = { 'if-none-match': first.headers.etag }
    return { first, again: await outcome(rest.issues.get({ ...issue, headers })) }
  },

  // Who writes reads what was written.
  async writing () {
    const { rest } = client()
    const titles = async () => (await rest.issues.listForRepo(hello)).data.map(issue => issue.title)
    const before = await titles()
    const made = await outcome(rest.issues.create({ ...hello, title: 'Grüße', body: '🚀 "\\' }))
    const issue = { ...hello, issue_number: made.data.number }
    const shown = await outcome(rest.issues.get(issue))
    const closed = await outcome(rest.issues.update({ ...issue, state: 'closed' }))
    return { before, made, shown, closed, after: await titles() }
  },

  // One issue, whatever comes of it.
  async issue (number) {
    const { rest } = client()
    return outcome(rest.issues.get({ ...hello, issue_number: number }))
  },

  // The same by a client that waits for as long as it is told, and comes again.
  async patient (number) {
    const { rest } = client(1)
    return outcome(rest.issues.get({ ...hello, issue_number: number }))
  },

  async graphql () {
    const octokit = client()
    const query = 'query ($n: Int) { viewer { login databaseId } }'
    const { viewer } = await octokit.graphql(query, { n: 1 })
    const unknown = await octokit.graphql('{ nobody { knows } }').catch(error => error.message)
    return { viewer, unknown }
  },

  // A file as it is, and an archive from where GitHub sends one for it.
  async files () {
    const { rest } = client()
    const path = { ...hello, path: 'src/main.rs' }
    const json = await rest.repos.getContent(path)
    const raw = await rest.repos.getContent({ ...path, mediaType: { format: 'raw' } })
    const name = await rest.repos.getContent({ ...hello, path: 'docs/a b.md' })
    const archive = await rest.repos.downloadTarballArchive({ ...hello, ref: 'main' })
    return {
      json: Buffer.from(json.data.content, 'base64').toString(),
      raw: raw.data,
      name: name.data.name,
      archive: archive.data
    }
  },

  // A file for a release, to where the release says that files go.
  async upload () {
    const octokit = client()
    const release = await octokit.rest.repos.getReleaseByTag({ ...hello, tag: 'v1.0' })
    return outcome(octokit.request({
      method: 'POST',
      url: release.data.upload_url,
      name: 'a b.bin',
      headers: { 'content-type': 'application/octet-stream' },
      data: Buffer.alloc(200_000, 'x')
    }))
  }
}

const [name, ...rest] = process.argv.slice(2)
const came = await scenarios[name](...rest)
console.log(`came ${JSON.stringify({ ...came, asked, limits })}`)
