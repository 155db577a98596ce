#!/bin/sh
# Makes 7375685.tar.gz: an authority as the program of commit 7375685 left it,
# stopped, with everything on record that a later version must still read.
#   make.sh REPOSITORY     # a clone that has the commit
# Its private keys are test keys, and are in the archive unsealed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
server=
work=$(mktemp -d /tmp/bvXXXXXX)
trap '[ -z "$server" ] || kill $server 2>/dev/null; rm -rf "$work"' EXIT
git -C "$1" archive 7375685 | (mkdir "$work/src" && tar -xf - -C "$work/src")
(cd "$work/src" && go build -tags=nobadger,nomysql,nopgx,nobbolt -o "$work/brevet" ./cmd/brevet)
brevet=$work/brevet
export BREVET_DIR=$work/a
url=https://127.0.0.1:18443
cd "$work"

$brevet init --trust-domain example.internal --no-passphrase --listen 127.0.0.1:18443 --listen-http 127.0.0.1:18080 --quiet >fingerprint
$brevet serve >server.log 2>&1 & server=$!
until $brevet status >/dev/null 2>&1; do sleep 0.1; done

enroll() { $brevet client enroll --server $url --fingerprint "$(cat fingerprint)" --token-file "$1.token" --out "$1"; }
# An agent with all that one may have, and its tokens: bound to the certificate,
# and by an assertion of its key.
openssl genpkey -algorithm ed25519 -out key.pem
openssl pkey -in key.pem -pubout -out public.pem
$brevet agent add bot --owner ci@example.org --purpose 'builds things' --scope a:b --scope brevet:admin --audience https://api.example.org \
	--dns bot.example.org --dns proven.example.org,challenge --ip 192.0.2.7 --label env=test --key public.pem --ttl 10m --expires 30d --quiet >bot.token
enroll bot
$brevet client token --dir bot --scope a:b >bound.jwt
b64() { openssl base64 -A | tr +/ -_ | tr -d =; }
claims=$(printf '{"iss":"bot","sub":"bot","aud":"%s","jti":"once","exp":%d}' $url $(($(date +%s) + 60)) | b64)
signed=$(printf '{"alg":"EdDSA"}' | b64).$claims
printf %s "$signed" >signed
assertion=$signed.$(openssl pkeyutl -sign -rawin -inkey key.pem -in signed | b64)
curl -sS --fail --cacert bot/roots.pem -d grant_type=client_credentials -d scope=a:b \
	-d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer -d client_assertion="$assertion" \
	$url/oauth/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/' >unbound.jwt
$brevet client token --dir bot --scope a:b >revoked.jwt
$brevet token revoke "$(cut -d. -f2 revoked.jwt | tr -- -_ +/ | sed 's/$/==/' | openssl base64 -d -A 2>/dev/null | sed 's/.*"jti":"\([^"]*\)".*/\1/')"

# A resource server, an ACME account, and agents that have ended.
$brevet agent add api --owner apis --scope brevet:introspect --quiet >api.token
enroll api
$brevet agent add shop --owner shops --dns shop.example.org --json >shop.json
(cd "$here" && go run account.go $url "$work/shop.json" "$work/shop.key")
for name in suspended over replaced; do
	$brevet agent add $name --owner old --quiet >$name.token
	enroll $name
done
$brevet agent suspend suspended --reason keyCompromise
$brevet agent decommission over
$brevet cert revoke "$(openssl x509 -in replaced/cert.pem -noout -serial | cut -d= -f2)" --reason superseded
$brevet agent add waiting --owner later --quiet >waiting.token

# Rotated keys: what the old ones signed still counts.
$brevet key rotate issuer
$brevet key rotate tokens
$brevet key rotate profile-issuer --algorithm mldsa44
$brevet client cert --dir bot
kill $server
wait $server
date -u +%Y-%m-%dT%H:%M:%SZ >at
rm a/lock a/*.sock 2>/dev/null || true
tar -czf "$here/7375685.tar.gz" a bot api shop.key waiting.token bound.jwt unbound.jwt revoked.jwt at
ls -l "$here/7375685.tar.gz"
tar -tzf "$here/7375685.tar.gz"
