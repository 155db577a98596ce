// The MCP SDK against an authority: node mcp.mjs MODULES ISSUER AGENT KEY ALG. Serves an MCP
// server that takes the authority's tokens, and calls its tool with the SDK's client and its
// PrivateKeyJwtProvider. KEY is the PKCS #8 PEM of a registered key; the agent's audience is
// http://127.0.0.1:PORT with the PORT that is printed first. Waits for a line on standard
// input, then prints what the tool said.
import fs from 'node:fs'
import http from 'node:http'
import readline from 'node:readline/promises'
import { pathToFileURL } from 'node:url'

const [modules, issuer, agent, file, alg] = process.argv.slice(2)
const load = path => import(pathToFileURL(`${modules}/node_modules/${path}`))
const sdk = path => load(`@modelcontextprotocol/sdk/dist/esm/${path}.js`)
const { Client } = await sdk('client/index')
const { StreamableHTTPClientTransport } = await sdk('client/streamableHttp')
const { PrivateKeyJwtProvider } = await sdk('client/auth-extensions')
const { McpServer } = await sdk('server/mcp')
const { StreamableHTTPServerTransport } = await sdk('server/streamableHttp')
const jose = await load('jose/dist/webapi/index.js')

const keys = jose.createRemoteJWKSet(new URL(`${issuer}/oauth/jwks`))
let origin
const serve = async (req, res) => {
  if (req.url.startsWith('/.well-known/oauth-protected-resource')) { // RFC 9728
    res.setHeader('Content-Type', 'application/json')
    return res.end(JSON.stringify({ resource: origin, authorization_servers: [issuer] }))
  }
  const token = (req.headers.authorization ?? '').replace(/^Bearer /, '')
  try {
    const { payload } = await jose.jwtVerify(token, keys, { issuer, audience: origin, typ: 'at+jwt' })
    const server = new McpServer({ name: 'test', version: '1' })
    server.registerTool('whoami', { description: 'says who calls' }, async () => ({ content: [{ type: 'text', text: payload.sub }] }))
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined })
    await server.connect(transport)
    return transport.handleRequest(req, res)
  } catch {
    res.statusCode = 401
    res.setHeader('WWW-Authenticate', `Bearer resource_metadata="${origin}/.well-known/oauth-protected-resource"`)
    return res.end()
  }
}
const listener = http.createServer(serve).listen(0, '127.0.0.1', async () => {
  origin = `http://127.0.0.1:${listener.address().port}`
  console.log(origin)
  await readline.createInterface({ input: process.stdin }).question('')
  const pem = fs.readFileSync(file, 'utf8')
  const privateKey = alg.startsWith('ES') ? pem : await jose.exportJWK(await jose.importPKCS8(pem, alg, { extractable: true }))
  const authProvider = new PrivateKeyJwtProvider({ clientId: agent, privateKey, algorithm: alg, expectedIssuer: issuer })
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(new StreamableHTTPClientTransport(new URL(origin), { authProvider }))
  console.log((await client.callTool({ name: 'whoami' })).content[0].text)
  process.exit(0)
})
