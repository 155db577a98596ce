#!/usr/bin/env node
// An agent of a brevet authority, in Node.js without packages.
//
//     agent.mjs enroll SERVER FINGERPRINT DIR < ENROLLMENT-TOKEN
//     agent.mjs call DIR SCOPE URL
//     agent.mjs renew DIR
//
// DIR has identity.pem (the key, the certificate and its chain), roots.pem (the trusted root)
// and server (the URL of the authority).
import crypto from 'node:crypto'
import fs from 'node:fs'
import https from 'node:https'

// send sends a request and resolves to the status, the headers and the body of the answer.
const send = (url, { body, ...options }) => new Promise((resolve, reject) => {
  const request = https.request(url, { timeout: 30_000, ...options }, answer => {
    let text = ''
    answer.setEncoding('utf8').on('data', part => { text += part }).on('error', reject)
    answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }))
  })
  request.on('error', reject).on('timeout', () => request.destroy(new Error(`${url}: no answer`)))
  request.end(body)
})

// post sends a body and resolves to the JSON of the answer, or rejects with what the authority says.
const post = async (url, type, body, tls) => {
  const answer = await send(url, { method: 'POST', headers: { 'Content-Type': type }, body, ...tls })
  if (answer.status !== 200) {
    let told = {}
    try { told = JSON.parse(answer.text) } catch { }
    const wait = answer.headers['retry-after']
    throw new Error(`${url}: ${answer.status} ${told.detail ?? told.error_description ?? answer.text}` + (wait ? ` (try again in ${wait}s)` : ''))
  }
  return JSON.parse(answer.text)
}
const json = 'application/json'

// fetchRoots returns the root that has the fingerprint. Nothing else of the answer is trusted.
const fetchRoots = async (server, fingerprint) => {
  const { text } = await send(server + '/roots.pem', { rejectUnauthorized: false })
  for (const [pem] of text.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g)) {
    const plain = f => f.replaceAll(':', '').toLowerCase()
    if (plain(new crypto.X509Certificate(pem).fingerprint256) === plain(fingerprint)) return pem
  }
  throw new Error(`${server} has no root with this fingerprint: ask the operator for it again`)
}

// der encodes a value (X.690).
const der = (tag, ...parts) => {
  const content = Buffer.concat(parts)
  const n = content.length
  const length = n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

// newRequest makes a key and a request (RFC 2986) without names, which asks for all that are
// registered. node:crypto cannot make requests, so this function writes the DER itself.
const newRequest = () => {
  const { privateKey, publicKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const version = der(0x02, Buffer.from([0]))
  const subject = der(0x30)
  const info = der(0x30, version, subject, publicKey.export({ type: 'spki', format: 'der' }), der(0xa0))
  const algorithm = der(0x30, der(0x06, Buffer.from('2a8648ce3d040302', 'hex'))) // ecdsa-with-SHA256
  const signature = der(0x03, Buffer.from([0]), crypto.sign('sha256', info, privateKey))
  const base64 = der(0x30, info, algorithm, signature).toString('base64').replace(/.{64}/g, '$&\n')
  const csr = `-----BEGIN CERTIFICATE REQUEST-----\n${base64}\n-----END CERTIFICATE REQUEST-----\n`
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }), csr }
}

// write replaces a file as a whole: after a crash there is the old one or the new one.
const write = (path, text) => {
  fs.writeFileSync(path + '.new', text, { mode: 0o600, flush: true })
  fs.renameSync(path + '.new', path)
}

const enroll = async (server, fingerprint, dir) => {
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 })
  const ca = await fetchRoots(server, fingerprint)
  write(dir + '/roots.pem', ca)
  write(dir + '/server', server)
  const { key, csr } = newRequest()
  const token = fs.readFileSync(0, 'utf8').trim()
  const issued = await post(server + '/v1/enroll', json, JSON.stringify({ token, csr }), { ca })
  write(dir + '/identity.pem', key + issued.certificate + issued.chain)
}

class Agent {
  constructor (dir) {
    this.dir = dir
    this.server = fs.readFileSync(dir + '/server', 'utf8')
  }

  // tls returns the options of a connection that presents the current certificate.
  tls () {
    const identity = fs.readFileSync(this.dir + '/identity.pem')
    return { key: identity, cert: identity, ca: fs.readFileSync(this.dir + '/roots.pem'), agent: false }
  }

  // renew gets the next certificate, for a new key. Until it is there, the old one stays.
  async renew () {
    const { key, csr } = newRequest()
    const issued = await post(this.server + '/v1/certificates', json, JSON.stringify({ csr }), this.tls())
    write(this.dir + '/identity.pem', key + issued.certificate + issued.chain)
    if (issued.server) await this.follow(issued.server)
  }

  // follow goes to another URL of the authority, if that answers there under the same root.
  async follow (moved) {
    try {
      const { status } = await send(moved + '/healthz', this.tls())
      if (status !== 200) throw new Error(status)
    } catch (e) {
      console.error(`the authority has moved to ${moved}, and does not answer there yet: ${e.message}`)
      return
    }
    this.server = moved
    write(this.dir + '/server', moved)
  }

  // due tells whether two thirds of the certificate's life are over.
  due () {
    const [pem] = fs.readFileSync(this.dir + '/identity.pem', 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/)
    const { validFrom, validTo } = new crypto.X509Certificate(pem)
    const [begin, end] = [new Date(validFrom), new Date(validTo)]
    return Date.now() > end - (end - begin) / 3
  }

  // token returns an access token. It is bound to the certificate: send it over TLS with that one.
  async token (scope, audience) {
    const form = new URLSearchParams({ grant_type: 'client_credentials', scope, resource: audience })
    const answer = await post(this.server + '/oauth/token', 'application/x-www-form-urlencoded', form.toString(), this.tls())
    return answer.access_token
  }

  async call (scope, url) {
    if (this.due()) await this.renew()
    const token = await this.token(scope, new URL(url).origin)
    const answer = await send(url, { headers: { Authorization: 'Bearer ' + token }, ...this.tls() })
    if (answer.status !== 200) throw new Error(`${url}: ${answer.status} ${answer.text}`)
    return answer.text
  }
}

const [verb, ...args] = process.argv.slice(2)
try {
  if (verb === 'enroll' && args.length === 3) await enroll(args[0].replace(/\/$/, ''), args[1], args[2])
  else if (verb === 'renew' && args.length === 1) await new Agent(args[0]).renew()
  else if (verb === 'call' && args.length === 3) process.stdout.write(await new Agent(args[0]).call(args[1], args[2]))
  else throw new Error('usage: agent.mjs enroll SERVER FINGERPRINT DIR | call DIR SCOPE URL | renew DIR')
} catch (e) {
  console.error(e.message)
  process.exitCode = 1
}
