// The certified OpenID provider that Postern's end-to-end tests log in at. It owns nothing but its set-up: who the clients and people are, how the
// login form looks, which tokens are issued. Settings come as JSON in the environment variable OIDC_PROVIDER:
//
//   issuer        "http://idp.localhost:9000"; its path is where the provider is mounted
//   clients       client metadata as of RFC 7591
//   people        {"<login>": {claims…}}; any other login is a person with just a name
//   ttl           {"AccessToken": seconds, "IdToken": …, "RefreshToken": …, "Session": …}
//   resource      audience of access tokens, which are then JWTs; opaque without it
//   offlineOnly   refresh tokens only for the scope offline_access, as OpenID Connect Core 11 has it
//   requirePAR    refuse authorization requests that were not pushed (RFC 9126)
//   askAtLogout   the logout page waits for its button instead of sending itself
//
// Usage: node server.mjs PORT
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { jwtVerify } from 'jose'
import { Provider, errors } from 'oidc-provider'

const port = Number(process.argv[2])
const settings = JSON.parse(process.env.OIDC_PROVIDER)
const ttl = { AccessToken: 300, IdToken: 300, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600, ...settings.ttl }
const acrValues = ['low', 'substantial', 'high', 'idporten-loa-substantial', 'idporten-loa-high']

const person = (login) => ({
  name: login, preferred_username: `${login}@example.test`, email: `${login}@example.test`, email_verified: true, groups: ['everybody'],
  ...settings.people?.[login], sub: login,
})

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const signingKey = { ...privateKey.export({ format: 'jwk' }), kid: randomBytes(8).toString('hex'), alg: 'RS256', use: 'sig' }

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
const page = (title, body) =>
  `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${title}</title></head><body><h1>${title}</h1>${body}</body></html>`

// Consent is given by having logged in: whatever was asked for is granted.
async function loadExistingGrant(ctx) {
  const { client, session, params, provider } = ctx.oidc
  const known = session.grantIdFor(client.clientId) && (await provider.Grant.find(session.grantIdFor(client.clientId)))
  const grant = known || new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
  grant.addOIDCScope(params.scope ?? 'openid')
  for (const resource of Object.keys(ctx.oidc.resourceServers ?? {})) grant.addResourceScope(resource, params.scope)
  await grant.save()
  return grant
}

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  jwks: { keys: [signingKey] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  acrValues,
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256'], idTokenSigningAlgValues: ['RS256'] },
  claims: {
    openid: ['sub', 'groups'], acr: null, auth_time: null, sid: null,
    profile: ['name', 'preferred_username'], email: ['email', 'email_verified'],
  },
  scopes: ['openid', 'offline_access', 'api'],
  conformIdTokenClaims: false, // the person's claims are in the id token, as most providers of workplaces do
  findAccount: (_ctx, login) => ({ accountId: login, claims: () => person(login) }),
  loadExistingGrant,
  extraTokenClaims: (_ctx, token) => (token.gty === exchange ? { act: { client_id: token.clientId } } : undefined),
  rotateRefreshToken: true,
  expiresWithSession: () => false,
  issueRefreshToken: (_ctx, client, source) =>
    client.grantTypeAllowed('refresh_token') && (!settings.offlineOnly || source.scopes.has('offline_access')),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  pkce: { required: () => true },
  ttl,
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: settings.requirePAR === true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_ctx, _client, oneOf) => oneOf ?? settings.resource,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, audience) => ({
        audience, scope: 'openid profile email offline_access api', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
      }),
    },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource(ctx, form) {
        const send = settings.askAtLogout ? '' : '<script>document.getElementById("sign-out").click()</script>'
        const button = '<button id="sign-out" name="logout" value="yes" form="op.logoutForm">Sign out</button>'
        ctx.body = page('Sign out', `${form}${button}${send}`)
      },
      postLogoutSuccessSource(ctx) { ctx.body = page('Signed out', '<p id="signed-out">You are signed out at the provider.</p>') },
    },
  },
  renderError(ctx, out) {
    ctx.body = page('Refused', `<p id="error">${escape(out.error)}</p><p id="description">${escape(out.error_description ?? '')}</p>`)
  },
  // The library's own fetch refuses loopback addresses, which is all that a test has (back-channel logout, jwks_uri).
  fetch(url, { dispatcher, ...options }) { return globalThis.fetch(url, options) },
})

// Token exchange (RFC 8693): whoever has a person's access token of this provider gets one for an audience named by the client, and `act` says
// who that is. It is the provider's own extension point; the library has no exchange.
const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
provider.registerGrantType(exchange, async (ctx) => {
  const { client, params } = ctx.oidc
  const { AccessToken, ResourceServer } = provider
  if (params.subject_token_type !== accessTokenType) throw new errors.InvalidRequest('subject_token_type is not that of an access token')
  if (!params.audience) throw new errors.InvalidTarget('audience is missing')
  let subject
  try {
    subject = (await jwtVerify(params.subject_token ?? '', createPublicKey(privateKey), { issuer: settings.issuer, typ: 'at+jwt' })).payload.sub
  } catch {
    throw new errors.InvalidGrant('subject_token is not a valid access token of this provider')
  }
  const token = new AccessToken({ client, accountId: subject, scope: 'api', gty: exchange })
  token.resourceServer = new ResourceServer(params.audience, { audience: params.audience, scope: 'api', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } })
  ctx.body = {
    access_token: await token.save(), issued_token_type: accessTokenType, token_type: 'Bearer', expires_in: token.expiration, scope: token.scope,
  }
}, ['audience', 'subject_token', 'subject_token_type', 'requested_token_type'])

const loginForm = (uid) => page('Sign in', `<form method="post" action="/interaction/${uid}">
  <label>Login <input id="login" name="login" autofocus required></label>
  <label>Password <input id="password" name="password" type="password"></label>
  <button id="sign-in" name="action" value="sign-in">Sign in</button>
  <button id="cancel" name="action" value="cancel" formnovalidate>Cancel</button></form>`)

async function formOf(req) {
  let body = ''
  for await (const chunk of req) body += chunk
  return new URLSearchParams(body)
}

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next()
  const { uid, prompt, params } = await provider.interactionDetails(ctx.req, ctx.res)
  ctx.respond = false // the library writes to the response itself
  const finish = (result) => provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true })
  if (prompt.name === 'consent') return finish({ consent: {} })
  if (ctx.method !== 'POST') {
    ctx.res.setHeader('Content-Type', 'text/html; charset=utf-8')
    ctx.res.setHeader('Cache-Control', 'no-store')
    return ctx.res.end(loginForm(uid))
  }
  const form = await formOf(ctx.req)
  if (form.get('action') === 'cancel') return finish({ error: 'access_denied', error_description: 'the person pressed cancel' })
  const asked = (params.acr_values ?? '').split(' ').find((acr) => acrValues.includes(acr))
  return finish({ login: { accountId: form.get('login'), ...(asked && { acr: asked }) } })
})

provider.on('server_error', (_ctx, error) => console.error(error))
provider.on('backchannel.error', (_ctx, error) => console.error(error))
const server = provider.listen(port, '127.0.0.1', () => console.log(`ready ${settings.issuer}`))
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => { server.close(() => process.exit(0)); server.closeAllConnections() })
}
