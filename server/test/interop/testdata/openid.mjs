// openid-client against an authority: node openid.mjs MODULES ISSUER AGENT KEY
// RESOURCE. KEY is the PKCS #8 PEM of a registered key. Prints what it found.
import fs from 'node:fs'
import { pathToFileURL } from 'node:url'

const [modules, issuer, agent, file, resource] = process.argv.slice(2)
const load = name => import(pathToFileURL(`${modules}/node_modules/${name}/build/index.js`))
const oidc = await load('openid-client')

const der = Buffer.from(fs.readFileSync(file, 'utf8').replace(/-----[^-]+-----|\s/g, ''), 'base64')
const key = await crypto.subtle.importKey('pkcs8', der, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const config = await oidc.discovery(new URL(issuer), agent, undefined, oidc.PrivateKeyJwt(key))
const tokens = await oidc.clientCredentialsGrant(config, { scope: 'read', resource })
const before = await oidc.tokenIntrospection(config, tokens.access_token)
await oidc.tokenRevocation(config, tokens.access_token)
const after = await oidc.tokenIntrospection(config, tokens.access_token)
console.log(JSON.stringify({
  issuer: config.serverMetadata().issuer, type: tokens.token_type, scope: tokens.scope,
  alg: JSON.parse(Buffer.from(tokens.access_token.split('.')[0], 'base64url')).alg,
  before: before.active, client: before.client_id, after: after.active,
}))
