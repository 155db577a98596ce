# Runs in a mount namespace of its own: chroot_test.sh ROOT OLD.deb NEW.deb
# HTTPS HTTP, where the last two are addresses that nobody listens on.
set -eu
PATH=$PATH:/usr/sbin:/sbin
root=$1
mount --bind "$root" "$root" # for no other process to see what is mounted below
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
cp "$2" "$root/tmp/old.deb"
cp "$3" "$root/tmp/new.deb"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"; }
not() { if "$@"; then echo "$* should fail"; exit 1; fi; }
say() { echo "== $*"; }

say install
inside dpkg -i /tmp/old.deb
inside id brevet
test "$(inside stat -c '%U %a' /var/lib/brevet)" = 'brevet 700'
test "$(inside stat -c '%U %a' /etc/brevet)" = 'root 700'
inside brevet version --quiet
not inside systemctl is-enabled brevet.service

say 'as docs/install.md says'
inside sh -c 'umask 077; openssl rand -base64 32 > /etc/brevet/passphrase'
inside sh -c "runuser -u brevet -- brevet --dir /var/lib/brevet init --trust-domain example.internal --listen $4 --listen-http $5 --passphrase-file fd:3 3< /etc/brevet/passphrase"

say 'the command line of the unit, as its user'
start=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/brevet.service")
inside sh -c "mkdir -m 700 /tmp/credentials; cp /etc/brevet/passphrase /tmp/credentials/brevet-passphrase; chown -R brevet /tmp/credentials
setpriv --reuid brevet --regid brevet --clear-groups env CREDENTIALS_DIRECTORY=/tmp/credentials $start 2>/tmp/log & server=\$!
for i in \$(seq 100); do brevet status --quiet >/dev/null 2>&1 && break; sleep 0.1; done
set -e
brevet status --quiet
brevet agent add shop --owner me --quiet >/tmp/token
useradd --system shop
install -d -o shop -m 700 /var/lib/brevet-client/shop
f=\$(brevet status --json | sed -n 's/.*\"\\([0-9a-f]\\{64\\}\\)\".*/\\1/p' | head -1)
runuser -u shop -- brevet client enroll --server https://$4 --fingerprint \$f --token-file - --out /var/lib/brevet-client/shop </tmp/token
brevet reload
kill \$server; wait \$server"

say upgrade
inside dpkg -i /tmp/new.deb
inside sh -c 'dpkg-query -W brevet; test -s /var/lib/brevet/brevet.db -a -s /etc/brevet/passphrase'

say 'remove keeps what was made'
inside dpkg -r brevet
not inside test -e /usr/bin/brevet
inside test -s /var/lib/brevet/brevet.db -a -s /etc/brevet/passphrase -a -s /var/lib/brevet-client/shop/cert.pem

say 'purge removes it'
inside dpkg -P brevet
for left in /etc/brevet /var/lib/brevet /var/lib/brevet-client /var/log/brevet; do not inside test -e $left; done
inside id brevet
left=$(inside find / -xdev -name '*brevet*' -not -path '/tmp/*' -not -path '/proc/*')
test -z "$left" || { echo "left: $left"; exit 1; }
say done
