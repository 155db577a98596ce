// Verifies with other people's code (jose and @noble from npm, and the OpenSSL in
// node for RSA, P-384, P-521 and Ed448) what brevet has signed. Usage: node verify.mjs DIR, where DIR has node_modules. Reads a JSON
// array of cases and writes one of answers: true, false, or a text.
import { constants, createHash, createPrivateKey, createPublicKey, verify, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(join(resolve(process.argv[2]), 'x.js'));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { ml_dsa44, ml_dsa65, ml_dsa87 } = await load('@noble/post-quantum/ml-dsa.js');
const { ed25519 } = await load('@noble/curves/ed25519.js');
const { p256 } = await load('@noble/curves/nist.js');
const jose = await load('jose');

const bytes = (b64) => new Uint8Array(Buffer.from(b64, 'base64'));
const ascii = (s) => new Uint8Array(Buffer.from(s, 'latin1'));
const concat = (...parts) => new Uint8Array(Buffer.concat(parts.map((p) => Uint8Array.from(p))));
const hex = (b) => Buffer.from(b).toString('hex');

// By the DER of the AlgorithmIdentifier.
const nist = (n, dsa) => [`300b060960864801650304031${n}`, (key, msg, sig) => dsa.verify(sig, msg, key)];
const composite = (n, dsa, label, trad) => [`300a06082b060105050706${n}`, (key, msg, sig) => {
  const ph = label.endsWith('SHAKE256') ? createHash('shake256', { outputLength: 64 }) : createHash(label.split('-').at(-1));
  const m = concat(ascii('CompositeAlgorithmSignatures2025'), ascii(label), [0], ph.update(msg).digest());
  const [k, s] = [dsa.lengths.publicKey, dsa.lengths.signature];
  return dsa.verify(sig.subarray(0, s), m, key.subarray(0, k), { context: ascii(label) }) && trad(key.subarray(k), m, sig.subarray(s));
}];
const b64url = (b) => Buffer.from(b).toString('base64url');
const rsa = (hash, padding, salt) => (key, m, sig) =>
  verify(hash, m, { key: createPublicKey({ key: Buffer.from(key), format: 'der', type: 'pkcs1' }), padding, saltLength: salt }, sig);
const pss = (hash, salt) => rsa(hash, constants.RSA_PKCS1_PSS_PADDING, salt);
const pkcs1 = (hash) => rsa(hash, constants.RSA_PKCS1_PADDING);
const ecdsa = (crv, hash) => (key, m, sig) => {
  const n = (key.length - 1) / 2;
  const jwk = { kty: 'EC', crv, x: b64url(key.subarray(1, 1 + n)), y: b64url(key.subarray(1 + n)) };
  return key[0] === 4 && verify(hash, m, { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'der' }, sig);
};
const ed448 = (key, m, sig) => verify(null, m, createPublicKey({ key: { kty: 'OKP', crv: 'Ed448', x: b64url(key) }, format: 'jwk' }), sig);
const ed25519Half = (key, m, sig) => ed25519.verify(sig, m, key);
const p256Half = (key, m, sig) => p256.verify(sig, m, key, { format: 'der', lowS: false });
const algorithms = Object.fromEntries([
  nist(1, ml_dsa44), nist(2, ml_dsa65), nist(3, ml_dsa87),
  composite('25', ml_dsa44, 'COMPSIG-MLDSA44-RSA2048-PSS-SHA256', pss('sha256', 32)),
  composite('26', ml_dsa44, 'COMPSIG-MLDSA44-RSA2048-PKCS15-SHA256', pkcs1('sha256')),
  composite('27', ml_dsa44, 'COMPSIG-MLDSA44-Ed25519-SHA512', ed25519Half),
  composite('28', ml_dsa44, 'COMPSIG-MLDSA44-ECDSA-P256-SHA256', p256Half),
  composite('29', ml_dsa65, 'COMPSIG-MLDSA65-RSA3072-PSS-SHA512', pss('sha256', 32)),
  composite('2a', ml_dsa65, 'COMPSIG-MLDSA65-RSA3072-PKCS15-SHA512', pkcs1('sha256')),
  composite('2b', ml_dsa65, 'COMPSIG-MLDSA65-RSA4096-PSS-SHA512', pss('sha384', 48)),
  composite('2c', ml_dsa65, 'COMPSIG-MLDSA65-RSA4096-PKCS15-SHA512', pkcs1('sha384')),
  composite('2d', ml_dsa65, 'COMPSIG-MLDSA65-ECDSA-P256-SHA512', p256Half),
  composite('2e', ml_dsa65, 'COMPSIG-MLDSA65-ECDSA-P384-SHA512', ecdsa('P-384', 'sha384')),
  composite('30', ml_dsa65, 'COMPSIG-MLDSA65-Ed25519-SHA512', ed25519Half),
  composite('31', ml_dsa87, 'COMPSIG-MLDSA87-ECDSA-P384-SHA512', ecdsa('P-384', 'sha384')),
  composite('33', ml_dsa87, 'COMPSIG-MLDSA87-Ed448-SHAKE256', ed448),
  composite('34', ml_dsa87, 'COMPSIG-MLDSA87-RSA3072-PSS-SHA512', pss('sha256', 32)),
  composite('35', ml_dsa87, 'COMPSIG-MLDSA87-RSA4096-PSS-SHA512', pss('sha384', 48)),
  composite('36', ml_dsa87, 'COMPSIG-MLDSA87-ECDSA-P521-SHA512', ecdsa('P-521', 'sha512')),
]);

// DER, as far as certificates need it.
function read(b, at = 0) {
  let head = 2, n = b[at + 1];
  if (n > 0x80) {
    head = 2 + (n & 0x7f);
    n = 0;
    for (const octet of b.subarray(at + 2, at + head)) n = n * 256 + octet;
  }
  return { tag: b[at], all: b.subarray(at, at + head + n), body: b.subarray(at + head, at + head + n) };
}
function children(body) {
  const out = [];
  for (let at = 0; at < body.length; at += out.at(-1).all.length) out.push(read(body, at));
  return out;
}
function write(tag, ...parts) {
  const body = concat(...parts);
  const n = body.length;
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : n < 0x10000 ? [0x82, n >> 8, n & 0xff] : [0x83, n >> 16, (n >> 8) & 0xff, n & 0xff];
  return concat([tag], length, body);
}

function certificate(der) {
  const [tbs, algorithm, signature] = children(read(der).body);
  const fields = children(tbs.body); // version, serial, signature, issuer, validity, subject, key, extensions
  const extensions = children(read(fields[7].body).body);
  const extension = (last) => {
    const e = extensions.find((e) => hex(read(e.body).all) === `0603551d${last}`);
    return e && children(e.body).at(-1).body;
  };
  return { tbs, algorithm, signature, fields, extensions, extension };
}

// key takes a SubjectPublicKeyInfo apart.
function key(spki) {
  const [algorithm, bits] = children(spki.body);
  return { algorithm: hex(algorithm.all), raw: bits.body.subarray(1) };
}

function signedBy(der, k) {
  const [tbs, algorithm, signature] = children(read(bytes(der)).body);
  return hex(algorithm.all) === k.algorithm && algorithms[k.algorithm](k.raw, tbs.all, signature.body.subarray(1));
}

const verifiers = {
  // OpenSSL from 3.5 on knows ML-DSA, and of an alternative signature the outside.
  openssl({ cert, issuer }) {
    const ca = new X509Certificate(bytes(issuer));
    const c = new X509Certificate(bytes(cert));
    return c.verify(ca.publicKey) && c.checkIssued(ca);
  },
  // key answers with the public key to a private one in PKCS #8.
  key: ({ key }) => createPublicKey(createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' })).export({ type: 'spki', format: 'der' }).toString('base64'),
  // A certificate or a CRL.
  signed({ cert, issuer }) {
    return signedBy(cert, key(certificate(bytes(issuer)).fields[6]));
  },
  // A request, which has its key after version and subject.
  request({ cert }) {
    return signedBy(cert, key(children(children(read(bytes(cert)).body)[0].body)[2]));
  },
  // ITU-T X.509 (2019), 9.8: 72 is the key, 73 the algorithm, 74 the signature.
  alternative({ cert, issuer }) {
    const c = certificate(bytes(cert));
    const k = key(read(certificate(bytes(issuer)).extension('48')));
    const kept = c.extensions.filter((e) => hex(read(e.body).all) !== '0603551d4a').map((e) => e.all);
    const fields = c.fields.filter((_, i) => i !== 2 && i !== 7).map((f) => f.all);
    const message = write(0x30, ...fields, write(0xa3, write(0x30, ...kept)));
    return hex(c.extension('49')) === k.algorithm && algorithms[k.algorithm](k.raw, message, read(c.extension('4a')).body.subarray(1));
  },
  noble({ jwk, token }) {
    const dsa = { 'ML-DSA-44': ml_dsa44, 'ML-DSA-65': ml_dsa65, 'ML-DSA-87': ml_dsa87 }[jwk.alg];
    const [header, payload, signature] = token.split('.');
    return dsa.verify(bytes(signature), ascii(`${header}.${payload}`), bytes(jwk.pub));
  },
  async jose({ jwk, token }) {
    await jose.compactVerify(token, await jose.importJWK(jwk), { algorithms: [jwk.alg] });
    return true;
  },
  thumbprint: ({ jwk }) => jose.calculateJwkThumbprint(jwk),
  // sign makes a key and a token for us to check.
  async sign({ alg }) {
    const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true });
    const token = await new jose.CompactSign(ascii('signed by jose')).setProtectedHeader({ alg }).sign(privateKey);
    return JSON.stringify({ token, jwk: JSON.stringify(await jose.exportJWK(publicKey)) });
  },
};

const answers = [];
for (const c of JSON.parse(readFileSync(0, 'utf8'))) {
  try {
    answers.push(await verifiers[c.kind](c));
  } catch (e) {
    answers.push(e.code === 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' ? false : `error: ${e.message}`);
  }
}
console.log(JSON.stringify(answers));
