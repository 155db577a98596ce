// oauth4webapi, which openid-client is built on, against an authority: node
// oauth4webapi.mjs MODULES ISSUER AGENT KEY RESOURCE. KEY is the PKCS #8 PEM of a registered
// Ed25519 key. Gets a token and checks it as a resource server (RFC 9068).
import fs from 'node:fs'
import { pathToFileURL } from 'node:url'

const [modules, issuer, agent, file, resource] = process.argv.slice(2)
const oauth = await import(pathToFileURL(`${modules}/node_modules/oauth4webapi/build/index.js`))

const der = Buffer.from(fs.readFileSync(file, 'utf8').replace(/-----[^-]+-----|\s/g, ''), 'base64')
const key = await crypto.subtle.importKey('pkcs8', der, { name: 'Ed25519' }, false, ['sign'])
const url = new URL(issuer)
const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: 'oauth2' }))
const client = { client_id: agent }
const answer = await oauth.clientCredentialsGrantRequest(as, client, oauth.PrivateKeyJwt(key), new URLSearchParams({ resource }))
const { access_token: token } = await oauth.processClientCredentialsResponse(as, client, answer)
const request = new Request(resource, { headers: { authorization: `Bearer ${token}` } })
const claims = await oauth.validateJwtAccessToken(as, request, resource)
console.log(claims.sub, claims.aud, claims.scope)
