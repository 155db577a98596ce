// openid-client against an authority: node openid.mjs MODULES ISSUER AGENT KEY
// RESOURCE [ALG]. KEY is the PKCS #8 PEM of a registered key, for ES256 or ALG. Prints what
// it found, and what it shows of refusals.
import fs from 'node:fs'
import { pathToFileURL } from 'node:url'

const [modules, issuer, agent, file, resource, alg = 'ES256'] = process.argv.slice(2)
const load = name => import(pathToFileURL(`${modules}/node_modules/${name}/build/index.js`))
const oidc = await load('openid-client')

const pem = fs.readFileSync(file, 'utf8')
const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
const key = await crypto.subtle.importKey('pkcs8', der, alg === 'ES256' ? { name: 'ECDSA', namedCurve: 'P-256' } : { name: alg }, false, ['sign'])
const config = await oidc.discovery(new URL(issuer), agent, undefined, oidc.PrivateKeyJwt(key))
const tokens = await oidc.clientCredentialsGrant(config, { scope: 'read', resource })
const before = await oidc.tokenIntrospection(config, tokens.access_token)
await oidc.tokenRevocation(config, tokens.access_token)
const after = await oidc.tokenIntrospection(config, tokens.access_token)

// refusal returns what the library's user sees if the assertion is changed.
const refusal = async (id, modifyAssertion) => {
  const c = new oidc.Configuration(config.serverMetadata(), id, undefined, oidc.PrivateKeyJwt(key, { [oidc.modifyAssertion]: modifyAssertion }))
  return oidc.clientCredentialsGrant(c, { resource }).then(() => 'granted', e => `${e.error}: ${e.error_description}`)
}
console.log(JSON.stringify({
  issuer: config.serverMetadata().issuer, type: tokens.token_type, scope: tokens.scope,
  alg: JSON.parse(Buffer.from(tokens.access_token.split('.')[0], 'base64url')).alg,
  before: before.active, client: before.client_id, after: after.active,
  endpoint: await refusal(agent, (_, claims) => { claims.aud = config.serverMetadata().token_endpoint }),
  unknown: await refusal('nobody', () => {}),
}))
