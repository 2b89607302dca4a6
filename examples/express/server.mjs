// An app behind Gatekeep that checks who is asking by itself, with the published keys.
//
//     npm ci
//     PORT=8080 GATEKEEP_ISSUER=https://auth.example.com GATEKEEP_AUDIENCE=https://app.example.com npm start
//
// The issuer is the gateway's `public_url`, the audience the app's own origin (or its route's
// `token.audience`).

import express from 'express'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const { PORT = '8080', GATEKEEP_ISSUER: issuer, GATEKEEP_AUDIENCE: audience } = process.env
if (!issuer || !audience) throw new Error('GATEKEEP_ISSUER and GATEKEEP_AUDIENCE are needed')

// Keys are kept for five minutes; for a `kid` among none of them they are fetched again, once a
// minute at most.
const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', issuer), {
  cacheMaxAge: 5 * 60_000,
  cooldownDuration: 60_000
})

// The algorithm and the kind of token are ours to choose, never the token's (RFC 8725).
const expected = {
  algorithms: ['ES256'],
  typ: 'gatekeep-identity+jwt',
  issuer,
  audience,
  requiredClaims: ['exp', 'sub']
}

// Lets nobody pass whose token is not all that it should be; then `request.visitor` is its claims.
async function identify (request, response, next) {
  try {
    const { payload } = await jwtVerify(request.get('x-gatekeep-jwt') ?? '', keys, expected)
    request.visitor = payload
  } catch (error) {
    console.warn(`refused: ${error.message}`)
    return response.status(401).json({ error: 'unauthorized' })
  }
  next()
}

const app = express()
app.disable('x-powered-by')
app.use(identify)

// `sub` is the account and stays the same; a login can be renamed.
app.get('/', (request, response) => {
  const { login, sub } = request.visitor
  response.type('text/plain').send(`Hello ${login}, you are ${sub}.\n`)
})

app.listen(Number(PORT), '127.0.0.1', () => console.log(`listening on 127.0.0.1:${PORT}`))
