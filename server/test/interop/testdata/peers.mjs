// Two TLS peers of Node.js, which has an OpenSSL of its own, with an agent's
// certificate on both sides: node peers.mjs CERT KEY ROOT NAME. Prints
// "authorized VERSION", or the code of the error. Before that it fetches a URL
// (node peers.mjs CERT KEY ROOT NAME URL ROOTS), so that the authority sees what
// its TLS offers.
import fs from 'node:fs'
import https from 'node:https'
import tls from 'node:tls'

const [cert, key, ca] = process.argv.slice(2, 5).map(f => fs.readFileSync(f))
const [name, url, roots] = process.argv.slice(5)

await new Promise((done, failed) => https.get(url, { ca: fs.readFileSync(roots), headers: { 'User-Agent': 'node/24' } },
  answer => answer.resume().on('end', done)).on('error', failed))

let server
try {
  server = tls.createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true }, c => c.end('hello'))
} catch (e) {
  console.log(e.code) // it does not even load the certificate
  process.exit()
}
server.on('tlsClientError', () => server.close())
server.listen(0, '127.0.0.1', () => {
  const client = tls.connect({ port: server.address().port, host: '127.0.0.1', servername: name, cert, key, ca })
  client.on('data', () => { console.log('authorized', client.getProtocol()); client.end(); server.close() })
  client.on('error', e => { console.log(e.code); server.close() })
})
