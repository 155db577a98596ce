#!/bin/sh
# An agent of a brevet authority, with curl and openssl.
#
#     agent.sh enroll SERVER FINGERPRINT DIR < ENROLLMENT-TOKEN
#     agent.sh call DIR SCOPE URL
#     agent.sh renew DIR
#
# DIR has identity.pem (the key, the certificate and its chain), roots.pem (the trusted root) and
# server (the URL of the authority).
set -eu
umask 077

# ask sends a request with the options of curl, and prints the answer, or what the authority says.
ask() {
	curl --silent --show-error --max-time 30 --cacert "$dir/roots.pem" --output "$dir/answer" --write-out '%{http_code}' "$@" >"$dir/status"
	if [ "$(cat "$dir/status")" != 200 ]; then
		cat "$dir/status" "$dir/answer" >&2
		exit 1
	fi
	cat "$dir/answer"
	rm -f "$dir/answer" "$dir/status"
}

# new_request makes a key and a request without names, which asks for all that are registered,
# and prints the request as a JSON string.
new_request() {
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$dir/key.new"
	openssl req -new -key "$dir/key.new" -subj / -out "$dir/csr.new"
	awk 'BEGIN { printf "\"" } { printf "%s\\n", $0 } END { printf "\"" }' "$dir/csr.new"
}

# member prints a member of the JSON object in standard input, which is a string without quotes in it.
member() {
	printf '%b' "$(sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p")"
}

# save replaces the identity by the new key and the certificates in an answer. It is one file, so
# after a crash there is the old identity or the new one.
save() {
	{
		cat "$dir/key.new"
		printf '%s' "$1" | member certificate
		echo
		printf '%s' "$1" | member chain
		echo
	} >"$dir/identity.new"
	mv "$dir/identity.new" "$dir/identity.pem"
	rm -f "$dir/key.new" "$dir/csr.new"
}

# The token comes from standard input, and no secret is an argument of a program.
enroll() {
	server=${1%/} fingerprint=$2 dir=$3
	mkdir -p "$dir"
	curl --silent --show-error --fail --insecure --output "$dir/roots.new" "$server/roots.pem"
	got=$(openssl x509 -in "$dir/roots.new" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f)
	if [ "$got" != "$(printf '%s' "$fingerprint" | tr -d : | tr A-F a-f)" ]; then
		echo "$server has another root: ask the operator for the fingerprint again" >&2
		exit 1
	fi
	openssl x509 -in "$dir/roots.new" -out "$dir/roots.pem" # the first one alone, which was compared
	printf '%s' "$server" >"$dir/server"
	read -r token || [ -n "$token" ] # a file without a newline at its end
	request=$(new_request)
	issued=$(printf '{"token":"%s","csr":%s}' "$token" "$request" |
		ask --header 'Content-Type: application/json' --data-binary @- "$server/v1/enroll")
	save "$issued"
}

# renew gets the next certificate, for a new key. Until it is there, the old one stays.
renew() {
	dir=$1
	request=$(new_request)
	issued=$(printf '{"csr":%s}' "$request" |
		ask --cert "$dir/identity.pem" --header 'Content-Type: application/json' --data-binary @- "$(cat "$dir/server")/v1/certificates")
	save "$issued"
	moved=$(printf '%s' "$issued" | member server) # the authority has another URL, and must answer there under the same root
	if [ -n "$moved" ] && (ask "$moved/healthz" >"$dir/server.new"); then
		printf '%s' "$moved" >"$dir/server.new"
		mv "$dir/server.new" "$dir/server"
	fi
}

# call gets an access token and calls a service with it. The token is bound to the certificate, so
# it goes over TLS with that one. A third of five minutes before its end, the certificate is renewed.
call() {
	dir=$1 scope=$2 url=$3
	openssl x509 -in "$dir/identity.pem" -noout -checkend 100 >"$dir/status" || renew "$dir"
	audience=$(printf '%s' "$url" | sed 's#^\([a-z]*://[^/]*\).*#\1#')
	answer=$(ask --cert "$dir/identity.pem" --data grant_type=client_credentials --data-urlencode "scope=$scope" \
		--data-urlencode "resource=$audience" "$(cat "$dir/server")/oauth/token")
	token=$(printf '%s' "$answer" | member access_token)
	printf 'Authorization: Bearer %s\n' "$token" | ask --cert "$dir/identity.pem" --header @- "$url"
}

case "${1:-} $#" in
'enroll 4') enroll "$2" "$3" "$4" ;;
'renew 2') renew "$2" ;;
'call 4') call "$2" "$3" "$4" ;;
*)
	echo 'usage: agent.sh enroll SERVER FINGERPRINT DIR | call DIR SCOPE URL | renew DIR' >&2
	exit 1
	;;
esac
