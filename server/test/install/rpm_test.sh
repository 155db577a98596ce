# Runs in a mount namespace of its own: rpm_test.sh ROOT OLD.rpm NEW.rpm. The system in ROOT is
# Debian, which has what the package needs, but not as packages of RPM: hence --nodeps.
set -eu
PATH=$PATH:/usr/sbin:/sbin
root=$1
mount --bind "$root" "$root" # for no other process to see what is mounted below
mount -t proc proc "$root/proc"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"; }
package() { rpm --root "$root" "$@"; }
not() { if "$@"; then echo "$* should fail"; exit 1; fi; }
say() { echo "== $*"; }

say install
package --force-debian --nodeps --install "$2"
package --verify --nodeps brevet
inside id brevet
test "$(inside stat -c '%U %a' /var/lib/brevet)" = 'brevet 700'
inside brevet version
inside sh -c 'umask 077; echo 0123456789abcdef > /etc/brevet/passphrase'
inside runuser -u brevet -- brevet --dir /var/lib/brevet init --trust-domain example.internal --no-passphrase

say upgrade
package --force-debian --nodeps --upgrade "$3"
package --verify --nodeps brevet
test "$(package --query brevet | wc -l)" = 1
inside test -s /var/lib/brevet/brevet.db -a -s /etc/brevet/passphrase

say 'remove keeps what was made'
package --force-debian --nodeps --erase brevet
not inside test -e /usr/bin/brevet
inside test -s /var/lib/brevet/brevet.db -a -s /etc/brevet/passphrase
say done
