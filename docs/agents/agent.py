#!/usr/bin/env python3
"""An agent of a brevet authority, in Python with requests and cryptography.

    agent.py enroll SERVER FINGERPRINT DIR < ENROLLMENT-TOKEN
    agent.py call DIR SCOPE URL
    agent.py renew DIR

DIR has identity.pem (the key, the certificate and its chain), roots.pem (the trusted root) and
server (the URL of the authority).
"""
import hashlib
import os
import ssl
import sys
import urllib.request
from datetime import datetime, timezone
from urllib.parse import urlsplit

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def fetch_roots(server, fingerprint):
    """Returns the root that has the fingerprint. Nothing else of the answer is trusted."""
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(server + "/roots.pem", context=unverified, timeout=30) as answer:
        text = answer.read().decode()
    for block in text.split("-----BEGIN CERTIFICATE-----")[1:]:
        pem = "-----BEGIN CERTIFICATE-----" + block
        if hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() == fingerprint.replace(":", "").lower():
            return pem
    sys.exit(f"{server} has no root with this fingerprint: ask the operator for it again")


def new_request():
    """Makes a key and a request without names, which asks for all that are registered."""
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode(), csr.public_bytes(serialization.Encoding.PEM).decode()


def write(path, text):
    """Replaces a file as a whole: after a crash there is the old one or the new one."""
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace(path + ".new", path)


def read(path):
    with open(path) as f:
        return f.read()


def checked(answer):
    """Returns the JSON of an answer, or ends the program with what the authority says."""
    if answer.status_code != 200:
        try:
            told = answer.json()
        except ValueError:
            told = {}
        wait = answer.headers.get("Retry-After")
        reason = told.get("detail") or told.get("error_description") or answer.reason
        sys.exit(f"{answer.url}: {answer.status_code} {reason}" + (f" (try again in {wait}s)" if wait else ""))
    return answer.json()


def enroll(server, fingerprint, directory):
    os.makedirs(directory, mode=0o700, exist_ok=True)
    write(directory + "/roots.pem", fetch_roots(server, fingerprint))
    write(directory + "/server", server)
    key, csr = new_request()
    issued = checked(requests.post(server + "/v1/enroll", json={"token": sys.stdin.read().strip(), "csr": csr},
                                   verify=directory + "/roots.pem", timeout=30))
    write(directory + "/identity.pem", key + issued["certificate"] + issued["chain"])


class Agent:
    def __init__(self, directory):
        self.directory = directory
        self.server = read(directory + "/server")
        self.tls = {"cert": directory + "/identity.pem", "verify": directory + "/roots.pem", "timeout": 30}

    def renew(self):
        """Gets the next certificate, for a new key. Until it is there, the old one stays."""
        key, csr = new_request()
        issued = checked(requests.post(self.server + "/v1/certificates", json={"csr": csr}, **self.tls))
        write(self.directory + "/identity.pem", key + issued["certificate"] + issued["chain"])
        if "server" in issued:
            self.follow(issued["server"])

    def follow(self, moved):
        """Goes to another URL of the authority, if that answers there under the same root."""
        try:
            requests.get(moved + "/healthz", **self.tls).raise_for_status()
        except requests.RequestException as e:
            print(f"the authority has moved to {moved}, and does not answer there yet: {e}", file=sys.stderr)
            return
        self.server = moved
        write(self.directory + "/server", moved)

    def due(self):
        """Tells whether two thirds of the certificate's life are over."""
        cert = x509.load_pem_x509_certificate(read(self.directory + "/identity.pem").partition("-----END PRIVATE KEY-----\n")[2].encode())
        begin, end = (cert.not_valid_before_utc, cert.not_valid_after_utc) if hasattr(cert, "not_valid_after_utc") else \
            (t.replace(tzinfo=timezone.utc) for t in (cert.not_valid_before, cert.not_valid_after))
        return datetime.now(timezone.utc) > end - (end - begin) / 3

    def token(self, scope, audience):
        """Returns an access token. It is bound to the certificate: send it over TLS with that one."""
        form = {"grant_type": "client_credentials", "scope": scope, "resource": audience}
        return checked(requests.post(self.server + "/oauth/token", data=form, **self.tls))["access_token"]

    def call(self, scope, url):
        if self.due():
            self.renew()
        where = urlsplit(url)
        token = self.token(scope, f"{where.scheme}://{where.netloc}")
        answer = requests.get(url, headers={"Authorization": "Bearer " + token}, **self.tls)
        answer.raise_for_status()
        return answer.text


def main():
    match sys.argv[1:]:
        case ["enroll", server, fingerprint, directory]:
            enroll(server.rstrip("/"), fingerprint, directory)
        case ["renew", directory]:
            Agent(directory).renew()
        case ["call", directory, scope, url]:
            print(Agent(directory).call(scope, url), end="")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
