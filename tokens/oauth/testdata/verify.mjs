// A resource server in another language: it verifies access tokens with other
// people's code and what the authority publishes. Usage: node verify.mjs DIR
// ISSUER AUDIENCE ALGORITHM, where DIR has node_modules and ALGORITHM is the one
// that it accepts. Reads tokens, one on each line, and writes for each the
// claims, or "refused: " and why.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [directory, issuer, audience, algorithm] = process.argv.slice(2);
const require = createRequire(join(resolve(directory), 'x.js'));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const jose = await load('jose');
const { ml_dsa44, ml_dsa65 } = await load('@noble/post-quantum/ml-dsa.js');
const { ed25519 } = await load('@noble/curves/ed25519.js');

const metadata = await (await fetch(issuer + '/.well-known/oauth-authorization-server')).json();
const keys = jose.createRemoteJWKSet(new URL(metadata.jwks_uri));
const { keys: published } = await (await fetch(metadata.jwks_uri)).json();

// The composites that jose does not know, by the text of the draft:
// draft-ietf-lamps-pq-composite-sigs-19, section 4.3.
const composites = {
  'ML-DSA-44-Ed25519': [ml_dsa44, 'COMPSIG-MLDSA44-Ed25519-SHA512'],
  'ML-DSA-65-Ed25519': [ml_dsa65, 'COMPSIG-MLDSA65-Ed25519-SHA512'],
};
const decode = (part) => Buffer.from(part, 'base64url');

function composite(token) {
  const [header, payload, signature] = token.split('.');
  const { alg, kid } = JSON.parse(decode(header));
  const key = published.find((k) => k.kid === kid);
  if (alg !== algorithm || key?.alg !== alg || key.kty !== 'AKP') throw new Error('another algorithm');
  const [dsa, label] = composites[alg];
  const hash = createHash('sha512').update(header + '.' + payload).digest();
  const message = Buffer.concat([Buffer.from('CompositeAlgorithmSignatures2025' + label + '\0', 'latin1'), hash]);
  const pub = new Uint8Array(decode(key.pub)), sig = new Uint8Array(decode(signature));
  const { publicKey: k, signature: s } = dsa.lengths;
  const first = dsa.verify(sig.subarray(0, s), new Uint8Array(message), pub.subarray(0, k), { context: new Uint8Array(Buffer.from(label)) });
  const second = ed25519.verify(sig.subarray(s), new Uint8Array(message), pub.subarray(k));
  if (!first || !second) throw new Error(`ML-DSA half ${first}, Ed25519 half ${second}`);
  return JSON.parse(decode(payload));
}

for (const token of readFileSync(0, 'utf8').trim().split('\n')) {
  try {
    const claims = algorithm in composites ? composite(token)
      : (await jose.jwtVerify(token, keys, { issuer, audience, algorithms: [algorithm], typ: 'at+jwt' })).payload;
    console.log(JSON.stringify(claims));
  } catch (e) {
    console.log('refused: ' + (e.code ?? e.message));
  }
}
