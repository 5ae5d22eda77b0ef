// What an app on Node.js does with its token sidecar and the tokens that it gets: the requests that @navikt/oasis 4 sends, as they were
// recorded, with the fetch of Node.js and nothing in between; and its local validation, with the library that it uses for it. Reads a JSON list
// of steps from standard input, does them one after the other, and prints a JSON list of what came of each. Where things are it takes from the
// environment, under the names of the platform.
//
//   {"do": "token", "provider": "azuread", "target": "api://…/.default", "times": 5}      {"status", "type", "body"} for each of the times
//   {"do": "exchange", "provider": "tokenx", "token": "…", "target": "cluster:ns:app"}    the same
//   {"do": "introspect", "provider": "maskinporten", "token": "…"}                        the same
//   {"do": "validate", "provider": "azure", "token": "…"}                                 {"ok", "error", "claims"}
//   {"do": "wait", "seconds": 2}
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'

const env = process.env
const steps = JSON.parse(await new Response(process.stdin).text())

async function post(endpoint, body) {
  const response = await fetch(endpoint, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return { status: response.status, type: response.headers.get('content-type'), body: await response.text() }
}

const keys = {}
const providers = {
  azure: () => [env.AZURE_OPENID_CONFIG_JWKS_URI, env.AZURE_OPENID_CONFIG_ISSUER, env.AZURE_APP_CLIENT_ID],
  idporten: () => [env.IDPORTEN_JWKS_URI, env.IDPORTEN_ISSUER, env.IDPORTEN_AUDIENCE],
  tokenx: () => [env.TOKEN_X_JWKS_URI, env.TOKEN_X_ISSUER, env.TOKEN_X_CLIENT_ID],
}

async function validate({ provider, token }) {
  const [jwks, issuer, audience] = providers[provider]()
  keys[provider] ??= createRemoteJWKSet(new URL(jwks), { cacheMaxAge: 24 * 3600 * 1000 })
  try {
    const { payload } = await jwtVerify(token, keys[provider], { issuer, audience, algorithms: ['RS256'] })
    return { ok: true, claims: payload }
  } catch (error) {
    return { ok: false, error: error instanceof errors.JWTExpired ? 'token expired' : error.message }
  }
}

const actions = {
  token: ({ provider, target }) => post(env.NAIS_TOKEN_ENDPOINT, { identity_provider: provider, target }),
  exchange: ({ provider, token, target }) =>
    post(env.NAIS_TOKEN_EXCHANGE_ENDPOINT, { identity_provider: provider, user_token: token, target }),
  introspect: ({ provider, token }) => post(env.NAIS_TOKEN_INTROSPECTION_ENDPOINT, { identity_provider: provider, token }),
  validate,
  wait: ({ seconds }) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
}

const results = []
for (const step of steps) {
  const times = Array.from({ length: step.times ?? 1 }, () => actions[step.do](step))
  results.push(await Promise.all(times))
}
console.log(JSON.stringify(results))
